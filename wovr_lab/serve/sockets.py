"""One server for every service, and the client's end: a message out, a message back.

On this machine only unless told otherwise; elsewhere a token is needed. As in openpi's protocol the server first says
what it serves, then answers each message in turn, with text where something is wrong with it. A client that goes away,
sends nonsense or reads slowly keeps nobody else waiting.
"""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable
from contextlib import ExitStack
from http import HTTPStatus
from typing import Any, Protocol

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.http11 import Request, Response
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from wovr_lab.errors import UserError
from wovr_lab.fields import Port, check
from wovr_lab.serve.messages import LARGEST, pack, unpack

LOOPBACK = ("127.0.0.1", "localhost")
SHORTEST_TOKEN = 16
MOST_CLIENTS = 32


class Conversation(Protocol):
    """What a service does for one client."""

    def answer(self, request: Any) -> dict[str, Any]:
        """Raises UserError on a request that cannot be answered; the client reads its message."""

    def close(self) -> None:
        """The client has gone."""


class Service(Protocol):
    """What is served."""

    @property
    def metadata(self) -> dict[str, Any]: ...

    def converse(self) -> Conversation:
        """For one more client."""


class Server:
    """Serves from when it is made; `close` ends it, `wait` blocks until interrupted."""

    def __init__(self, service: Service, port: int | None = None, host: str = LOOPBACK[0], token: str = ""):
        """Raises UserError if the port is not free, or if others could reach the server without a token."""
        check("port", port, Port | None)
        if host not in LOOPBACK and len(token) < SHORTEST_TOKEN:
            raise UserError(
                f"on {host} others can reach the server: set WOVR_LAB_TOKEN to {SHORTEST_TOKEN} characters or more, or "
                "leave the host out"
            )
        self.service, self._token = service, token
        self._clients = threading.BoundedSemaphore(MOST_CLIENTS)
        settings: dict[str, Any] = {"max_size": LARGEST, "compression": None, "origins": [None]}  # no web pages
        try:
            self._server = serve(self._talk, host, port or 0, process_request=self._refusal, **settings)
        except OSError as error:
            raise UserError(f"port {port} of {host} is not free ({error}); choose another with --port") from error
        self.address = f"ws://{host}:{self._server.socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Until the server ends."""
        self._thread.join()

    def close(self) -> None:
        """Ends it and all conversations."""
        self._server.shutdown()
        self._thread.join()

    def _refusal(self, connection: ServerConnection, request: Request) -> Response | None:
        given = request.headers.get_all("Authorization")  # none, one or more, of any bytes
        told = given[0].encode(errors="surrogateescape") if len(given) == 1 else b""
        if self._token and not hmac.compare_digest(told, f"Api-Key {self._token}".encode()):
            return connection.respond(HTTPStatus.UNAUTHORIZED, "give the server's token\n")
        return None

    def _talk(self, socket: ServerConnection) -> None:
        if not self._clients.acquire(blocking=False):
            socket.close(1013, f"{MOST_CLIENTS} clients are connected; try again later")
            return
        conversation = self.service.converse()
        try:
            socket.send(pack(self.service.metadata))
            for message in socket:
                socket.send(_reply(conversation.answer, message))
        except ConnectionClosed:
            return
        finally:
            conversation.close()
            self._clients.release()


def _reply(answer: Callable[[Any], dict[str, Any]], message: bytes | str) -> bytes | str:
    """Bytes, or text that says what is wrong."""
    try:
        return pack(answer(unpack(message)))
    except UserError as error:
        return str(error)


class Connection:
    """The client's end. Raises UserError if nothing is served there, or the token is not the server's."""

    def __init__(self, address: str, token: str = ""):
        self.address, self._open = address, ExitStack()
        headers = {"Authorization": f"Api-Key {token}"} if token else {}
        try:
            settings: dict[str, Any] = {"max_size": LARGEST, "compression": None, "proxy": None}
            self._socket = self._open.enter_context(connect(address, additional_headers=headers, **settings))
            self.metadata: dict[str, Any] = unpack(self._socket.recv())
        except (OSError, InvalidHandshake, InvalidURI, ConnectionClosed) as error:
            raise UserError(f"{address} serves nothing here ({error}); check address and token") from error

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer. Raises UserError with the server's message, or if the server has gone."""
        try:
            self._socket.send(pack(request))
            reply = self._socket.recv()
        except ConnectionClosed as error:
            raise UserError(f"{self.address} has closed the connection ({error}); connect again") from error
        if isinstance(reply, str):
            raise UserError(f"{self.address} answers: {reply}")
        return unpack(reply)

    def close(self) -> None:
        """Says good-bye."""
        self._open.close()
