"""A branch as a link and back: start, switches and actions exactly, so that the same link gives the same frames.

In: a branch and the switches. Out: a URL query; the moves are packed as JSON and raw float32, compressed, base64. What
comes in from a link is nobody's friend: sizes are limited and everything is checked before anything is done.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import numpy as np

from wovr_lab.errors import UserError
from wovr_lab.inspector.models import RunModels
from wovr_lab.inspector.session import MOST_STEPS, Session
from wovr_lab.inspector.timeline import Branch, Origin, Step, Switches
from wovr_lab.runs import read_object, write_json
from wovr_lab.types import ACTION_DIM, CHUNK

LONGEST, LARGEST = 60_000, 2**20  # characters of packed moves, bytes unpacked
LENGTHS = {"chunk": CHUNK, "action": 1, "re-anchor": 0}
UPLOAD = "upload"


def write_link(branch: Branch, switches: Switches) -> str:
    """The URL query of a branch. Raises UserError if it begins in an uploaded file, which nobody else has."""
    origin = branch.origin
    if origin.source == UPLOAD:
        raise UserError("this branch begins in an uploaded file, so a link cannot restore it; download it instead")
    place = {"task": origin.task, "seed": origin.seed}
    if origin.source:
        place |= {"source": origin.source, "index": origin.index, "step": origin.step}
    return urlencode(place | {"moves": _pack(branch.steps, switches)})


def session_from(models: RunModels, query: str | Mapping[str, str]) -> Session:
    """A session that has done what the link says. Raises UserError if the link is malformed or fits another run."""
    given = dict(parse_qsl(query.lstrip("?"))) if isinstance(query, str) else dict(query)
    origin = _origin(given)
    moves, switches = _unpack(given["moves"]) if "moves" in given else ([], None)
    session = Session(models)
    first = moves[0][1] if moves else switches
    if first is not None:
        session.switch(**asdict(first))
    if origin.source:
        session.start_recorded(origin)
    else:
        session.start(origin.task, origin.seed)
    for kind, chosen, actions in moves:
        session.switch(**asdict(chosen))
        if kind == "re-anchor":
            session.reanchor()
        else:
            session.step(actions)
    if switches is not None:
        session.switch(**asdict(switches))
    return session


def _origin(given: Mapping[str, str]) -> Origin:
    if "task" not in given:
        raise _damaged("it names no task")
    try:
        numbers = {name: int(given.get(name, default)) for name, default in (("seed", 0), ("index", 0), ("step", 0))}
    except ValueError as error:
        raise _damaged(str(error)) from error
    if any(abs(number) > 2**62 for number in numbers.values()):
        raise _damaged("its numbers are too large")
    return Origin(given["task"], source=given.get("source", ""), **numbers)


def _pack(steps: tuple[Step, ...], switches: Switches) -> str:
    settings = list(dict.fromkeys([*(step.switches for step in steps), switches]))
    head = {
        "settings": [asdict(setting) for setting in settings],
        "moves": [[step.kind, settings.index(step.switches)] for step in steps],
        "now": settings.index(switches),
    }
    actions = b"".join(step.actions.astype("<f4").tobytes() for step in steps)
    packed = zlib.compress(json.dumps(head).encode() + b"\0" + actions, 9)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _unpack(text: str) -> tuple[list[tuple[str, Switches, np.ndarray]], Switches]:
    if len(text) > LONGEST:
        raise _damaged("it is too long")
    try:
        packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        raw = zlib.decompressobj().decompress(packed, LARGEST)
        head, actions = raw.split(b"\0", 1)
        found = json.loads(head)
        settings = [_switches(setting) for setting in found["settings"]]
        moves = [(str(kind), settings[index]) for kind, index in found["moves"]]
        numbers = np.frombuffer(actions, "<f4").reshape(-1, ACTION_DIM)
        lengths = [LENGTHS[kind] for kind, _ in moves]
        now = settings[found["now"]]
    except (binascii.Error, zlib.error, ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
        raise _damaged(type(error).__name__) from error
    if len(moves) > MOST_STEPS or sum(lengths) != len(numbers):
        raise _damaged("its moves and its actions do not fit each other")
    parts = np.split(numbers, np.cumsum(lengths)[:-1]) if moves else []
    return [(kind, chosen, part) for (kind, chosen), part in zip(moves, parts, strict=True)], now


def _switches(setting: dict[str, Any]) -> Switches:
    """Raises TypeError on values of another type, UserError on impossible ones."""
    for field in fields(Switches):
        wanted = type(field.default)
        if type(setting[field.name]) is not wanted:
            raise TypeError(f"{field.name} is no {wanted.__name__}")
    return Switches(**setting)


def _damaged(reason: str) -> UserError:
    return UserError(f"this link cannot be followed ({reason}); copy it again, whole, from the page that made it")


class Gallery:
    """Links kept under a name, one JSON file each, so that a restart loses none."""

    def __init__(self, folder: Path):
        self.folder = folder

    def save(self, name: str, query: str) -> None:
        """Raises UserError on a name that is no plain word or is taken."""
        if not re.fullmatch(r"[\w][\w .-]{0,39}", name):
            raise UserError("a name in the gallery has 1 to 40 letters, digits, spaces, dots or dashes")
        path = self.folder / f"{name}.json"
        if path.exists():
            raise UserError(f"the gallery has a {name!r} already; choose another name")
        write_json(path, {"link": query})

    def names(self) -> list[str]:
        """What is kept."""
        return sorted(path.stem for path in self.folder.glob("*.json"))

    def link(self, name: str) -> str:
        """The query kept under that name. Raises UserError if there is none."""
        if name not in self.names():
            raise UserError(f"the gallery has no {name!r}; it has {', '.join(self.names()) or 'nothing'}")
        return read_object(self.folder / f"{name}.json", link=str)["link"]
