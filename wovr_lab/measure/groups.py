"""What GRPO can live on: does a simulator tell the better of two rollouts that began alike? (not in the paper)

In: outcomes of the same actions in both worlds, group by group; the G rollouts of a group share a start. Out: their
correlation once each group's mean is taken off, since an advantage is a difference within a group: a simulator that
only knows which starts are easy teaches nothing.
"""

from __future__ import annotations

import numpy as np

from wovr_lab.measure.intervals import bootstrapped
from wovr_lab.types import Interval


def within_group_correlation(judged: np.ndarray, real: np.ndarray) -> float:
    """Pearson's r of outcomes [groups, G], each centred on its group's mean, pooled over groups; 0 where one of both
    is the same throughout every group."""
    first, second = (each - each.mean(1, keepdims=True) for each in (judged.astype(float), real.astype(float)))
    norm = np.sqrt((first**2).sum() * (second**2).sum())
    return float((first * second).sum() / norm) if norm else 0.0


def correlation_interval(judged: np.ndarray, real: np.ndarray) -> Interval:
    """`within_group_correlation` with a 95 % bootstrap interval over groups; `n` counts the groups."""
    rows = np.arange(len(judged))
    return bootstrapped(lambda chosen: within_group_correlation(judged[chosen], real[chosen]), rows)
