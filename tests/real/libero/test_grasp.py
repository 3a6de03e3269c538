"""Where two fingers take hold of boxes, bowls and things beside others; no simulator needed."""

from __future__ import annotations

import numpy as np
import pytest

from wovr_lab.real.libero.grasp import Obstacles, best_grasp, turn_to

NOTHING = Obstacles(np.zeros((0, 3)), np.zeros((0, 3, 3)), np.zeros((0, 3)))
ABOVE = np.array([0.0, 0.0, 0.3])


def box(size: tuple[float, float, float]) -> np.ndarray:
    """Points in a box that stands on the origin."""
    grid = np.stack(np.meshgrid(*[np.linspace(-0.5, 0.5, 9)] * 3), -1).reshape(-1, 3)
    return (grid + np.array([0, 0, 0.5])) * size


def bowl(radius: float, height: float) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, 72)
    rings = [(radius, height), (radius * 0.95, height * 0.9), (radius / 2, 0.0)]
    return np.concatenate([np.stack([r * np.cos(angle), r * np.sin(angle), 0 * angle + z], 1) for r, z in rings])


def test_a_box_is_taken_across_its_narrow_side_wherever_the_hand_points():
    for hand in (0.0, 1.0, np.pi / 2, 3.0):
        grasp = best_grasp(box((0.10, 0.04, 0.08)), NOTHING, ABOVE, hand)
        assert abs(turn_to(grasp.direction, np.pi / 2)) < 0.3
        assert np.allclose(grasp.point[:2], 0, atol=0.005) and 0.03 < grasp.point[2] < 0.06


def test_a_flat_thing_is_taken_near_what_it_lies_on():
    assert best_grasp(box((0.08, 0.04, 0.02)), NOTHING, ABOVE, np.pi / 2).point[2] == pytest.approx(0.012)


def test_a_bowl_is_taken_by_its_rim_with_a_finger_on_either_side():
    grasp = best_grasp(bowl(0.056, 0.053), NOTHING, ABOVE, np.pi / 2)
    radius = np.hypot(*grasp.point[:2])
    assert radius == pytest.approx(0.052, abs=0.004) and grasp.point[2] == pytest.approx(0.037)
    outward = np.arctan2(grasp.point[1], grasp.point[0])
    assert abs(turn_to(grasp.direction, outward)) < 0.2 and abs(turn_to(grasp.direction, np.pi / 2)) < 0.2


def test_fingers_do_not_come_down_on_neighbours():
    free = best_grasp(bowl(0.056, 0.053), NOTHING, ABOVE, 0.0)
    side = np.array([np.sign(free.point[0]) * 0.11, 0, 0.1])
    wall = Obstacles(side[None], np.eye(3)[None], np.array([[0.01, 0.25, 0.1]]))
    beside = best_grasp(bowl(0.056, 0.053), wall, ABOVE, 0.0)
    assert np.sign(beside.point[0]) != np.sign(free.point[0]) or abs(beside.point[0]) < 0.03


def test_distances_to_boxes_and_their_tops_follow_from_their_places_and_turns():
    turned = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])  # its long side, x, points along the world's y
    one = Obstacles(np.array([[1.0, 0, 0.1]]), turned[None], np.array([[0.5, 0.1, 0.1]]))
    points = np.array([[1.0, 0.4, 0.1], [1.3, 0, 0.1], [1.0, 0.8, 0.6]])
    assert np.allclose(one.distance(points), [0.0, 0.2, np.hypot(0.3, 0.4)])
    assert one.top_along(np.zeros(3), np.array([2.0, 0, 0]), 0.05) == pytest.approx(0.2)
    assert one.top_along(np.zeros(3), np.array([0.0, 2.0, 0]), 0.05) == -1.0


def test_of_two_equal_grasps_the_nearer_one_is_taken():
    for side in (-0.3, 0.3):
        assert np.sign(
            best_grasp(bowl(0.056, 0.053), NOTHING, np.array([0, side, 0.2]), np.pi / 2).point[1]
        ) == np.sign(side)


def test_the_smallest_turn_never_exceeds_a_right_angle():
    turns = [turn_to(direction, hand) for direction in np.linspace(-4, 4, 33) for hand in np.linspace(-3, 3, 13)]
    assert max(map(abs, turns)) <= np.pi / 2 + 1e-9
    assert turn_to(0.1, np.pi) == pytest.approx(0.1) and turn_to(np.pi / 2 + 0.1, 0.0) == pytest.approx(0.1 - np.pi / 2)
