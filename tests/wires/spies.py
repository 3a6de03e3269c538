"""Spies on real functions: what they were given and what they gave back, in a run in which nothing is replaced."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from wovr_lab.episodes import EpisodeStore
from wovr_lab.pace.settings import KIND, flattened, to_dict
from wovr_lab.runs import read_json
from wovr_lab.types import Episode


@dataclass(frozen=True)
class Call:
    """One call: its arguments by name, `self` among them, and what came of it."""

    given: dict[str, Any]
    found: Any

    def __getitem__(self, name: str) -> Any:
        return self.given[name]


@dataclass
class Seen:
    """A run, and what was seen of it."""

    folder: Path
    calls: dict[str, list[Call]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> list[Call]:
        """The calls of a function that is spied on."""
        return self.calls[name]

    def all(self, name: str, argument: str) -> list[Any]:
        """What that argument was at every call."""
        return [call[argument] for call in self.calls[name]]

    def json(self, name: str) -> Any:
        return read_json(self.folder / name)

    def episodes(self, name: str) -> list[Episode]:
        return list(EpisodeStore(self.folder / "episodes" / f"{name}.hdf5"))

    def files(self, folder: str) -> list[str]:
        return sorted(path.stem for path in (self.folder / "episodes" / folder).iterdir())

    def rows(self, phase: str) -> list[dict[str, Any]]:
        """What metrics.jsonl says of a phase."""
        import json

        found = map(json.loads, (self.folder / "metrics.jsonl").read_text().splitlines())
        return [row for row in found if row["phase"] == phase]


def spy_on(seen: Seen, name: str, place: str, patch: pytest.MonkeyPatch) -> None:
    """Notes every call of `place`, "module:function" or "module:Class.method", as `seen[name]`."""
    module, _, path = place.partition(":")
    *owners, last = path.split(".")
    owner = functools.reduce(getattr, owners, importlib.import_module(module))
    work, calls = getattr(owner, last), seen.calls.setdefault(name, [])
    signature = inspect.signature(work)

    @functools.wraps(work)
    def noted(*arguments: Any, **named: Any) -> Any:
        bound = signature.bind(*arguments, **named)
        bound.apply_defaults()
        found = work(*arguments, **named)
        calls.append(Call(dict(bound.arguments), found))
        return found

    patch.setattr(owner, last, noted)


def at(config: Any, name: str) -> Any:
    """A setting, or a part, by its dotted name."""
    return functools.reduce(getattr, name.split("."), config)


def unfollowed(part: Any, followed: Collection[str]) -> list[str]:
    """Names of the settings of `part`, those of its parts among them, that are not among the `followed`, neither
    themselves nor within what is. A schedule is asked for its rates, all its settings with it."""
    names = [name for name in flattened(to_dict(part), into_kinds=True) if name.split(".")[-1] != KIND]
    return [name for name in names if not any(_holds(each, name) for each in followed)]


def _holds(followed: str, name: str) -> bool:
    whole = followed.removesuffix(".learning_rate") if followed.endswith(".fit.learning_rate") else followed
    return f"{name}.".startswith(f"{whole}.")
