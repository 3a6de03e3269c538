"""Who is looking: a session for every open tab, freed when the tab closes, and what a handler does with it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import gradio as gr

from wovr_lab.errors import UserError
from wovr_lab.figures.style import plain
from wovr_lab.inspector.autopilot import pilots
from wovr_lab.inspector.links import Gallery, session_from, write_link
from wovr_lab.inspector.models import RunModels
from wovr_lab.inspector.page import view
from wovr_lab.inspector.session import Session

MOST_TABS = 64
# One at a time, and no progress shown on any output: even hidden, Gradio would draw each of them anew at every frame.
ALONE = {
    "concurrency_id": "worlds", "concurrency_limit": 1, "api_visibility": "private",
    "show_progress": "hidden", "show_progress_on": [],
}  # fmt: skip
SHOWS = ALONE | {"postprocess": False}  # what `shown` gives is as the page takes it
Action = Callable[..., object]


@dataclass
class Tab:
    """A session, a folder for its downloads, and what its controls were last told."""

    session: Session
    folder: tempfile.TemporaryDirectory
    told: list[Any] = field(default_factory=list)


class Tabs:
    """The sessions by tab."""

    def __init__(self, models: RunModels, gallery: Gallery):
        self.models, self.gallery = models, gallery
        self.open: dict[str, Tab] = {}

    def opened(self, request: gr.Request, gain: float) -> list[Any]:
        """A fresh session, or what the page's link says: all views, then the task and seed that the page begins at."""
        if len(self.open) >= MOST_TABS:  # pages that never said goodbye
            self._close(next(iter(self.open)))
        query = dict(request.query_params)
        session = Session(self.models)
        session.start(self.models.tasks[0], 10_000)
        try:
            if "task" in query:
                session = session_from(self.models, query)
        except UserError as error:
            complain(error)
        folder = tempfile.TemporaryDirectory(prefix="inspector-", ignore_cleanup_errors=True)
        tab = self.open[str(request.session_hash)] = Tab(session, folder)
        origin = session.branch.origin
        return [*self.shown(request, tab, gain), origin.task, max(origin.seed, 0)]

    def of(self, request: gr.Request) -> Tab:
        """The tab that asks. Raises gr.Error if it is older than the server."""
        tab = self.open.get(str(request.session_hash))
        if tab is None:
            raise gr.Error("This page is older than the server: reload it. A link brings a branch back.")
        return tab

    def closed(self, request: gr.Request) -> None:
        """Frees what the tab had."""
        self._close(str(request.session_hash))

    def doing(self, action: Action) -> Callable[..., list[Any]]:
        """A handler: the session and the inputs go into the action, what there is to see comes out. What is refused
        is said, and changes nothing."""

        def handler(request: gr.Request, gain: float, *inputs: Any) -> list[Any]:
            tab = self.of(request)
            try:
                action(tab.session, *inputs)
            except UserError as error:
                complain(error)
            return self.shown(request, tab, gain)

        return handler

    def telling(self, action: Action, count: int) -> Callable[..., Any]:
        """A handler of what leaves the session as it is: tab and inputs in, `count` values out, or a message."""

        def handler(request: gr.Request, *inputs: Any) -> Any:
            try:
                values = action(self.of(request), *inputs)
            except UserError as error:
                complain(error)
                values = (gr.skip(),) * count
            return values if count > 1 else values[0]

        return handler

    def shown(self, request: gr.Request, tab: Tab, gain: float) -> list[Any]:
        """Values of all views: what the session shows, then where it stands, then its switches.
        Controls that stay as they were told are left alone, since the page takes its time with each."""
        session = tab.session
        names = list(session.branches)
        others = [name for name in names if name != session.name]
        crew = pilots(session)
        standing = [
            gr.update(choices=names, value=session.name),
            gr.update(maximum=max(len(session.branch.steps), 1), value=session.position),
            gr.update(choices=others, value=others[-1] if others else None),
            gr.update(choices=crew),
            self._link(request, session),
        ]
        fresh = [*standing, *asdict(session.switches).values()]
        before, tab.told = tab.told, fresh
        if before and fresh != before:  # else something was refused, which a control may still show
            fresh = [new if new != old else gr.skip() for new, old in zip(fresh, before, strict=True)]
        return [*view(session, gain), *fresh]

    def _link(self, request: gr.Request, session: Session) -> str:
        try:
            return f"http://{request.headers.get('host', '')}/?{write_link(session.branch, session.switches)}"
        except UserError as error:
            return str(error)

    def _close(self, key: str) -> None:
        tab = self.open.pop(key, None)
        if tab is not None:
            tab.folder.cleanup()


def complain(error: UserError) -> None:
    """One message in the page; what it quotes is text, not HTML."""
    gr.Warning(plain(error), title="Not possible")
