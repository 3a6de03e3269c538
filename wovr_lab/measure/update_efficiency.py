"""What an imagined update is worth: how much of what GRPO learns in imagination would a real group have told it too?

GRPO learns from differences within groups that share a start. To first order, a step along the advantages A raises real
success in proportion to the mean of A * real success. In: outcomes of the same actions in both worlds, group by group.
Out: that gain under imagined advantages as a share of the gain under real ones: 1 is as good as real rollouts, 0 noise.
"""

from __future__ import annotations

import numpy as np

from wovr_lab.measure.intervals import bootstrapped
from wovr_lab.types import Interval


def update_efficiency(imagined: np.ndarray, real: np.ndarray) -> float | None:
    """bool [groups, G] each -> the share, advantages divided by their group's deviation; None where no real group has
    both outcomes, so that nothing could have been learnt."""
    own = _gain(real, real)
    return _gain(imagined, real) / own if own else None


def update_efficiency_interval(imagined: np.ndarray, real: np.ndarray) -> Interval | None:
    """`update_efficiency` with a 95 % bootstrap interval over the groups that are mixed in either world; None as
    there."""
    told = _is_mixed(imagined) | _is_mixed(real)
    if not _is_mixed(real).any():
        return None
    return bootstrapped(lambda rows: update_efficiency(imagined[rows], real[rows]) or 0.0, np.flatnonzero(told))


def _gain(judged: np.ndarray, real: np.ndarray) -> float:
    """Mean over groups of the covariance of both outcomes, divided by the deviation of the judged ones."""
    first, second = judged.astype(float), real.astype(float)
    together = (first * second).mean(1) - first.mean(1) * second.mean(1)
    deviation = first.std(1)
    return float(np.divide(together, deviation, out=np.zeros_like(together), where=_is_mixed(judged)).mean())


def _is_mixed(outcomes: np.ndarray) -> np.ndarray:
    return outcomes.any(1) & ~outcomes.all(1)
