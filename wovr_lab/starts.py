"""Where rollouts begin (paper section 3, KIR): initial states, keyframes near decisive moments, or a mixture.

In: real episodes. Out: `Start`s: the context [o_0, o_{k-3..k}], and the simulator state where it is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from wovr_lab.episodes.store import EpisodeStore
from wovr_lab.errors import UserError
from wovr_lab.fields import Share, configuration
from wovr_lab.runs import read_json, write_json
from wovr_lab.types import CHUNK, MEMORY, NOOP, Episode, Start

KEYFRAME = {"task": str, "seed": int, "step": int}  # what a file says of each


def start_at(episode: Episode, step: int) -> Start:
    """The start at frame `step` of an episode. Raises UserError outside the episode."""
    if not 0 <= step <= len(episode):
        raise UserError(f"step {step} is outside an episode of {len(episode)} actions")
    memory = np.arange(step - MEMORY + 1, step + 1)
    produced = np.concatenate([NOOP[None], episode.actions])
    return Start(
        task=episode.task,
        instruction=episode.instruction,
        anchor=episode.frames[0],
        memory=episode.frames[memory.clip(0)],
        memory_actions=produced[memory.clip(0)],
        step=step,
        seed=episode.seed,
        state=None if episode.states is None else episode.states[step],
        proprio=None if episode.proprio is None else episode.proprio[memory.clip(0)],
    )


class Starts(Protocol):
    """Anything that starts can be drawn from."""

    def draw(self, count: int, rng: np.random.Generator) -> list[Start]: ...


@dataclass(frozen=True)
class InitialStarts:
    """No KIR: every rollout begins at an initial state."""

    starts: tuple[Start, ...]

    def __post_init__(self) -> None:
        if not self.starts:
            raise UserError("no starts to draw from; collect episodes of these tasks first")

    def draw(self, count: int, rng: np.random.Generator) -> list[Start]:
        """`count` starts, tasks in turn, so that every task gets its share."""
        return _draw_by_task(self.starts, count, rng)


@dataclass(frozen=True)
class KeyframeStarts(InitialStarts):
    """KIR: every rollout begins at a keyframe."""


@configuration
class MixedStarts:
    """A share of keyframe starts, the rest initial ones; the share is stated, never implied by file counts."""

    initial: Starts
    keyframes: Starts
    keyframe_share: Share = 0.5

    def draw(self, count: int, rng: np.random.Generator) -> list[Start]:
        """A rounded share of the `count` starts are keyframes; which rounding is drawn."""
        keyframes = int(np.floor(self.keyframe_share * count + rng.random()))
        return self.keyframes.draw(keyframes, rng) + self.initial.draw(count - keyframes, rng)


def _draw_by_task(starts: Sequence[Start], count: int, rng: np.random.Generator) -> list[Start]:
    by_task: dict[str, list[Start]] = {}
    for start in starts:
        by_task.setdefault(start.task, []).append(start)
    tasks = sorted(by_task)
    first = int(rng.integers(len(tasks)))
    chosen = [by_task[tasks[(first + draw) % len(tasks)]] for draw in range(count)]
    return [options[int(rng.integers(len(options)))] for options in chosen]


def keyframe_steps(store: EpisodeStore, lead: int = 12) -> dict[str, int]:
    """One fixed keyframe index a task, as in the paper: `lead` actions before the median first success of its episodes.

    Tasks without a success get the middle of their episodes.
    """
    steps: dict[str, int] = {}
    for task in sorted({summary.task for summary in store.summaries}):
        hits = [episode.first_success for episode in store.select(task=task, success=True)]
        middle = np.median([summary.length for summary in store.summaries if summary.task == task]) / 2
        steps[task] = max(1, round(float(np.median(hits) - lead if hits else middle)))
    return steps


def keyframes(store: EpisodeStore, lead: int = 12, spread: int = 4) -> list[Start]:
    """Keyframes of real rollouts, near decisive and failure states: around the task's index, `spread` steps before and
    after it too (0: the index alone, as the paper has it)."""
    steps = keyframe_steps(store, lead)
    offsets = (-spread, 0, spread) if spread else (0,)
    found = []
    for episode in store:
        limit = episode.first_success if episode.first_success >= 0 else len(episode) - CHUNK
        candidates = {max(1, steps[episode.task] + offset) for offset in offsets}
        found += [start_at(episode, step) for step in sorted(candidates) if step < limit]
    return found


def export_keyframes(path: Path, starts: Sequence[Start]) -> None:
    """Writes keyframes as JSON entries of (task, seed, step); with their episodes, `import_keyframes` reads them."""
    write_json(path, [{"task": start.task, "seed": start.seed, "step": start.step} for start in starts])


def import_keyframes(path: Path, store: EpisodeStore) -> list[Start]:
    """The keyframes listed in a file, cut from these episodes.

    Raises UserError for one whose episode is not there, or is there more than once, so that it is not known which.
    """
    rows: dict[tuple[str, int], list[int]] = {}
    for row, summary in enumerate(store.summaries):
        rows.setdefault((summary.task, summary.seed), []).append(row)
    wanted = _keyframe_entries(path)
    missing = sorted(wanted.keys() - rows.keys())
    if missing:
        raise UserError(f"{path} names episodes that are not in the store: {missing[0]}; give their files too")
    unclear = sorted(key for key in wanted if len(rows[key]) > 1)
    if unclear:
        raise UserError(
            f"the store holds more than one episode of {unclear[0]}, which {path} names; give one file only"
        )
    starts = []
    for key, steps in wanted.items():
        episode = store[rows[key][0]]
        starts += [start_at(episode, step) for step in steps]
    return starts


def _keyframe_entries(path: Path) -> dict[tuple[str, int], list[int]]:
    """The steps by (task, seed) that a keyframe file lists."""
    entries = read_json(path)
    if not isinstance(entries, list):
        raise UserError(f"{path} is no list of keyframes; write it with export_keyframes")
    wanted: dict[tuple[str, int], list[int]] = {}
    for entry in entries:
        named = entry if isinstance(entry, dict) else {}
        if {name: type(named.get(name)) for name in KEYFRAME} != KEYFRAME or named["step"] < 0:
            raise UserError(f"{path}: {str(entry)[:80]} is no keyframe; each needs task, seed and step")
        wanted.setdefault((entry["task"], entry["seed"]), []).append(entry["step"])
    return wanted
