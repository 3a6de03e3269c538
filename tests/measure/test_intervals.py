"""Intervals by hand and against published values."""

import numpy as np
import pytest

from wovr_lab.measure.intervals import (
    bootstrapped,
    difference_of_rates,
    mcnemar,
    paired_difference,
    rate_of,
    wilson,
)
from wovr_lab.types import Interval


def test_wilson_intervals_are_those_of_the_formula():
    for successes, n in ((8, 10), (1, 200), (0, 20), (20, 20), (65, 100)):
        z, p = 1.959964, successes / n
        middle, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
        found = wilson(successes, n)
        assert (found.rate, found.n) == (p, n)
        assert found.low == pytest.approx((middle - half) / (1 + z**2 / n), abs=1e-6)
        assert found.high == pytest.approx((middle + half) / (1 + z**2 / n), abs=1e-6)


def test_a_published_wilson_interval_is_reproduced():
    found = wilson(81, 263)  # Newcombe 1998, table I
    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)


def test_without_trials_nothing_is_known():
    assert wilson(0, 0) == rate_of(np.zeros(0, bool)) == Interval(0.0, 0, 0.0, 1.0)


def test_the_rate_of_outcomes_is_their_mean():
    assert rate_of(np.array([True, False, True, True])) == wilson(3, 4)


def test_mcnemar_counts_discordant_pairs_alone():
    before = np.array([0] * 9 + [1] * 1 + [1] * 50 + [0] * 40, bool)
    after = np.array([1] * 9 + [0] * 1 + [1] * 50 + [0] * 40, bool)
    assert mcnemar(before, after) == pytest.approx(2 * (1 + 10) / 2**10)  # 9 gained, 1 lost
    assert mcnemar(after, before) == mcnemar(before, after)
    assert mcnemar(before, before) == 1.0
    three = np.array([True] * 3)
    assert mcnemar(~three, three) == pytest.approx(2 / 2**3)


def test_a_paired_difference_has_the_interval_of_its_pairs():
    before = np.arange(200) % 2 == 0
    after = before.copy()
    after[:40] = True  # 20 gained
    found = paired_difference(before, after)
    assert found.rate == pytest.approx(0.1) and found.n == 200
    spread = 1.96 * np.sqrt(0.1 * 0.9 / 200)  # of the pairs, far less than of two independent rates
    assert found.low == pytest.approx(0.1 - spread, abs=0.01) and found.high == pytest.approx(0.1 + spread, abs=0.01)
    assert paired_difference(before, after) == found
    swapped = paired_difference(after, before)
    assert swapped.rate == -found.rate and swapped.high < 0


def test_a_difference_that_is_the_same_everywhere_has_no_width():
    ones = np.ones(5, bool)
    assert paired_difference(ones, ones) == Interval(0.0, 5, 0.0, 0.0)
    assert paired_difference(~ones, ones) == Interval(1.0, 5, 1.0, 1.0)


def test_outcomes_that_are_not_paired_are_refused():
    for before, after in ((np.ones(3, bool), np.ones(4, bool)), (np.ones(0, bool), np.ones(0, bool))):
        with pytest.raises(ValueError, match="equally many"):
            paired_difference(before, after)


def test_a_published_difference_of_rates_is_reproduced():
    found = difference_of_rates(wilson(56, 70), wilson(48, 80))  # Newcombe 1998, table II (a), method 10
    assert found.rate == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert found.n == 70


def test_rates_that_are_equal_differ_by_zero_within_an_interval_around_it():
    found = difference_of_rates(wilson(30, 60), wilson(30, 60))
    assert found.rate == 0 and found.low == pytest.approx(-found.high)


def test_a_bootstrap_covers_a_mean_as_its_formula_does():
    values = np.arange(400) % 2 + 0.0
    found = bootstrapped(np.mean, values)
    spread = 1.96 * 0.5 / np.sqrt(400)
    assert found.rate == 0.5 and found.n == 400
    assert found.low == pytest.approx(0.5 - spread, abs=0.01) and found.high == pytest.approx(0.5 + spread, abs=0.01)
    assert bootstrapped(np.mean, values) == found
    both = bootstrapped(lambda first, second: first.mean() - second.mean(), values, np.zeros(3))
    assert both.n == 403 and both.low < both.rate == 0.5 < both.high


def test_nothing_has_no_interval():
    for samples in ((), (np.zeros(0),), (np.ones(3), np.zeros(0))):
        with pytest.raises(ValueError, match="an interval needs data"):
            bootstrapped(np.mean, *samples)
