"""What a person's keys mean."""

from __future__ import annotations

import numpy as np
import pytest

from wovr_lab.errors import UserError
from wovr_lab.inspector.keys import ALIASES, DIRECTIONS, direction_chunk
from wovr_lab.inspector.session import Session
from wovr_lab.real.tabletop.env import TabletopEnv


@pytest.mark.parametrize("key", [*DIRECTIONS, "space", *ALIASES])
def test_a_key_is_eight_equal_actions_within_range(key: str):
    chunk = direction_chunk(key, -1.0)
    assert chunk.shape == (8, 7) and chunk.dtype == np.float32
    assert (chunk == chunk[0]).all() and abs(chunk).max() <= 1


@pytest.mark.parametrize(
    ("key", "coordinate", "sign"), [("ArrowUp", 0, -1), ("s", 0, 1), ("a", 1, -1), ("ArrowRight", 1, 1), ("f", 2, -1)]
)
def test_a_key_moves_the_hand_that_way(key: str, coordinate: int, sign: int):
    env = TabletopEnv("push_red", 32)
    env.reset(seed=3)
    before = env.readout().hand
    for action in direction_chunk(key, -1.0):
        env.step(action)
    moved = env.readout().hand - before
    assert sign * moved[coordinate] > 0.02
    assert abs(np.delete(moved, coordinate)).max() < 0.01


def test_space_turns_the_gripper_round_and_moves_keep_it(session: Session):
    assert session.state.gripper == -1
    session.step(direction_chunk("space", session.state.gripper))
    assert session.state.gripper == 1
    session.step(direction_chunk("d", session.state.gripper))
    assert session.state.gripper == 1
    session.undo(2)
    assert session.state.gripper == -1


def test_unknown_keys_and_impossible_strengths_are_refused():
    with pytest.raises(UserError, match="'x'"):
        direction_chunk("x", -1.0)
    for strength in (0.0, -0.5, 1.5, float("nan")):
        with pytest.raises(UserError, match="strength"):
            direction_chunk("w", -1.0, strength)
