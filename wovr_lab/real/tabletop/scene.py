"""The tabletop's geometry: one MuJoCo model for all tasks, where things start, and when a task is done.

Metres, seconds, radians. The hand is three slides and a yaw hinge with two fingers that open along y. The red cube
stands in the front row (nearer to the camera), the other one, whose colour depends on the scene, in the back row; the
goal (a plate, or a painted zone that nothing touches) is on the far side in +y. Tolerant on purpose: 5.6 cm cubes,
fingers 10.4 cm apart, so that success can be seen and imagined at 32 pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import mujoco
import numpy as np

TABLE_HALF, CUBE_HALF = 0.50, 0.028
OPEN, CLOSED = 0.052, 0.008  # finger targets, from the middle of the hand
MOVE, TURN = 0.018, 0.08  # of one unit of action
HAND_LOW = np.array([-0.12, -0.19, 0.022, -0.8])  # limits of the hand's target: x, y, z, yaw
HAND_HIGH = np.array([0.12, 0.19, 0.150, 0.8])
SUBSTEPS = 10
PLATE_RADIUS, PLATE_HALF_HEIGHT = 0.055, 0.004
ZONE_HALF = np.array([0.10, 0.04])
PARKED = np.array([3.0, 0.0, 0.0])  # behind the camera

XML = f"""
<mujoco model="tabletop">
  <option timestep="0.004" integrator="implicitfast" cone="elliptic" impratio="10"/>
  <default>
    <geom solref="0.01 1" condim="4" friction="0.6 0.01 0.001"/>
    <default class="cube">
      <geom type="box" size="{CUBE_HALF} {CUBE_HALF} {CUBE_HALF}" mass="0.05" friction="0.6 0.02 0.001"/>
    </default>
    <default class="finger">
      <geom type="box" size="0.014 0.008 0.032" mass="0.05" friction="2 0.05 0.001"/>
      <joint type="slide" range="{CLOSED} {OPEN}" limited="true" damping="4"/>
    </default>
  </default>
  <worldbody>
    <geom name="table" type="box" size="{TABLE_HALF} {TABLE_HALF} 0.02" pos="0 0 -0.02" group="1"/>
    <body name="plate" mocap="true">
      <geom name="plate" type="cylinder" size="{PLATE_RADIUS} {PLATE_HALF_HEIGHT}"/>
    </body>
    <body name="front"><freejoint name="front"/><geom name="front" class="cube"/></body>
    <body name="back"><freejoint name="back"/><geom name="back" class="cube"/></body>
    <body name="hand" gravcomp="1">
      <joint name="hand_x" type="slide" axis="1 0 0" damping="60"/>
      <joint name="hand_y" type="slide" axis="0 1 0" damping="60"/>
      <joint name="hand_z" type="slide" axis="0 0 1" damping="60"/>
      <joint name="hand_yaw" type="hinge" axis="0 0 1" damping="1"/>
      <geom name="palm" type="box" size="0.014 0.06 0.010" pos="0 0 0.062" mass="0.4" contype="0" conaffinity="0"/>
      <geom name="wrist" type="cylinder" size="0.016 0.03" pos="0 0 0.1" mass="0.1" contype="0" conaffinity="0"/>
      <body name="right_finger" gravcomp="1">
        <joint name="right_finger" class="finger" axis="0 1 0"/>
        <geom name="right_finger" class="finger" pos="0 0.008 0.02"/>
      </body>
      <body name="left_finger" gravcomp="1">
        <joint name="left_finger" class="finger" axis="0 -1 0"/>
        <geom name="left_finger" class="finger" pos="0 -0.008 0.02"/>
      </body>
    </body>
  </worldbody>
  <actuator>
    <position joint="hand_x" kp="1500"/>
    <position joint="hand_y" kp="1500"/>
    <position joint="hand_z" kp="1500"/>
    <position joint="hand_yaw" kp="20"/>
    <position joint="right_finger" kp="120" forcerange="-6 6"/>
    <position joint="left_finger" kp="120" forcerange="-6 6"/>
  </actuator>
</mujoco>"""


@cache
def load_model() -> mujoco.MjModel:
    """The compiled scene, shared by all instances: nothing writes to it."""
    return mujoco.MjModel.from_xml_string(XML)


def actions_a_second() -> int:
    """In the robot's own time."""
    return round(1 / (load_model().opt.timestep * SUBSTEPS))


@dataclass(frozen=True)
class Layout:
    """A start: where everything stands before the first action."""

    front: np.ndarray  # float64 [3]: x, y, yaw
    back: np.ndarray  # float64 [3]
    plate: np.ndarray  # float64 [2]
    zone: np.ndarray  # float64 [2], its centre
    hand: np.ndarray  # float64 [3]


@dataclass(frozen=True)
class Readout:
    """Privileged knowledge for goals, experts and probes; never seen by a policy. Metres and radians."""

    hand: np.ndarray  # float64 [3]
    target: np.ndarray  # float64 [4], where the hand is going: x, y, z, yaw
    opening: float  # between the fingers, 0.016 closed to 0.104 open
    cubes: dict[str, np.ndarray]  # colour -> float64 [3]
    goal: np.ndarray  # float64 [2], centre of plate or zone


def draw_layout(generator: np.random.Generator) -> Layout:
    """A random start; the same numbers are drawn for every task, so one seed gives all tasks the same cubes."""
    jitter = generator.uniform(-1.0, 1.0, (5, 3))
    return Layout(
        front=np.array([0.055, -0.065, 0.0]) + jitter[0] * [0.018, 0.035, 0.1],
        back=np.array([-0.055, -0.065, 0.0]) + jitter[1] * [0.018, 0.035, 0.1],
        plate=np.array([0.0, 0.085]) + jitter[2, :2] * [0.015, 0.02],
        zone=np.array([0.0, 0.10]) + jitter[3, :2] * [0.0, 0.01],
        hand=np.array([0.0, 0.0, 0.135]) + jitter[4] * 0.015,
    )


def is_in_zone(cube: np.ndarray, zone: np.ndarray) -> bool:
    """Whether a cube's centre [3] is inside the painted rectangle around `zone` [2], standing on the table."""
    return bool((np.abs(cube[:2] - zone) <= ZONE_HALF).all() and cube[2] < CUBE_HALF + 0.006)


def is_on_plate(cube: np.ndarray, plate: np.ndarray, opening: float) -> bool:
    """Whether a cube's centre [3] rests near the centre of the plate [2] and the fingers have let go of it."""
    near = np.hypot(*(cube[:2] - plate)) < 0.045
    return bool(near and 0.030 < cube[2] < 0.044 and opening > 0.085)
