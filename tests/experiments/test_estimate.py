"""What a run will cost is said before it starts, in either kind of world model."""

from __future__ import annotations

from wovr_lab.experiments.estimate import estimate
from wovr_lab.pace.loop import STAGE_NAMES
from wovr_lab.pace.presets import preset


def test_an_estimate_is_finite_and_positive_for_every_stage_that_takes_time():
    seconds, gigabytes = estimate(preset("smoke"))
    assert set(STAGE_NAMES) - seconds.keys() == {"demonstrate"}
    assert all(0 < value < 3600 for value in seconds.values())
    assert 0.5 < gigabytes < 5


def test_a_run_in_pixels_can_be_estimated():
    seconds, gigabytes = estimate(preset("smoke", world="pixels"))
    assert seconds["train_world"] > 0 and gigabytes > 0
