"""Counterfactual actions: what they ask for, what they really do, and how two displacements are compared."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from wovr_lab.measure.tabletop.control import (
    MOVES,
    controllability,
    counterfactual_chunks,
    real_displacements,
    with_action_channels,
)
from wovr_lab.measure.tabletop.probes import load_probe
from wovr_lab.real.tabletop.chunk_env import initial_start, make_tabletop_env
from wovr_lab.real.tabletop.render import camera_axes


@pytest.fixture(scope="module")
def start():
    return initial_start("red_on_plate", 0)


def test_every_move_goes_one_way_and_keeps_the_gripper(start):
    chunks = counterfactual_chunks(start)
    assert chunks.shape == (6, 8, 7) and (chunks[:, :, 6] == -1).all()
    assert (np.count_nonzero(chunks[:, 0, :6], axis=1) == 1).all()
    assert (chunks[0] == -chunks[1] * [1, 1, 1, 1, 1, 1, -1]).all()


def test_the_real_hand_goes_where_it_is_told(start):
    moved, seen = real_displacements(make_tabletop_env(4, hold_after_success=48), load_probe(), [start])
    assert moved.shape == seen.shape == (1, 6, 3)
    assert controllability(moved, seen)["correlation"]["rate"] > 0.95
    moved = moved @ camera_axes().T
    for row, (axis, sign) in enumerate(MOVES.values()):
        if (axis, sign) != (2, 1):  # it starts near the top
            assert 3 < sign * moved[0, row, axis] < 7
        assert np.abs(np.delete(moved[0, row], axis)).max() < 0.5


def test_correlation_and_error_by_hand():
    real = np.zeros((3, 6, 3), np.float32)
    real[:, 0, 0], real[:, 1, 0] = 5, -5
    assert controllability(real, real)["correlation"]["rate"] == pytest.approx(1)
    assert controllability(real, -real)["correlation"]["rate"] == pytest.approx(-1)
    assert controllability(real, real)["error_cm"] == {"rate": 0, "n": 3, "low": 0, "high": 0}
    shifted = controllability(real, real + np.array([3, 4, 2]))
    assert shifted["error_cm"]["rate"] == pytest.approx(5) and shifted["depth_error_cm"]["rate"] == pytest.approx(2)
    still = controllability(real, np.zeros_like(real))
    assert still["correlation"]["rate"] == still["depth_correlation"]["rate"] == 0  # and no NaN


def test_rightwards_downwards_and_away_are_as_the_camera_sees_them():
    right, down, away = camera_axes().T
    assert right == pytest.approx([0, 1, 0], abs=0.01)
    assert down[0] > 0 and down[2] < 0 and away[0] < 0 and away[2] < 0  # it looks down from in front of the table


def test_channels_are_cut_only_for_as_long_as_asked():
    embedder = SimpleNamespace(channels="both")
    world = SimpleNamespace(transformer=SimpleNamespace(condition_embedder=embedder))
    with pytest.raises(ZeroDivisionError), with_action_channels(world, "attention"):
        assert embedder.channels == "attention"
        raise ZeroDivisionError
    assert embedder.channels == "both"
