"""The tabletop's robot as a world model knows it, and its state, read from the simulator's.

In: simulator states. Out: proprioception float32 [..., 13]: hand, opening, commanded target, velocities; no cube, no
goal.
"""

from __future__ import annotations

from functools import cache

import mujoco
import numpy as np

from wovr_lab.real.tabletop.render import CAMERA, HALF_VIEW, camera_axes
from wovr_lab.real.tabletop.scene import HAND_HIGH, HAND_LOW, MOVE, SUBSTEPS, TURN, load_model
from wovr_lab.robot import Camera, Controller, Entry, Robot

PHYSICS = mujoco.mjtState.mjSTATE_INTEGRATION
HAND, FINGERS = slice(14, 18), slice(18, 20)  # of qpos: x, y, z, yaw; right and left
HAND_RATE, FINGER_RATES = slice(12, 15), slice(16, 18)  # of qvel: free joints have six velocities to seven positions
WRIST = 0.08  # metres above the hand's point, where its top is seen
BELOW, BETWEEN = 0, 1  # gates


@cache
def tabletop_robot() -> Robot:
    """Its entries in metres, radians and metres an action; its camera; its controller."""
    right, down, forward = (tuple(axis) for axis in camera_axes().T.tolist())
    return Robot(
        entries=(
            Entry("hand_x", "m", 0.0, 0.1, 0.01),
            Entry("hand_y", "m", 0.0, 0.1, 0.01),
            Entry("hand_z", "m", 0.08, 0.05, 0.01, gate=BELOW),
            Entry("hand_yaw", "rad", 0.0, 0.8, 0.05),
            Entry("opening", "m", 0.06, 0.04, 0.02, gate=BETWEEN),
            Entry("target_x", "m", 0.0, 0.1, MOVE),
            Entry("target_y", "m", 0.0, 0.1, MOVE),
            Entry("target_z", "m", 0.08, 0.05, MOVE),
            Entry("target_yaw", "rad", 0.0, 0.8, TURN),
            Entry("velocity_x", "m/step", 0.0, 0.0167, 0.01, is_rate=True),
            Entry("velocity_y", "m/step", 0.0, 0.0167, 0.01, is_rate=True),
            Entry("velocity_z", "m/step", 0.0, 0.0167, 0.01, is_rate=True, gate=BELOW),
            Entry("opening_velocity", "m/step", 0.0, 0.04, 0.02, is_rate=True, gate=BETWEEN),
        ),
        camera=Camera(tuple(CAMERA.tolist()), right, down, forward, float(HALF_VIEW)),
        controller=Controller(MOVE, TURN, tuple(HAND_LOW.tolist()), tuple(HAND_HIGH.tolist())),
        points=((0.0, 0.0, 0.0), (0.0, 0.0, WRIST)),
    )


def proprioception_of(states: np.ndarray) -> np.ndarray:
    """Proprioception float32 [..., 13] of simulator states float64 [..., S], as `TabletopEnv.get_state` gives them."""
    position = states[..., _part(mujoco.mjtState.mjSTATE_QPOS)]
    velocity = states[..., _part(mujoco.mjtState.mjSTATE_QVEL)]
    control = states[..., _part(mujoco.mjtState.mjSTATE_CTRL)]
    a_step = load_model().opt.timestep * SUBSTEPS
    parts = (
        position[..., HAND],
        position[..., FINGERS].sum(-1, keepdims=True),
        control[..., :4],
        velocity[..., HAND_RATE] * a_step,
        velocity[..., FINGER_RATES].sum(-1, keepdims=True) * a_step,
    )
    return np.concatenate(parts, -1).astype(np.float32)


@cache
def _part(element: mujoco.mjtState) -> slice:
    """Where one element of the physics stands in a state; elements lie in the order of their bits."""
    model, bit = load_model(), int(element)
    first = mujoco.mj_stateSize(model, int(PHYSICS) & (bit - 1))
    return slice(first, first + mujoco.mj_stateSize(model, bit))
