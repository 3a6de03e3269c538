"""Puts the page on the network, on this machine only unless told otherwise: hosts and origins checked, nothing loaded
from elsewhere, a password where others can reach it."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import gradio as gr
import uvicorn
from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wovr_lab.errors import UserError
from wovr_lab.fields import Port, check
from wovr_lab.inspector.exchange import MOST_UPLOADED

FOLDER = Path(__file__).parent
LOOPBACK, PORTS = ("127.0.0.1", "localhost"), range(7860, 7960)
SHORTEST_PASSWORD = 8
SCRIPTS = ("film.js", "timeline.js", "branches.js", "keyboard.js", "stage.js")
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; "
    "connect-src 'self'; object-src 'none'; base-uri 'self'; frame-ancestors 'none'"
)
HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
]


class SameOrigin:
    """Refuses requests that pages of other origins make, and tells browsers to load nothing from elsewhere."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != headers.get("host"):
            await PlainTextResponse("requests from other origins are refused", 403)(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS]
            await send(message)

        await self.app(scope, receive, guarded)


class Ending(uvicorn.Server):
    """Ends the streams of open pages before anything else: uvicorn alone would wait for the pages to close."""

    def __init__(self, config: uvicorn.Config, streams: asyncio.Event):
        super().__init__(config)
        self.streams = streams

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends the open streams, which would otherwise keep uvicorn waiting, then uvicorn."""
        self.streams.set()
        await super().shutdown(sockets)


class Server:
    """The page at `address`, once made; `run` shows it until interrupted, `start` and `stop` do so in a thread."""

    def __init__(self, page: gr.Blocks, port: int | None = None, host: str = LOOPBACK[0], password: str | None = None):
        """Raises UserError if no port is free, or if others could reach the page without a password."""
        if host not in LOOPBACK and len(password or "") < SHORTEST_PASSWORD:
            raise UserError(
                f"on {host} others can reach the inspector: set WOVR_LAB_PASSWORD to {SHORTEST_PASSWORD} characters or "
                "more (the user is 'inspector'), or leave the host out"
            )
        check("port", port, Port | None)
        self.socket = _listening(host, [port] if port else PORTS)
        self.address = f"http://{host}:{self.socket.getsockname()[1]}/"
        web = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        web.add_middleware(SameOrigin)
        web.add_middleware(TrustedHostMiddleware, allowed_hosts=list(LOOPBACK) if host in LOOPBACK else ["*"])
        gr.mount_gradio_app(
            web, page, path="/", server_name=host, auth=("inspector", password) if password else None,
            show_error=False, ssr_mode=False, run_history=False, footer_links=[], max_file_size=MOST_UPLOADED,
            css_paths=FOLDER / "page.css", head=f"<script>{_scripts()}</script>",
        )  # fmt: skip
        (mounted,) = (route.app for route in web.routes if isinstance(route, Mount))
        self.server = Ending(uvicorn.Config(web, log_level="warning"), mounted.stop_event)
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self) -> None:
        """Serves until interrupted."""
        with suppress(KeyboardInterrupt):  # which uvicorn raises again once it has stopped
            self.server.run(sockets=[self.socket])

    def start(self) -> str:
        """Serves in a thread; requests wait until it is ready. Returns the address."""
        self.thread.start()
        return self.address

    def stop(self) -> None:
        """Ends the thread."""
        self.server.should_exit = True
        self.thread.join()


def _scripts() -> str:
    """The page's scripts as one that shares no name with Gradio's."""
    return "(() => {\n" + "\n".join((FOLDER / name).read_text() for name in SCRIPTS) + "})();"


def _listening(host: str, ports: list[int] | range) -> socket.socket:
    """The first port that is free."""
    for port in ports:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError:
            listener.close()
            continue
        listener.listen()
        return listener
    raise UserError(f"port {ports[0]} of {host} is not free; choose another with --port")
