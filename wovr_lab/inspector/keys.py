"""What a person's keys mean: one key, one chunk of equal actions (paper section 1: one decision = 8 actions).

In: a key's name. Out: float32 [8, 7]. The plane is the picture's: up is away from the camera, right is right.
"""

from __future__ import annotations

import numpy as np

from wovr_lab.errors import UserError
from wovr_lab.types import ACTION_DIM, CHUNK

STRENGTH = 0.4  # of a full action; a chunk then moves the hand by about 6 cm, or turns it by a quarter of a radian
GRIPPER = 6  # index of the gripper in an action; -1 open, +1 close
DIRECTIONS: dict[str, tuple[str, tuple[int, int]]] = {  # key -> what it does, (index in an action, sign)
    "w": ("away", (0, -1)),
    "s": ("near", (0, 1)),
    "a": ("left", (1, -1)),
    "d": ("right", (1, 1)),
    "r": ("up", (2, 1)),
    "f": ("down", (2, -1)),
    "q": ("turn ↺", (5, 1)),
    "e": ("turn ↻", (5, -1)),
}
GRIPPER_KEY = "space"
ALIASES = {"ArrowUp": "w", "ArrowDown": "s", "ArrowLeft": "a", "ArrowRight": "d", " ": GRIPPER_KEY}  # browser names


def noop_action(gripper: float) -> np.ndarray:
    """Standing still, float32 [7], the gripper as it was."""
    action = np.zeros(ACTION_DIM, np.float32)
    action[GRIPPER] = gripper
    return action


def direction_chunk(key: str, gripper: float, strength: float = STRENGTH) -> np.ndarray:
    """The chunk float32 [8, 7] of a key, given the gripper's last command (-1 open, +1 closed), which it keeps.

    "space" stands still and commands the opposite. Raises UserError on an unknown key or a strength outside (0, 1].
    """
    name = ALIASES.get(key, key)
    if name not in (*DIRECTIONS, GRIPPER_KEY):
        raise UserError(f"key {key!r} means nothing here; use {', '.join((*DIRECTIONS, GRIPPER_KEY))} or the arrows")
    if not 0 < strength <= 1:
        raise UserError(f"a move of strength {strength} is not possible; choose one above 0 and at most 1")
    action = noop_action(gripper)
    if name == GRIPPER_KEY:
        action[GRIPPER] = -gripper
    else:
        index, sign = DIRECTIONS[name][1]
        action[index] = sign * strength
    return np.tile(action, (CHUNK, 1))
