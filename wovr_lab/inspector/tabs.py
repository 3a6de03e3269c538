"""Who is looking: a session for every open tab, kept for an hour after it closes, and what a handler does with it."""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import gradio as gr

from wovr_lab.errors import UserError
from wovr_lab.figures.style import plain
from wovr_lab.inspector.autopilot import pilots
from wovr_lab.inspector.links import Gallery, session_from, write_link
from wovr_lab.inspector.models import RunModels
from wovr_lab.inspector.page import WORDS, Sent, payload, rail_of
from wovr_lab.inspector.recorder import Recorder
from wovr_lab.inspector.scenes import Scene, rail
from wovr_lab.inspector.session import Session

MOST_TABS, KEPT_FOR = 64, 3600  # open ones, and as many closed ones; seconds for which a closed one can be reopened
FIRST_SEED = 10_000  # where the page begins if the run has no recording
# One at a time, and no progress shown on any output: even hidden, Gradio would draw each of them anew at every frame.
ALONE = {
    "concurrency_id": "worlds", "concurrency_limit": 1, "api_visibility": "private",
    "show_progress": "hidden", "show_progress_on": [],
}  # fmt: skip
SHOWS = ALONE | {"postprocess": False}  # what `shown` gives is as the page takes it
Action = Callable[..., object]


@dataclass
class Tab:
    """A session, a folder for its downloads, and what its page was told."""

    session: Session
    folder: tempfile.TemporaryDirectory
    key: str = field(default_factory=lambda: secrets.token_urlsafe(12))  # by which its address finds it again
    sent: Sent = field(default_factory=Sent)
    told: list[Any] = field(default_factory=list)


