"""What a set of episodes amounts to: how many, how long, how often successful, and how their actions are spread."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from wovr_lab.episodes.reading import EpisodeSummary
from wovr_lab.errors import UserError


@dataclass(frozen=True)
class TaskStatistics:
    """The episodes of one task."""

    task: str
    episodes: int
    frames: int  # one more than actions in each episode
    success_rate: float
    mean_length: float  # actions


@dataclass(frozen=True)
class Statistics:
    """Each task in alphabetical order, and the executed actions of all of them together."""

    tasks: tuple[TaskStatistics, ...]
    action_mean: np.ndarray  # float64 [7]
    action_std: np.ndarray  # float64 [7], of the population
    action_min: np.ndarray  # float64 [7]
    action_max: np.ndarray  # float64 [7]


def statistics_of(summaries: Sequence[EpisodeSummary], actions: Iterable[np.ndarray]) -> Statistics:
    """From the summaries and the actions [T, 7] of the same episodes. Raises UserError if there are none."""
    if not summaries:
        raise UserError("there are no episodes to take statistics of; check the selection or collect some first")
    every = np.concatenate(list(actions)).astype(np.float64)
    return Statistics(
        tasks=tuple(_task_statistics(task, summaries) for task in sorted({each.task for each in summaries})),
        action_mean=every.mean(axis=0),
        action_std=every.std(axis=0),
        action_min=every.min(axis=0),
        action_max=every.max(axis=0),
    )


def _task_statistics(task: str, summaries: Sequence[EpisodeSummary]) -> TaskStatistics:
    chosen = [each for each in summaries if each.task == task]
    return TaskStatistics(
        task=task,
        episodes=len(chosen),
        frames=sum(each.length + 1 for each in chosen),
        success_rate=float(np.mean([each.success for each in chosen])),
        mean_length=float(np.mean([each.length for each in chosen])),
    )
