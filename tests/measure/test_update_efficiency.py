"""The worth of an imagined update, by hand, and on outcomes that have nothing to do with each other."""

from __future__ import annotations

import numpy as np
import pytest

from wovr_lab.measure.update_efficiency import update_efficiency, update_efficiency_interval
from wovr_lab.seeding import stream


def groups(*rows: str) -> np.ndarray:
    """bool [groups, G] from rows of 0 and 1."""
    return np.array([[letter == "1" for letter in row] for row in rows])


def test_outcomes_that_agree_are_worth_all_and_opposite_ones_less_than_nothing():
    real = groups("1100", "1000")
    assert update_efficiency(real, real) == pytest.approx(1)
    assert update_efficiency(~real, real) == pytest.approx(-1)


def test_a_group_that_imagination_finds_equal_teaches_nothing():
    # gains under real advantages: the deviations, 1/2 each; under imagined ones: 1/2 and 0
    assert update_efficiency(groups("1100", "1111"), groups("1100", "0011")) == pytest.approx(0.5)


def test_one_member_judged_wrong_costs_its_share():
    # imagined 1110: covariance 2/4 - 3/4 * 1/2 = 1/8, deviation sqrt(3)/4; real deviation 1/2
    assert update_efficiency(groups("1110"), groups("1100")) == pytest.approx((1 / 8) / (3**0.5 / 4) / (1 / 2))


def test_without_a_real_difference_nothing_could_be_learnt():
    imagined, real = groups("1100", "0001"), groups("1111", "0000")
    assert update_efficiency(imagined, real) is None and update_efficiency_interval(imagined, real) is None


def test_the_interval_of_unrelated_outcomes_holds_zero():
    rng = stream(0, "unrelated")
    found = update_efficiency_interval(rng.random((40, 8)) < 0.5, rng.random((40, 8)) < 0.5)
    assert found.low < 0 < found.high < 0.6 and found.n == 40
