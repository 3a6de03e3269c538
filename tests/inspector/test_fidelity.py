"""A state of "faithful" needs the hand, the cube and the picture."""

from __future__ import annotations

import numpy as np
import pytest

from wovr_lab.inspector.fidelity import LEVELS, Fidelity, fidelity_of, worst_patch

FAITHFUL, DRIFTING, LOST = range(3)


def frames(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 200, (count, 32, 32, 3)).astype(np.uint8)


def test_the_worst_patch_is_found_wherever_it_lies_and_measured_in_grey_levels():
    real = frames(2)
    imagined = real.copy()
    imagined[1, 5:13, 20:28] += 40
    np.testing.assert_allclose(worst_patch(imagined, real), [0, 40], atol=0.01)
    half = real.copy()
    half[1, 5:9, 20:28] += 40
    np.testing.assert_allclose(worst_patch(half, real), [0, 20], atol=0.01)


@pytest.mark.parametrize(
    ("patch", "hand", "cube", "expected"),
    [
        (0, 0.5, 2.0, FAITHFUL), (0, 2.1, 0, DRIFTING), (0, 0, 5.1, LOST), (0, 5.1, 0, LOST),
        (40, 0, 0, DRIFTING), (60, 0, 0, LOST), (60, 2.1, 0, LOST),
    ],
)  # fmt: skip
def test_the_level_is_the_worst_of_picture_hand_and_cube(patch: float, hand: float, cube: float, expected: int):
    seen = Fidelity(*(np.array([number], np.float32) for number in (patch, hand, cube)))
    assert seen.levels.tolist() == [expected] and LEVELS[expected] in ("faithful", "drifting", "lost")


def test_a_dissolved_picture_is_never_faithful_even_if_the_probe_reads_it_right():
    real = frames(1)
    truth = np.zeros((1, 10), np.float32)
    blurred = np.full_like(real, 220)
    assert fidelity_of("push_red", blurred, real, truth, truth).levels.tolist() == [LOST]
    assert fidelity_of("push_red", real, real, truth, truth).levels.tolist() == [FAITHFUL]


def test_errors_are_those_of_the_hand_and_of_the_cube_that_the_task_is_about():
    real = frames(1)
    found, truth = np.zeros((2, 1, 10), np.float32)
    found[0, 4:7] = [0.03, 0, 0.04]  # the red cube, 5 cm off
    found[0, 0] = 0.01
    red, blue = (fidelity_of(task, real, real, found, truth) for task in ("push_red", "push_blue"))
    np.testing.assert_allclose([red.cube[0], red.hand[0], blue.cube[0]], [5, 1, 0], atol=1e-4)


def test_without_a_probe_the_picture_decides_alone():
    real = frames(1)
    seen = fidelity_of("push_red", real, real, None, np.zeros((1, 10), np.float32))
    assert seen.hand is None and seen.levels.tolist() == [FAITHFUL]
