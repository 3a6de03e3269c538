"""Puts the page on the network, on this machine only unless told otherwise: hosts and origins checked, nothing loaded
from elsewhere, a password where others can reach it, under a path where a proxy has it so."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
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
PLAIN = re.compile(r"[\w/.~@%-]*")
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; "
    "connect-src 'self'; object-src 'none'; base-uri 'self'; frame-ancestors "
)
NOWHERE, NOTEBOOKS = "'none'", "http://127.0.0.1:* http://localhost:*"  # pages that may show this one in a frame
HEADERS = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"same-origin")]


@dataclass(frozen=True)
class Root:
    """Where browsers find the page: a path ("/lab/") behind a proxy of this machine, or a whole address behind one
    that keeps or changes the name of the host (JupyterHub's, say). Raises UserError on anything else."""

    address: str = "/"

    def __post_init__(self) -> None:
        parts = urlsplit(self.address)
        is_path = self.address.startswith("/") and not self.address.startswith("//")
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname)
        if not (is_path or is_whole) or parts.query or parts.fragment or not PLAIN.fullmatch(parts.path):
            raise UserError(
                f"root path {self.address!r} is neither a path nor an address; give one such as /lab/ or "
                "https://hub.example/user/me/proxy/7860/"
            )

    @property
    def path(self) -> str:
        """Its path without a slash at the end: "" or "/lab"."""
        return urlsplit(self.address).path.rstrip("/")

    @property
    def host(self) -> str:
        """The host and port that browsers ask for; "" where it is that of this machine."""
        return urlsplit(self.address).netloc

    @property
    def prefix(self) -> str:
        """What Gradio puts before its addresses."""
        return self.address.rstrip("/")


class SameOrigin:
    """Refuses requests that pages of other origins make, tells browsers to load nothing from elsewhere, and takes off
    the root's path where a proxy has left it on."""

    def __init__(self, app: ASGIApp, root: Root, frames: str):
        self.app, self.root = app, root
        self.headers = [(b"content-security-policy", f"{POLICY}{frames}".encode()), *HEADERS]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc not in (headers.get("host"), self.root.host or None):
            await PlainTextResponse("requests from other origins are refused", 403)(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self.headers]
            await send(message)

        await self.app(_below(scope, self.root.path), receive, guarded)


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

    def __init__(
        self,
        page: gr.Blocks,
        port: int | None = None,
        host: str = LOOPBACK[0],
        password: str | None = None,
        root: Root = Root(),
        frames: str = NOWHERE,
    ):
        """`root` says where browsers find the page, `frames` which pages may show it within. Raises UserError if no
        port is free, or if others could reach the page without a password."""
        if host not in LOOPBACK and len(password or "") < SHORTEST_PASSWORD:
            raise UserError(
                f"on {host} others can reach the inspector: set WOVR_LAB_PASSWORD to {SHORTEST_PASSWORD} characters or "
                "more (the user is 'inspector'), or leave the host out"
            )
        check("port", port, Port | None)
        self.socket = _listening(host, [port] if port else PORTS)
        self.address = f"http://{host}:{self.socket.getsockname()[1]}{root.path}/"
        web = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        web.add_middleware(SameOrigin, root=root, frames=frames)
        known = [*LOOPBACK, *([str(urlsplit(root.address).hostname)] if root.host else [])]
        web.add_middleware(TrustedHostMiddleware, allowed_hosts=known if host in LOOPBACK else ["*"])
        gr.mount_gradio_app(
            web, page, path="/", server_name=host, auth=("inspector", password) if password else None,
            show_error=False, ssr_mode=False, run_history=False, footer_links=[], max_file_size=MOST_UPLOADED,
            css_paths=FOLDER / "page.css", head=f"<script>{_scripts()}</script>", root_path=root.prefix or None,
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


def _below(scope: Scope, path: str) -> Scope:
    """The request as if made of the root."""
    if not path or not scope["path"].startswith(f"{path}/"):
        return scope
    raw = scope["raw_path"].removeprefix(path.encode())
    return {**scope, "path": scope["path"].removeprefix(path), "raw_path": raw}


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
