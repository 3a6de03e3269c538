"""Scripted experts for LIBERO's pick-and-place tasks, and the demonstrations that they give.

In: privileged state. Out: one clean action, decided anew from the present alone, so that noise and bad luck are met
with another try: approach, grasp, lift, carry, lower, release, one subgoal after the other. Demonstrations
are noisy where they act and clean where they teach, as on the tabletop.
"""

from __future__ import annotations

import numpy as np

from wovr_lab.real.libero.env import LiberoEnv
from wovr_lab.real.libero.grasp import Grasp, best_grasp, turn_to
from wovr_lab.real.libero.robosuite import orientation_error
from wovr_lab.real.libero.shapes import Shapes, Subgoal
from wovr_lab.real.libero.simulator import Simulator
from wovr_lab.real.record import Recorder, noisy_attempt
from wovr_lab.seeding import stream
from wovr_lab.types import ACTION_DIM, Episode

OPEN_GRIPPER, CLOSE_GRIPPER = -1.0, 1.0
GAIN, TURN_GAIN = 35.0, 2.5  # unit actions a metre, a radian
OVER, CLEARANCE = 0.07, 0.05  # metres above a grasp before going down, and between what is carried and what is below
NEAR, PLACED = 0.025, 0.022  # metres off a place: nearly, and well enough to let go
SINK = 0.03  # metres; how far ahead the hand aims while it goes down on a thing
FINGERS_BELOW = 0.012  # metres from the hand's centre to the fingertips


