"""The scripted expert: privileged state in, one clean action out, no memory; and the demonstrations that it gives.

Demonstrations are noisy where they act and clean where they teach (DART, Laskey et al. 2017): the executed action gets
Gaussian noise on x, y, z, the label is what the expert wanted. They hold after success, so that success can be seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from wovr_lab.errors import UserError
from wovr_lab.real.record import Recorder, noisy_attempt
from wovr_lab.real.tabletop.env import TabletopEnv
from wovr_lab.real.tabletop.scene import CUBE_HALF, MOVE, ZONE_HALF, Readout, is_in_zone, is_on_plate
from wovr_lab.real.tabletop.tasks import Task
from wovr_lab.seeding import stream
from wovr_lab.types import ACTION_DIM, Episode

OPEN_GRIPPER, CLOSE_GRIPPER = -1.0, 1.0
TRAVEL_HEIGHT, GRASP_HEIGHT, CARRY_HEIGHT = 0.09, 0.026, 0.068
CLOSED_HALF_WIDTH = 0.024  # of the two closed fingers along y


def towards(view: Readout, point: np.ndarray, gripper: float) -> np.ndarray:
    """The action float32 [7] that brings the hand's target straight and as fast as possible to `point` [3]."""
    distance = (np.asarray(point) - view.target[:3]) / MOVE
    action = np.zeros(ACTION_DIM, np.float32)
    action[:3] = distance / max(1.0, np.abs(distance).max())
    action[6] = gripper
    return action


def expert_action(view: Readout, task: Task) -> np.ndarray:
    """What the expert does now: float32 [7] in [-1, 1]. After success it withdraws upwards and stays there, unless the
    task has an expert of its own. Raises UserError if that one's answer is no action."""
    cube = view.cubes[task.cube]
    if not task.expert:
        return _push(view, cube) if task.scene == "push" else _place(view, cube)
    action = np.asarray(task.expert(view, cube), np.float32)
    if action.shape != (ACTION_DIM,) or not np.abs(action).max() <= 1:
        raise UserError(f"the expert of {task.name} must answer with {ACTION_DIM} numbers in [-1, 1], not {action}")
    return action


def _push(view: Readout, cube: np.ndarray) -> np.ndarray:
    """Closed fingers behind the cube, then forward until it is well inside the zone."""
    hand, low, high = view.hand, 0.028, TRAVEL_HEIGHT
    gap = CUBE_HALF + CLOSED_HALF_WIDTH
    depth = cube[1] - (view.goal[1] - ZONE_HALF[1])  # of the cube's centre inside the zone
    if is_in_zone(cube, view.goal) and depth > 0.02:
        return towards(view, [hand[0], hand[1] - (0.02 if hand[2] < 0.06 else 0.0), high], CLOSE_GRIPPER)
    is_behind = abs(hand[0] - cube[0]) < 0.022 and hand[1] < cube[1] - gap + 0.012
    if is_behind and hand[2] < 0.046:
        return towards(view, [cube[0], view.goal[1] - gap + 0.01, low], CLOSE_GRIPPER)
    ready = np.array([cube[0], cube[1] - gap - 0.012, low])
    if np.abs(view.target[:2] - ready[:2]).max() < 0.010:
        return towards(view, ready, CLOSE_GRIPPER)
    if hand[2] < high - 0.02 and np.hypot(*(hand[:2] - cube[:2])) < 0.085:
        return towards(view, [hand[0], hand[1], high], CLOSE_GRIPPER)  # over it, not through it
    return towards(view, [ready[0], ready[1], high], CLOSE_GRIPPER)


def _place(view: Readout, cube: np.ndarray) -> np.ndarray:
    """Over the cube, down, close, lift, over the plate, down, open, up."""
    hand, plate = view.hand, view.goal
    is_let_go = view.opening > 0.09
    rests = np.hypot(*(cube[:2] - plate)) < 0.03 and cube[2] < 0.042 and is_let_go
    if rests or is_on_plate(cube, plate, view.opening):
        return towards(view, [hand[0], hand[1], 0.11], OPEN_GRIPPER)
    is_around = np.hypot(*(cube[:2] - hand[:2])) < 0.024 and abs(cube[2] - hand[2]) < 0.026
    if is_around and (not is_let_go or hand[2] < GRASP_HEIGHT + 0.010):
        return _carry(view, cube)
    if np.hypot(*(cube[:2] - view.target[:2])) > 0.012:
        return towards(view, [cube[0], cube[1], TRAVEL_HEIGHT], OPEN_GRIPPER)
    return towards(view, [cube[0], cube[1], GRASP_HEIGHT], OPEN_GRIPPER)


def _carry(view: Readout, cube: np.ndarray) -> np.ndarray:
    """With the cube between the fingers: close, lift, over the plate, down, open."""
    hand, plate = view.hand, view.goal
    if view.opening > 0.064:
        return towards(view, view.target[:3], CLOSE_GRIPPER)
    distance = np.hypot(*(hand[:2] - plate))
    if distance < 0.02:
        release = GRASP_HEIGHT + 0.008
        return towards(view, [*plate, release], CLOSE_GRIPPER if cube[2] > 0.043 else OPEN_GRIPPER)
    if cube[2] < 0.045 and distance > 0.05:
        return towards(view, [*(hand[:2] + 0.3 * (plate - hand[:2])), CARRY_HEIGHT + 0.007], CLOSE_GRIPPER)
    return towards(view, [*plate, CARRY_HEIGHT], CLOSE_GRIPPER)


def expert_episodes(
    task: str,
    seeds: Iterable[int],
    noise: float,
    hold_after_success: int = 4,
    resolution: int = 32,
    run_seed: int = 0,
    max_steps: int = 48,
) -> Iterator[Episode]:
    """One demonstration a seed, successful or not: `noise` is the standard deviation on executed x, y, z.

    Success must come within `max_steps`; then `hold_after_success` more actions are recorded. Raises UserError on an
    unknown task.
    """
    env = TabletopEnv(task, resolution, max_steps)
    for seed in seeds:
        generator, recorder = stream(run_seed, "expert", task, seed), Recorder(env, seed)
        yield noisy_attempt(
            recorder, lambda: expert_action(env.readout(), env.definition), noise, hold_after_success, generator
        )
