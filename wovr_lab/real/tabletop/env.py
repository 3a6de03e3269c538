"""The embedded real environment: a MuJoCo tabletop with instruction-conditioned tasks, `wovr_lab/Tabletop-v0`.

In: LIBERO-style actions (dx, dy, dz, droll, dpitch, dyaw, gripper) in [-1, 1]; roll and pitch have no effect, gripper
> 0 closes. Out: ray-cast frames, success on simulator state, exact states. It is the P(o'|o, a) of paper section 1 that
the world model must imitate.
"""

from __future__ import annotations

from functools import cached_property

import mujoco
import numpy as np

from wovr_lab.errors import UserError
from wovr_lab.real.env import DISPLAY_RESOLUTION, RealEnv
from wovr_lab.real.tabletop.proprioception import PHYSICS, proprioception_of, tabletop_robot
from wovr_lab.real.tabletop.render import Renderer
from wovr_lab.real.tabletop.scene import (
    CLOSED,
    CUBE_HALF,
    HAND_HIGH,
    HAND_LOW,
    MOVE,
    OPEN,
    PARKED,
    PLATE_HALF_HEIGHT,
    SUBSTEPS,
    TURN,
    Readout,
    draw_layout,
    load_model,
)
from wovr_lab.real.tabletop.tasks import CUBES, TASKS, Task, get_task
from wovr_lab.robot import Robot

FRONT, BACK = slice(0, 7), slice(7, 14)  # of qpos: a cube's position and quaternion
HAND, FINGERS = slice(14, 18), slice(18, 20)
CONFIRMATIONS = 2  # consecutive steps at the goal that make a success


class TabletopEnv(RealEnv):
    """One tabletop. `task` may change at every reset; a state restores its own task."""

    def __init__(
        self,
        task: str = "red_on_plate",
        resolution: int = 64,
        max_steps: int = 48,
        render_mode: str | None = None,
    ):
        super().__init__(get_task(task).name, resolution, max_steps, render_mode)
        self.model = load_model()
        self.data = mujoco.MjData(self.model)
        self.renderer = Renderer(self.model, resolution)
        self.goal = np.zeros(2)
        self.confirmed = 0  # consecutive steps at the goal
        self.reset_task(task)

    @property
    def robot(self) -> Robot:
        return tabletop_robot()

    def proprio(self) -> np.ndarray:
        return proprioception_of(self.get_state())

    @property
    def definition(self) -> Task:
        return TASKS[self.task]

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(TASKS)

    @property
    def instruction(self) -> str:
        return self.definition.instruction

    def reset_task(self, task: str) -> None:
        self.task, self.steps, self.success, self.confirmed = get_task(task).name, 0, False, 0
        layout, data = draw_layout(self.np_random), self.data
        plate = self.definition.scene == "plate"
        self.goal = layout.plate if plate else layout.zone
        mujoco.mj_resetData(self.model, data)
        data.qpos[FRONT], data.qpos[BACK] = _standing(layout.front), _standing(layout.back)
        data.qpos[HAND], data.qpos[FINGERS] = [*layout.hand, 0.0], OPEN
        data.mocap_pos[0] = [*self.goal, PLATE_HALF_HEIGHT] if plate else PARKED
        data.ctrl[:4], data.ctrl[4:] = data.qpos[HAND], OPEN
        mujoco.mj_kinematics(self.model, data)

    def apply_action(self, action: np.ndarray) -> None:
        action, control = np.asarray(action, np.float64), self.data.ctrl  # one precision, whoever calls
        control[:3] += action[:3] * MOVE
        control[3] += action[5] * TURN
        np.clip(control[:4], HAND_LOW, HAND_HIGH, out=control[:4])
        control[4:] = CLOSED if action[6] > 0 else OPEN
        mujoco.mj_step(self.model, self.data, SUBSTEPS)
        mujoco.mj_kinematics(self.model, self.data)  # poses of the new state, for the picture
        self.steps += 1
        self.confirmed = self.confirmed + 1 if self.definition.is_done(self.readout()) else 0
        self.success = self.success or self.confirmed >= CONFIRMATIONS

    def render_frame(self, resolution: int | None = None) -> np.ndarray:
        renderer = self.renderer
        if resolution == DISPLAY_RESOLUTION:
            renderer = self._display_renderer
        elif resolution is not None and resolution != self.resolution:
            renderer = Renderer(self.model, resolution)
        scene = self.definition.scene
        return renderer.draw(self.data, CUBES[scene][1], self.goal if scene == "push" else None)

    def readout(self) -> Readout:
        """The present in numbers; arrays are copies."""
        position = self.data.qpos
        front, back = CUBES[self.definition.scene]
        return Readout(
            hand=position[HAND][:3].copy(),
            target=self.data.ctrl[:4].copy(),
            opening=float(position[FINGERS].sum()),
            cubes={front: position[FRONT][:3].copy(), back: position[BACK][:3].copy()},
            goal=self.goal.copy(),
        )

    def get_state(self) -> np.ndarray:
        size = mujoco.mj_stateSize(self.model, PHYSICS)
        state = np.empty(size + 6)
        mujoco.mj_getState(self.model, self.data, state[:size], PHYSICS)
        state[size:] = [*self.goal, self.confirmed, self.success, self.steps, list(TASKS).index(self.task)]
        return state

    def set_state(self, state: np.ndarray) -> None:
        size = mujoco.mj_stateSize(self.model, PHYSICS)
        state = np.ascontiguousarray(state, np.float64)
        if state.shape != (size + 6,) or not np.isfinite(state).all() or int(state[-1]) not in range(len(TASKS)):
            raise UserError(
                f"this is not a tabletop state: {size + 6} finite numbers that end in a task index are needed, "
                f"got shape {state.shape}; use what get_state gave under the same version of the scene"
            )
        mujoco.mj_setState(self.model, self.data, state[:size], PHYSICS)
        mujoco.mj_kinematics(self.model, self.data)
        self.goal = state[size : size + 2].copy()
        self.confirmed, self.success, self.steps = int(state[-4]), bool(state[-3]), int(state[-2])
        self.task = list(TASKS)[int(state[-1])]

    @cached_property
    def _display_renderer(self) -> Renderer:
        return Renderer(self.model, DISPLAY_RESOLUTION)


def _standing(place: np.ndarray) -> list[float]:
    """qpos [7] of a cube standing on the table at x, y, yaw."""
    x, y, yaw = place
    return [x, y, CUBE_HALF, np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)]
