"""Intervals for rates and for differences between two policies on the same starts. In: outcomes. Out: `Interval`s."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.stats import binomtest, bootstrap

from wovr_lab.seeding import stream
from wovr_lab.types import Interval

RESAMPLES = 500


def wilson(successes: int, n: int) -> Interval:
    """A rate with its 95 % Wilson interval; with n = 0 nothing is known: rate 0, interval [0, 1]."""
    if n == 0:
        return Interval(0.0, 0, 0.0, 1.0)
    bounds = binomtest(int(successes), int(n)).proportion_ci(method="wilson")
    return Interval(successes / n, int(n), float(bounds.low), float(bounds.high))


def rate_of(outcomes: np.ndarray) -> Interval:
    """`wilson` of bool [n]."""
    return wilson(int(outcomes.sum()), outcomes.size)


def difference_of_rates(first: Interval, second: Interval) -> Interval:
    """first - second of two rates with their Wilson intervals, and Newcombe's 95 % interval (1998, method 10)."""
    difference = first.rate - second.rate
    below = np.hypot(first.rate - first.low, second.high - second.rate)
    above = np.hypot(first.high - first.rate, second.rate - second.low)
    return Interval(difference, min(first.n, second.n), float(difference - below), float(difference + above))


def paired_difference(before: np.ndarray, after: np.ndarray) -> Interval:
    """after - before of outcomes or values [n] on the same starts, with a 95 % paired bootstrap interval."""
    if before.shape != after.shape or before.size == 0:
        raise ValueError(f"paired outcomes must be equally many, not {before.shape} and {after.shape}")
    change = after.astype(float) - before.astype(float)
    if (change == change[0]).all():
        return Interval(float(change[0]), change.size, float(change[0]), float(change[0]))
    bounds = bootstrap((change,), np.mean, rng=stream(0, "bootstrap"), n_resamples=2000, method="percentile")
    low, high = bounds.confidence_interval
    return Interval(float(change.mean()), change.size, float(low), float(high))


def mcnemar(before: np.ndarray, after: np.ndarray) -> float:
    """Two-sided exact p-value that two policies succeed equally often on the same starts, bool [n] each."""
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    return 1.0 if gained + lost == 0 else float(binomtest(gained, gained + lost).pvalue)


def percentile_bounds(statistic: Callable[..., np.ndarray | float], *samples: np.ndarray) -> np.ndarray:
    """The 2.5th and 97.5th percentile [2, ...] of a statistic [...] over 500 bootstrap resamples: rows of each sample
    drawn with replacement on their own. Raises ValueError if a sample is empty."""
    if not samples or not all(len(sample) for sample in samples):
        raise ValueError(f"an interval needs data, not samples of {[len(sample) for sample in samples]} rows")
    rng = stream(0, "bootstrap")
    drawn = [statistic(*(s[rng.integers(len(s), size=len(s))] for s in samples)) for _ in range(RESAMPLES)]
    return np.percentile(drawn, [2.5, 97.5], axis=0)


def bootstrapped(statistic: Callable[..., float], *samples: np.ndarray) -> Interval:
    """`statistic(*samples)` with its 95 % percentile interval. Raises ValueError if a sample is empty."""
    low, high = percentile_bounds(statistic, *samples)
    return Interval(float(statistic(*samples)), sum(map(len, samples)), float(low), float(high))