class Expert:
    """Acts in one simulator. It believes its hand to be `aim_offset` (metres, float64 [3]) off where it is: not at all,
    but in play. Raises UserError for a task whose goal is not to pick and place."""

    def __init__(self, simulator: Simulator):
        self.simulator, self.shapes = simulator, Shapes(simulator)
        self.aim_offset = np.zeros(3)

    def act(self) -> np.ndarray:
        """What the expert does now: float32 [7] in [-1, 1]. When all is done it withdraws upwards."""
        shapes = self.shapes
        for subgoal in shapes.subgoals:
            if self._is_delivered(subgoal):
                if self._is_holding(subgoal.thing):
                    return self._move(self._hand(), None, OPEN_GRIPPER)
                if self._is_around(subgoal.thing):
                    return self._move(self._up(0.1), None, OPEN_GRIPPER)
                continue
            if self._is_holding(subgoal.thing):
                return self._carry(subgoal)
            return self._fetch(subgoal.thing)
        return self._move(self._up(0.05), None, OPEN_GRIPPER)

    def _is_delivered(self, subgoal: Subgoal) -> bool:
        return self.shapes.is_done(subgoal) or self._is_to_be_dropped(subgoal)

    def _is_to_be_dropped(self, subgoal: Subgoal) -> bool:
        """Over its place, and low enough: in a container's mouth, or standing on what is there."""
        shapes = self.shapes
        thing, place = shapes.points(subgoal.thing), shapes.position(subgoal.place)
        off = np.linalg.norm(shapes.position(subgoal.thing)[:2] + self.aim_offset[:2] - place[:2])
        if off > NEAR:
            return False
        height = thing[:, 2].min() - self._floor(subgoal)
        return height < 0.01 if subgoal.inside else height < CLEARANCE and shapes.is_supported(subgoal.thing)

    def _is_holding(self, thing: str) -> bool:
        return self.shapes.is_between_fingers(thing)

    def _is_around(self, thing: str) -> bool:
        points = self.shapes.points(thing)
        return bool(np.linalg.norm(points - self._hand(), axis=1).min() < 0.06)

    def _fetch(self, thing: str) -> np.ndarray:
        """With an open hand over it, down, then close."""
        hand, shapes = self._hand(), self.shapes
        grasp = best_grasp(shapes.points(thing), shapes.others(thing), hand, self._direction())
        off = np.linalg.norm(hand[:2] - grasp.point[:2])
        turn = abs(turn_to(grasp.direction, self._direction()))
        above = hand[2] - grasp.point[2]
        is_over = turn < 0.15 and (off < grasp.tolerance or (off < grasp.tolerance + 0.015 and above < OVER))
        if is_over and above < 0.008:
            return self._move(grasp.point, grasp, CLOSE_GRIPPER)
        if is_over:
            sinking = max(-above, -SINK if off < grasp.tolerance else 0.0)  # straightening out before going on
            return self._move(np.array([*grasp.point[:2], hand[2] + sinking]), grasp, OPEN_GRIPPER)
        top = max(self._top_between(hand, grasp.point, thing), shapes.points(thing)[:, 2].max())
        over = top + FINGERS_BELOW + OVER / 2
        if off > 2 * NEAR and hand[2] < over - 0.03:
            return self._move(np.array([*hand[:2], over]), None, OPEN_GRIPPER)  # up first, not through things
        return self._move(np.array([*grasp.point[:2], over]), grasp, OPEN_GRIPPER)

    def _carry(self, subgoal: Subgoal) -> np.ndarray:
        """Close firmly, lift, over the place, down."""
        hand, shapes = self._hand(), self.shapes
        if self.simulator.fingers[1] < 0.95:
            return self._move(hand, None, CLOSE_GRIPPER)
        position, place = shapes.position(subgoal.thing), shapes.position(subgoal.place) - self.aim_offset
        bottom = shapes.points(subgoal.thing)[:, 2].min()
        top = max(self._top_between(position, place, subgoal.thing), self._floor(subgoal))
        rise = top + CLEARANCE - bottom
        across = np.array([*(place[:2] - position[:2]), 0.0])
        off = np.linalg.norm(across)
        if off > NEAR and rise > 0.02:
            return self._move(self._up(rise + 0.02), None, CLOSE_GRIPPER)
        if off > PLACED and rise < CLEARANCE:
            return self._move(self._up(rise) + across, None, CLOSE_GRIPPER)
        return self._move(self._up(-0.04) + across, None, CLOSE_GRIPPER)

    def _floor(self, subgoal: Subgoal) -> float:
        """Height of a container's mouth, or of a place itself."""
        if subgoal.inside and subgoal.place.removesuffix("_contain_region") in self.shapes.bodies:
            return float(self.shapes.points(subgoal.place.removesuffix("_contain_region"))[:, 2].max())
        return float(self.shapes.position(subgoal.place)[2])

    def _top_between(self, start: np.ndarray, end: np.ndarray, thing: str) -> float:
        """Height of the highest of the others within a hand's width of the straight way."""
        return self.shapes.others(thing).top_along(start, end, 0.08)

    def _hand(self) -> np.ndarray:
        """Where it believes its hand to be, metres float64 [3]."""
        return self.simulator.hand() + self.aim_offset

    def _up(self, height: float) -> np.ndarray:
        return self._hand() + np.array([0.0, 0.0, height])

    def _direction(self) -> float:
        """Angle of the line through the fingers, radians."""
        line = self.simulator.hand_matrix()[:, 0]
        return float(np.arctan2(line[1], line[0]))

    def _move(self, point: np.ndarray, grasp: Grasp | None, gripper: float) -> np.ndarray:
        """Towards `point`, upright, turned as `grasp` wants it (or as it is)."""
        now = self._direction()
        direction = now if grasp is None else now + turn_to(grasp.direction, now)
        line = np.array([np.cos(direction), np.sin(direction), 0.0])
        down = np.array([0.0, 0.0, -1.0])
        wanted = np.stack([line, np.cross(down, line), down], 1)
        error = orientation_error(wanted, self.simulator.hand_matrix())
        action = np.zeros(ACTION_DIM)
        move = (np.asarray(point) - self._hand()) * GAIN
        action[:3] = move / max(1.0, np.abs(move).max())
        action[3:6] = np.clip(error * TURN_GAIN, -1, 1)
        action[6] = gripper
        return action.astype(np.float32)


def expert_episode(
    env: LiberoEnv, task: str, seed: int, noise: float = 0.0, hold_after_success: int = 4, run_seed: int = 0
) -> Episode:  # fmt: skip
    """A demonstration, successful or not: `noise` is the standard deviation on executed x, y, z.

    Success must come within the task's limit; then `hold_after_success` more actions are recorded.
    """
    generator, recorder = stream(run_seed, "expert", task, seed), Recorder(env, seed, task)
    return noisy_attempt(recorder, Expert(env.simulator).act, noise, hold_after_success, generator)


def expert_succeeds(env: LiberoEnv, task: str, seed: int, noise: float = 0.0) -> tuple[bool, int]:
    """Whether the expert reaches the goal from a seed's initial state, and in how many actions; nothing is drawn."""
    env.reset_to(task, seed, None)
    generator, expert = stream(0, "expert", task, seed), Expert(env.simulator)
    while not env.success and env.steps < env.max_steps:
        action = expert.act()
        action[:3] += generator.normal(0.0, noise, 3)
        env.apply_action(np.clip(action, -1.0, 1.0))
    return env.success, env.steps
