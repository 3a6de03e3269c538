"""Evaluation in the real simulator: the same initial states for every policy, greedy and sampled.

In: a real chunk environment, an actor, starts that training never used. Out: outcomes by task, with intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wovr_lab.contracts import Actor, ChunkEnv
from wovr_lab.measure.intervals import mcnemar, paired_difference, rate_of
from wovr_lab.rollout import roll_out
from wovr_lab.types import Interval, Start


@dataclass(frozen=True)
class Evaluation:
    """Outcomes of one actor; rows in the order of the starts, so that two evaluations can be paired."""

    tasks: np.ndarray  # str [n]
    succeeded: np.ndarray  # bool [n]

    @property
    def overall(self) -> Interval:
        """Pooled success rate."""
        return rate_of(self.succeeded)

    def by_task(self) -> dict[str, Interval]:
        """Success rate of each task."""
        return {task: rate_of(self.succeeded[self.tasks == task]) for task in sorted(set(self.tasks.tolist()))}


def evaluate(
    env: ChunkEnv, actor: Actor, starts: Sequence[Start], run_seed: int, temperature: float, name: str = "evaluate"
) -> Evaluation:
    """One episode from each start. `name` is the random stream: give two policies the same one to pair their noise."""
    rollouts = roll_out(env, actor, starts, run_seed, name, temperature, progress=True)
    return Evaluation(np.array([start.task for start in starts]), rollouts.succeeded)


def compare(before: Evaluation, after: Evaluation) -> tuple[Interval, float]:
    """Paired difference after - before with its interval, and McNemar's p-value."""
    difference = paired_difference(before.succeeded, after.succeeded)
    return difference, mcnemar(before.succeeded, after.succeeded)
