"""What a person does on the page, as the scripts say it: a small dictionary in, a changed session out.

What comes from a browser is checked here, and nowhere else: names and numbers of the types that are expected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wovr_lab.errors import UserError
from wovr_lab.inspector.keys import direction_chunk
from wovr_lab.inspector.scenes import Scene
from wovr_lab.inspector.session import Session


@dataclass(frozen=True)
class KeyPress:
    """What one key press means."""

    actions: int  # 8, a chunk, or 1
    strength: float  # of a full action, (0, 1]
    previews: bool  # whether it waits for Enter


def perform(session: Session, scenes: Sequence[Scene], deed: Mapping[str, Any], meant: KeyPress) -> None:
    """Does what the page says. Raises UserError on what is not possible, or on a message that the page never sends."""
    name = deed.get("do")
    if name == "scene":
        session.start_scene(scenes[_number(deed, "index", len(scenes) - 1)])
        return
    if deed.get("branch") not in (None, session.name):
        session.select(str(deed["branch"]))
    if deed.get("at") is not None:
        position = _number(deed, "at", len(session.branch.steps))
        if position != session.position:
            session.rewind(position)
    if name == "key":
        actions = direction_chunk(str(deed.get("key")), session.state.gripper, meant.strength)
        session.preview(actions[: meant.actions])
        if not meant.previews:
            session.commit()
    elif name in SIMPLE:
        SIMPLE[name](session)
    elif name != "go":
        raise UserError(f"the page said {str(name)[:40]!r}, which means nothing here; reload it")


SIMPLE = {"commit": Session.commit, "undo": Session.undo, "redo": Session.redo}


def _number(deed: Mapping[str, Any], name: str, most: int) -> int:
    number = deed.get(name)
    if type(number) is not int or not 0 <= number <= most:
        raise UserError(f"{name} is {str(number)[:40]!r}; a whole number from 0 to {most} is needed; reload the page")
    return number
