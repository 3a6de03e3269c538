"""A robot's description: saved whole, and a state that is not its own is refused in one sentence."""

import json

import numpy as np
import pytest

from wovr_lab.errors import UserError
from wovr_lab.real.tabletop.proprioception import tabletop_robot
from wovr_lab.robot import Robot


@pytest.fixture
def robot() -> Robot:
    return tabletop_robot()


@pytest.fixture
def state(robot) -> np.ndarray:
    return np.array([entry.centre for entry in robot.entries], np.float32)


def test_it_survives_json(robot):
    assert Robot.from_dict(json.loads(json.dumps(robot.to_dict()))) == robot


def test_a_good_state_comes_back_as_it_is(robot, state):
    states = np.stack([state, state + 0.01])
    assert (robot.check(states, "a start") == states).all()


def test_states_that_are_no_numbers_too_short_or_in_millimetres_are_refused(robot, state):
    broken = state.copy()
    broken[2] = np.nan
    with pytest.raises(UserError, match="an episode has a state with NaN"):
        robot.check(broken, "an episode")
    with pytest.raises(UserError, match="13 are needed"):
        robot.check(state[:-1], "an episode")
    with pytest.raises(UserError, match=r"hand_z is \d+ times beyond its range"):
        robot.check(state * 1000, "an episode")


def test_a_description_without_a_hand_or_of_another_version_is_refused(robot):
    with pytest.raises(UserError, match="hand_x"):
        Robot(robot.entries[1:], robot.camera, robot.controller)
    with pytest.raises(UserError, match="of another version"):
        Robot.from_dict({"entries": []})
