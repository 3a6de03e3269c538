"""The hallucination gallery: mined cases, kept small for notebooks, the inspector and the report.

In: paired rollouts with their videos. Out: a folder with two HDF5 files (imagined.hdf5, real.hdf5: case by case the
same start and actions), `cases.json` that says what each case is, and `readouts.safetensors`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wovr_lab.episodes import EpisodeStore, write_episodes
from wovr_lab.measure.paired import PairedRollouts
from wovr_lab.measure.tabletop.horizon import object_error
from wovr_lab.runs import load_tensors, read_rows, replacing, save_tensors, write_json
from wovr_lab.types import Episode, Rollouts

KINDS = ("imagined_only", "real_only", "lost_object")  # the most telling first
LOST_CM = 5.0
READOUTS = ("found", "truth", "probability")


@dataclass(frozen=True)
class Case:
    """One hallucination: both videos, what the probe reads in the imagined one, the truth, the reward's opinion."""

    about: dict[str, Any]  # kind, policy, world, start, task, seed, step, object_cm (the cube's largest error)
    imagined: Episode
    real: Episode
    found: np.ndarray  # float32 [T + 1, 10], see `probes.COLUMNS`
    truth: np.ndarray  # float32 [T + 1, 10]
    probability: np.ndarray  # float32 [T]


def hardest_cases(
    pairs: PairedRollouts, imagined: Rollouts, real: Rollouts, about: dict[str, Any], each: int = 2
) -> list[Case]:
    """At most `each` cases of a kind, largest error of the task's cube first, tasks in turn. "lost_object" are errors
    of more than 5 cm where both worlds judge alike."""
    outcomes, error = pairs.outcomes, object_error(pairs).max(1)
    agree = outcomes.imagined == outcomes.real
    wanted = (outcomes.imagined & ~agree, outcomes.real & ~agree, agree & (error > LOST_CM))
    imagined_episodes, real_episodes, cases = imagined.episodes(), real.episodes(), []
    for kind, mask in zip(KINDS, wanted, strict=True):
        rows = sorted(np.flatnonzero(mask).tolist(), key=lambda row: -error[row])
        for row in _tasks_in_turn(rows, pairs.tasks)[:each]:
            start = imagined.starts[row]
            facts = {"task": start.task, "seed": start.seed, "step": start.step, "object_cm": float(error[row])}
            readouts = {name: getattr(pairs, name)[row] for name in READOUTS}
            cases.append(Case({"kind": kind} | about | facts, imagined_episodes[row], real_episodes[row], **readouts))
    return cases


def _tasks_in_turn(rows: Sequence[int], tasks: Sequence[str]) -> list[int]:
    """The best of every task, then the second best of every task, and so on."""
    seen: Counter[str] = Counter()
    turns = {}
    for row in rows:
        turns[row] = seen[tasks[row]]
        seen[tasks[row]] += 1
    return sorted(rows, key=turns.__getitem__)


def write_gallery(folder: Path, cases: Sequence[Case]) -> None:
    """Writes the cases whole or not at all; without any, a list of none."""
    with replacing(folder, "gallery") as partial:
        if cases:
            write_episodes(partial / "imagined.hdf5", [case.imagined for case in cases])
            write_episodes(partial / "real.hdf5", [case.real for case in cases])
        readouts = {
            f"{number}.{name}": torch.as_tensor(getattr(case, name))
            for number, case in enumerate(cases)
            for name in READOUTS
        }
        save_tensors(partial / "readouts.safetensors", readouts)
        write_json(partial / "cases.json", [case.about for case in cases])


def read_gallery(folder: Path) -> list[Case]:
    """Every case below `folder`, the most telling kinds first. Raises UserError if a file is missing or damaged."""
    cases = []
    for path in sorted(folder.rglob("cases.json")):
        listed = read_rows(path, kind=str, task=str)
        if not listed:
            continue
        readouts = load_tensors(path.parent / "readouts.safetensors")
        imagined, real = (EpisodeStore([path.parent / f"{world}.hdf5"]) for world in ("imagined", "real"))
        for number, about in enumerate(listed):
            values = {name: readouts[f"{number}.{name}"].numpy() for name in READOUTS}
            cases.append(Case(about, imagined[number], real[number], **values))
    return sorted(cases, key=lambda case: KINDS.index(case.about["kind"]))
