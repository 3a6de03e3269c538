"""Policies and world models for other programs: servers that speak openpi's websocket protocol, and their clients.

Needs the `serve` extra (msgpack, websockets). Messages are msgpack with arrays of plain numbers; nothing is unpickled.
"""
