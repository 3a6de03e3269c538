"""What a reset is given, looked at before anything is done with it: options, seeds, and the starts of rollouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from wovr_lab.borders import as_floats, as_frames
from wovr_lab.errors import UserError, warn
from wovr_lab.fields import Natural, check
from wovr_lab.types import ACTION_DIM, MEMORY, Start


def reset_options(options: Any, known: Sequence[str]) -> dict[str, Any]:
    """The options that were given; None is as good as none. Raises UserError on one that is not known."""
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise UserError(f"reset options are a dictionary, not {type(options).__name__}; known: {', '.join(known)}")
    unknown = sorted(str(name) for name in options if name not in known)
    if unknown:
        raise UserError(f"unknown reset options {unknown}; this environment knows {', '.join(known)}")
    return {name: value for name, value in options.items() if value is not None}


def seeds_of(seed: Any) -> tuple[int, tuple[int, ...]]:
    """The seed of a reset, drawn where there is none; and those of the rows, where there is a list of them."""
    if isinstance(seed, list | tuple | np.ndarray):
        rows = tuple(int(check("a seed", each, Natural)) for each in seed)
        return int(np.random.SeedSequence(rows).generate_state(1)[0] % 2**31), rows
    if seed is None:
        return int(np.random.SeedSequence().entropy % 2**31), ()
    return int(check("seed", seed, Natural)), ()


def check_start(start: Any, frame: tuple[int, ...]) -> None:
    """Raises UserError naming what of a start cannot be used in a world of such frames; warns of black pictures."""
    if not isinstance(start, Start):
        raise UserError(f"a start must be a Start (wovr_lab.types), not {type(start).__name__}: {str(start)[:60]}")
    name = f"the start of {start.task!r} at action {start.step}"
    if not isinstance(start.instruction, str) or not isinstance(start.task, str):
        raise UserError(f"{name} must have a task and an instruction that are text, not {start.instruction!r}")
    check(f"{name}: step", start.step, Natural)
    if as_frames(start.anchor, f"{name}: its anchor").shape != frame:
        raise UserError(f"a start of {start.anchor.shape} in an environment of {frame} frames")
    if as_frames(start.memory, f"{name}: its memory").shape != (MEMORY, *frame):
        raise UserError(f"{name}: its memory is {np.shape(start.memory)}, {(MEMORY, *frame)} is needed")
    as_floats(start.memory_actions, f"{name}: its memory_actions", (MEMORY, ACTION_DIM))
    if start.proprio is not None:
        as_floats(start.proprio, f"{name}: its proprio", (MEMORY, *np.shape(start.proprio)[1:]))
    if not np.any(start.anchor) or not np.any(start.memory, axis=(1, 2, 3)).all():
        warn(f"{name} has a picture that is black all over; look at where it comes from")