class Tabs:
    """The sessions by tab."""

    def __init__(
        self, models: RunModels, gallery: Gallery, clock: Callable[[], float] = time.monotonic, root: str = "/"
    ):
        """`root` is the path or the address at which browsers find the page."""
        self.models, self.gallery, self.root, self.clock = models, gallery, root, clock
        self.recorder = Recorder(gallery.folder / "recorded")
        self.open: dict[str, Tab] = {}
        self.closed_ones: dict[str, tuple[float, Session]] = {}  # by key: until when, and what

    @cached_property
    def scenes(self) -> list[Scene]:
        """The rail, read once."""
        return rail(self.models)

    def opened(self, request: gr.Request) -> list[Any]:
        """What the page's address says, else a recorded rollout that plays, else a fresh session."""
        if len(self.open) >= MOST_TABS:  # pages that never said goodbye
            self._close(next(iter(self.open)))
        query = dict(request.query_params)
        session = self._reopened(query)
        is_gone = session is None and "session" in query
        if session is None:
            session = self._begun(query)
        folder = tempfile.TemporaryDirectory(prefix="inspector-", ignore_cleanup_errors=True)
        tab = self.open[str(request.session_hash)] = Tab(session, folder)
        plays = bool(self.scenes) and session.branch is self.scenes[0].branch and not session.position
        more = {"rail": rail_of(self.scenes), "words": WORDS, "gone": is_gone, "plays": plays}
        origin = session.branch.origin
        return [*self.shown(request, tab, more), origin.task, max(origin.seed, 0)]

    def _reopened(self, query: dict[str, str]) -> Session | None:
        """A session that goes on where the one of this key stands, and at the step that the address names."""
        session, key = Session(self.models), query.get("session", "")
        alive = [tab.session for tab in self.open.values() if tab.key == key]
        until, closed = self.closed_ones.get(key, (0.0, None))
        if closed is not None and until > self.clock():
            alive.append(closed)
        if not alive:
            return None
        session.become(alive[0])
        if query.get("branch") in session.branches and query.get("step", "").isdecimal():
            session.select(query["branch"])
            session.rewind(min(int(query["step"]), len(session.branch.steps)))
        return session

    def _begun(self, query: dict[str, str]) -> Session:
        """A session as a link says, or at a recorded rollout, or at an initial state."""
        try:
            if "task" in query:
                return session_from(self.models, query)
        except UserError as error:
            complain(error)
        session = Session(self.models)
        if self.scenes and "task" not in query:
            session.start_scene(self.scenes[0])
        else:
            session.start(self.models.tasks[0], FIRST_SEED)
        return session

    def of(self, request: gr.Request) -> Tab:
        """The tab that asks. Raises gr.Error if it is older than the server."""
        tab = self.open.get(str(request.session_hash))
        if tab is None:
            raise gr.Error("This page is older than the server: reload it. A link brings a branch back.")
        return tab

    def closed(self, request: gr.Request) -> None:
        """Frees what the tab had, but for its session, which its address finds for an hour."""
        self._close(str(request.session_hash))

    def doing(self, action: Action, labels: Sequence[str] = ()) -> Callable[..., list[Any]]:
        """A handler: the session and the inputs go into the action, what there is to see comes out. What is refused
        is said, and changes nothing. Inputs that have `labels` must not be empty."""

        def handler(request: gr.Request, *inputs: Any) -> list[Any]:
            tab = self.of(request)
            before = tab.session.branch
            try:
                if empty := [label for label, value in zip(labels, inputs, strict=False) if label and value is None]:
                    raise UserError(f"{empty[0]}: nothing is given; type a number")
                action(tab.session, *inputs)
            except UserError as error:
                complain(error)
            branch = tab.session.branch
            is_scene = any(branch is scene.branch for scene in self.scenes)
            return self.shown(request, tab, {"plays": is_scene and branch is not before})

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

    def record(self, tab: Tab) -> tuple[str]:
        """Keeps the branch of a tab as an episode, says where, and gives the path."""
        path = self.recorder.record(tab.session)
        gr.Info(
            plain(f"{path} holds what really happened; wovr-lab convert {path.parent} OUT --to lerobot"),
            title="Recorded",
        )
        return (str(path),)

    def shown(self, request: gr.Request, tab: Tab, more: dict[str, Any]) -> list[Any]:
        """Values of all views: what the page's scripts are told, then the side panel's controls.
        Controls that stay as they were told are left alone, since the page takes its time with each."""
        session = tab.session
        others = [name for name in session.branches if name != session.name]
        scene = next((n for n, scene in enumerate(self.scenes) if scene.branch is session.branch), None)
        query, link = self._link(request, session)
        more |= {"session": tab.key, "scene": scene, "link": query}
        more["caption"] = self._caption(session, scene)
        fresh = [
            gr.update(choices=others, value=others[-1] if others else None),
            gr.update(choices=pilots(session)),
            link,
            *asdict(session.switches).values(),
        ]
        before, tab.told = tab.told, fresh
        if before and fresh != before:  # else something was refused, which a control may still show
            fresh = [new if new != old else gr.skip() for new, old in zip(fresh, before, strict=True)]
        return [payload(session, tab.sent, more), *fresh]

    def _caption(self, session: Session, scene: int | None) -> str:
        if scene is not None:
            return self.scenes[scene].caption
        if not session.branch.steps:
            return "Press a key: W A S D move the hand, in the world model and in the simulator."
        return (
            f"You are driving: branch “{session.name}”. Z goes back, Shift+Z forth; acting earlier makes a new branch."
        )

    def _link(self, request: gr.Request, session: Session) -> tuple[str, str]:
        """The query of a link to the current branch, and the whole link; "" and the reason where there is none."""
        try:
            query = write_link(session.branch, session.switches)
        except UserError as error:
            return "", str(error)
        own = self.root if "//" in self.root else f"http://{request.headers.get('host', '')}{self.root}"
        return query, f"{own.rstrip('/')}/?{query}"

    def _close(self, name: str) -> None:
        tab = self.open.pop(name, None)
        if tab is None:
            return
        tab.folder.cleanup()
        now = self.clock()
        kept = {key: (until, session) for key, (until, session) in self.closed_ones.items() if until > now}
        kept[tab.key] = (now + KEPT_FOR, tab.session)
        self.closed_ones = dict(list(kept.items())[-MOST_TABS:])


def complain(error: UserError) -> None:
    """One message in the page; what it quotes is text, not HTML."""
    gr.Warning(plain(error), title="Not possible")
