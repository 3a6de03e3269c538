"""Agreement within groups: by hand, blind to what starts have in common, and zero where nothing can be told."""

import numpy as np
import pytest

from wovr_lab.measure.groups import correlation_interval, within_group_correlation

REAL = np.array([[1, 1, 0, 0], [1, 0, 0, 0]], bool)


def test_it_is_worked_out_by_hand():
    judged = np.array([[1, 0, 0, 0], [1, 1, 0, 0]], bool)
    # centred: (3 -1 -1 -1)/4 with (1 1 -1 -1)/2, and (1 1 -1 -1)/2 with (3 -1 -1 -1)/4: products 1/2 + 1/2
    assert within_group_correlation(judged, REAL) == pytest.approx((0.5 + 0.5) / (0.75 + 1.0))


def test_the_same_outcomes_agree_wholly_and_opposite_ones_not_at_all():
    assert within_group_correlation(REAL, REAL) == pytest.approx(1)
    assert within_group_correlation(~REAL, REAL) == pytest.approx(-1)


def test_knowing_only_which_starts_are_easy_is_worth_nothing():
    real = np.repeat([[True], [False], [True]], 8, 1)
    assert within_group_correlation(real, real) == 0.0
    mixed = np.array([[1, 1, 1, 0], [0, 0, 0, 1]], bool)
    easy = np.repeat([[True], [False]], 4, 1)
    assert np.corrcoef(easy.ravel(), mixed.ravel())[0, 1] > 0.4
    assert within_group_correlation(easy, mixed) == 0.0


def test_its_interval_is_over_groups():
    rng = np.random.default_rng(0)
    real = rng.random((40, 8)) < 0.5
    judged = np.where(rng.random(real.shape) < 0.7, real, rng.random(real.shape) < 0.5)
    found = correlation_interval(judged, real)
    assert found.n == 40 and found.low < found.rate < found.high
    assert 0.5 < found.rate < 0.85 and found.high - found.low < 0.3
