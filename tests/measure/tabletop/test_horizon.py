"""Error against horizon and the reliability horizon, worked by hand."""

from dataclasses import replace

import numpy as np
import pytest

from wovr_lab.measure.intervals import wilson
from wovr_lab.measure.paired import PairedRollouts, state_error_cm
from wovr_lab.measure.tabletop.horizon import (
    agreement,
    calibrated_horizon,
    horizon_curves,
    object_error,
    reliability_horizon,
)
from wovr_lab.real.tabletop.proprioception import tabletop_robot


def test_worlds_agree_at_a_horizon_if_both_or_neither_have_seen_a_success_by_then(make_pairs):
    pairs = make_pairs([2, -1, 5], [4, -1, 5], length=8)
    assert (~agreement(pairs)).tolist()[0] == [False, False, True, True, False, False, False, False]
    assert agreement(pairs)[1:].all()


def test_the_reliable_horizon_ends_before_either_condition_first_breaks():
    agree, error = np.ones((10, 6), bool), np.full((10, 6), 1.0)
    assert reliability_horizon(agree, error) == 6
    agree[0, 4] = False  # 9 of 10 are enough
    assert reliability_horizon(agree, error) == 6
    agree[1, 4] = False
    assert reliability_horizon(agree, error) == 4
    error[:6, 2] = 2.1  # the median of ten
    assert reliability_horizon(agree, error) == 2
    error[:6, 2] = 2.0
    assert reliability_horizon(agree, error) == 4
    error[:, 0] = 3.0
    assert reliability_horizon(agree, error) == 0


def test_agreement_that_comes_back_deeper_does_not_count():
    agree = np.ones((1, 4), bool)
    agree[0, 1] = False
    assert reliability_horizon(agree, np.zeros((1, 4))) == 1


def test_the_error_is_that_of_the_cube_that_the_task_is_about(make_pairs):
    pairs = make_pairs([-1, -1], [-1, -1], length=4, tasks=("push_red", "push_blue"))
    pairs.found[:, 3, 4:7] = [0.03, 0.04, 0.0]  # the red cube in frame 3, which action 2 led to
    assert object_error(pairs)[0] == pytest.approx([0, 0, 5, 0]) and (object_error(pairs)[1] == 0).all()


def test_curves_are_medians_with_bands_and_rates_of_disagreement(make_pairs):
    pairs = make_pairs([5, 5, -1, -1], [-1, 5, -1, -1], length=8, cube_error=0.02)
    curves = horizon_curves(pairs)
    assert [point["depth"] for point in curves["object_cm"]] == [4, 8]
    assert curves["object_cm"][0]["rate"] == pytest.approx(2.0) and curves["object_cm"][0]["n"] == 4
    assert curves["probe_object_cm"][1]["rate"] == curves["hand_cm"][1]["rate"] == 0
    assert curves["psnr_db"][0]["low"] == curves["psnr_db"][0]["high"] == 20
    assert [point["rate"] for point in curves["disagreement"]] == [0.0, 0.25]
    assert curves["disagreement"][1]["high"] == wilson(1, 4).high


def test_the_imagined_state_has_a_row_of_its_own_where_the_model_imagines_one(make_pairs):
    pairs = make_pairs([-1] * 4, [-1] * 4, length=8)
    assert "state_hand_cm" not in horizon_curves(pairs)
    robot = tabletop_robot()
    real = np.zeros((4, 9, 13), np.float32)
    imagined = real.copy()
    imagined[:, 4, robot.columns("hand_x", "hand_y")] = [0.03, 0.04]  # after action 3, the fourth
    imagined[:, 8, robot.columns("opening")] = 0.02
    told = replace(pairs, state_error=state_error_cm(robot, imagined, real))
    curves = horizon_curves(told)
    assert [point["rate"] for point in curves["state_hand_cm"]] == pytest.approx([5, 0])
    assert [point["rate"] for point in curves["state_opening_cm"]] == pytest.approx([0, 2])
    assert told.select(np.array([1, 2])).state_error.shape == (2, 8, 2)
    assert state_error_cm(None, imagined, real) is None and state_error_cm(robot, None, real) is None


def test_pairs_with_and_without_states_come_back_from_disk(make_pairs, tmp_path):
    pairs = make_pairs([-1] * 4, [-1] * 4, length=8)
    for each in (pairs, replace(pairs, state_error=np.ones((4, 8, 2), np.float32))):
        each.save(tmp_path / "pairs.safetensors")
        read = PairedRollouts.load(tmp_path / "pairs.safetensors")
        assert (read.state_error is None) == (each.state_error is None) and (read.psnr == each.psnr).all()


def test_the_horizon_is_found_on_one_half_and_checked_on_the_other(make_pairs):
    pairs = make_pairs([-1] * 40, [-1] * 20 + [8] * 20)
    found = calibrated_horizon(pairs, run_seed=0)
    assert found["frames"]["rate"] == 8 and found["frames"]["n"] == 20 and found["longest_seen"] == 16
    assert found["frames"]["low"] == found["frames"]["high"] == 8
    assert found["held_out"]["agreement"]["rate"] == 1.0 and found["held_out"]["agreement"]["n"] == 20
    assert calibrated_horizon(make_pairs([-1] * 6, [-1] * 6, cube_error=0.05), 0).keys() == {"frames", "longest_seen"}
