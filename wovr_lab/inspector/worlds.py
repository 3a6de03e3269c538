"""The world models of a run by the names under which people choose them.

In: a run folder. Out: names, in the order in which a run makes them: "base", after each round the one kept up with the
policy ("improved") and the one that PACE refined ("evolved", "evolved_2", ...), "final".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

BASE, FINAL = "base", "final"
LATER = re.compile(r"[a-z]+(_\d+)?")


def world_names(run: Path) -> tuple[str, ...]:
    """Those that have a reward beside them; "base" in any case, since nothing goes without it."""
    found = [path.name.removeprefix("world_") for path in run.glob("checkpoints/world_*") if path.is_dir()]
    later = [name for name in found if LATER.fullmatch(name) and checkpoint_folder(run, "reward", name).is_dir()]
    return (BASE, *sorted(later, key=_turn))


def checkpoint_folder(run: Path, kind: str, name: str) -> Path:
    """Where the "world" or the "reward" of that name lies."""
    return run / "checkpoints" / (kind if name == BASE else f"{kind}_{name}")


def last_refined(names: Sequence[str]) -> str:
    """The one that the last policy was improved in: what PACE refined last, else the first."""
    return [name for name in names if name == BASE or name.startswith("evolved")][-1]


def _turn(name: str) -> tuple[bool, int, bool]:
    number = name.rpartition("_")[2]
    return name == FINAL, int(number) if number.isdecimal() else 1, not name.startswith("improved")
