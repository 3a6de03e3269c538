"""Imagined rollouts beside what the same actions really do, frame by frame (paper section 1: hallucination).

In: `PairedRollouts`, which `tabletop.pairing` makes. Out: outcomes (confusion, over-optimism) as training would have
seen them; error by horizon and the reliability horizon are counted in `tabletop.horizon`. No rollout ends at success,
so that every horizon is seen by all; what an RL rollout would have earned is cut out afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wovr_lab.errors import UserError
from wovr_lab.measure.hallucination import PairedOutcomes
from wovr_lab.measure.intervals import paired_difference, rate_of
from wovr_lab.reward.classifier import consecutive_hits
from wovr_lab.robot import HAND, OPENING, Robot
from wovr_lab.runs import Layout, check_layout, load_tensors, save_tensors
from wovr_lab.types import CHUNK


@dataclass(frozen=True)
class PairedRollouts:
    """N imagined rollouts of T actions, and the same actions from the same starts in the real simulator."""

    tasks: tuple[str, ...]
    imagined_success: np.ndarray  # bool [N, T], latched, by the reward
    real_success: np.ndarray  # bool [N, T], latched, by the simulator
    alone: np.ndarray  # bool [N], real success of the policy acting on its own from there (closed loop)
    probability: np.ndarray  # float32 [N, T], the reward's, of the imagined frames
    psnr: np.ndarray  # float32 [N, T], of each imagined frame in dB, 99 where it is exact
    found: np.ndarray  # float32 [N, T + 1, 10], what the probe reads in imagined frames
    seen: np.ndarray  # float32 [N, T + 1, 10], what it reads in the real ones: its own error
    truth: np.ndarray  # float32 [N, T + 1, 10], what the simulator says
    imagined_violations: np.ndarray  # bool [N, 3], `tabletop.objects.VIOLATIONS` of the imagined video
    real_violations: np.ndarray  # bool [N, 3], the same rules on the real one: false alarms
    state_error: np.ndarray | None = None  # float32 [N, T, 2] in cm, of the imagined hand and opening; None unless told

    def __len__(self) -> int:
        return len(self.tasks)

    @property
    def ends(self) -> np.ndarray:
        """int64 [N]: actions until a rollout ends in training, with the chunk of its imagined success."""
        first, length = self.imagined_success.argmax(1), self.imagined_success.shape[1]
        return np.where(self.imagined_success.any(1), (first // CHUNK + 1) * CHUNK, length)

    @property
    def outcomes(self) -> PairedOutcomes:
        """Outcomes that training sees: a real success counts only within the actions until the rollout's end."""
        within = np.arange(self.real_success.shape[1]) < self.ends[:, None]
        return PairedOutcomes(self.imagined_success.any(1), (self.real_success & within).any(1))

    def select(self, rows: np.ndarray) -> PairedRollouts:
        """The rows of a mask or index."""
        tasks = tuple(np.array(self.tasks)[rows].tolist())
        return PairedRollouts(**{name: value[rows] for name, value in self._arrays().items()}, tasks=tasks)

    def _arrays(self) -> dict[str, np.ndarray]:
        """Everything but the tasks, as far as it is known."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "tasks"}
        return {name: value for name, value in values.items() if value is not None}

    def save(self, path: Path) -> None:
        """One safetensors file."""
        arrays = {name: torch.as_tensor(value) for name, value in self._arrays().items()}
        save_tensors(path, arrays | {"tasks": torch.tensor(list("\n".join(self.tasks).encode()), dtype=torch.uint8)})

    @classmethod
    def load(cls, path: Path) -> PairedRollouts:
        """Raises UserError if the file is missing or damaged."""
        tensors = load_tensors(path)
        check_layout(path, tensors, LAYOUT)
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        tasks = tuple(arrays.pop("tasks").tobytes().decode(errors="replace").split("\n"))
        if len(tasks) != len(arrays["alone"]):
            raise UserError(
                f"{path} names {len(tasks)} tasks of {len(arrays['alone'])} rollouts; measure the run again"
            )
        return cls(tasks=tasks, **arrays)


_FLAGS, _NUMBERS = Layout(torch.bool, ("N", "T")), Layout(torch.float32, ("N", "T"))
_READOUT, _VIOLATIONS = Layout(torch.float32, ("N", "T + 1", 10)), Layout(torch.bool, ("N", 3))
LAYOUT = {
    "tasks": Layout(torch.uint8, ("letters",)), "alone": Layout(torch.bool, ("N",)),
    "imagined_success": _FLAGS, "real_success": _FLAGS, "probability": _NUMBERS, "psnr": _NUMBERS,
    "found": _READOUT, "seen": _READOUT, "truth": _READOUT,
    "imagined_violations": _VIOLATIONS, "real_violations": _VIOLATIONS,
    "state_error": Layout(torch.float32, ("N", "T", 2), optional=True),
}  # fmt: skip


def outcomes_at(pairs: PairedRollouts, threshold: float, consecutive: int) -> PairedOutcomes:
    """The outcomes that another threshold of the reward would have given: `consecutive` frames in a row at or above it
    are a success. Actions stay those that were taken."""
    hits = consecutive_hits(pairs.probability >= threshold, consecutive)
    return replace(pairs, imagined_success=np.logical_or.accumulate(hits, 1)).outcomes


def state_error_cm(robot: Robot | None, imagined: np.ndarray | None, real: np.ndarray | None) -> np.ndarray | None:
    """float32 [N, T, 2]: how far the imagined hand and opening are from the real ones, in states [N, T + 1, D]; None
    where one of both is not known, or the robot has no opening."""
    if robot is None or imagined is None or real is None or OPENING not in robot.names:
        return None
    difference = imagined[:, 1:] - real[:, 1:]
    hand = np.linalg.norm(difference[..., robot.columns(*HAND)], axis=-1)
    return 100 * np.stack([hand, np.abs(difference[..., robot.columns(OPENING)[0]])], -1)


def confusion_rows(tasks: Sequence[str], outcomes: PairedOutcomes, alone: np.ndarray) -> list[dict[str, Any]]:
    """Outcomes over all tasks and by task. "paired": the same actions in both worlds; "closed_loop": the policy acting
    in each world on its own (`alone` bool [N]). Over-optimism is imagined minus real success, with a paired bootstrap
    interval."""
    rows = []
    for task in ("all", *sorted(set(tasks))):
        chosen = np.array([task in ("all", each) for each in tasks])
        paired = PairedOutcomes(outcomes.imagined[chosen], outcomes.real[chosen])
        closed = PairedOutcomes(outcomes.imagined[chosen], alone[chosen])
        row = {"task": task, "n": int(chosen.sum()), "imagined": asdict(rate_of(paired.imagined))}
        for mode, each in (("paired", paired), ("closed_loop", closed)):
            row[mode] = {
                "counts": each.counts(),
                "real": asdict(rate_of(each.real)),
                "over_optimism": asdict(paired_difference(each.real, each.imagined)),
            }
        row["paired"] |= {"precision": asdict(paired.precision), "recall": asdict(paired.recall)}
        rows.append(row)
    return rows
