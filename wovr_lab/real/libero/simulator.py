"""One LIBERO task in MuJoCo: places things, executes actions, judges success, gives and takes its exact state.

In: LIBERO's 7-number actions. Out: a state vector that begins with the official one (time, positions, velocities), so
that official tools read ours and we read theirs. robosuite builds the model and owns the rules. Its control law
(operational-space control of the arm's pose, OSC_POSE) is written out here: the package runs the forward dynamics three
times a substep around it, which this does once. The tests hold it to the package's own steps.
"""

from __future__ import annotations

import mujoco
import numpy as np

from wovr_lab.errors import UserError
from wovr_lab.real.libero.robosuite import (
    RandomizationError,
    axisangle2quat,
    build,
    global_randomness,
    nullspace_torques,
    opspace_matrices,
    orientation_error,
    quat2axisangle,
    quat2mat,
)
from wovr_lab.real.libero.tasks import LiberoTask

SUBSTEPS = 25  # of 2 ms, so 20 actions a second
MOVE, TURN = 0.05, 0.5  # metres and radians of a unit action
STIFFNESS, DAMPING = 150.0, 2 * np.sqrt(150.0)  # critically damped
GRIPPER_SPEED = 0.01  # of the way, a substep
PHYSICS = sum(
    int(part)
    for part in (
        mujoco.mjtState.mjSTATE_TIME, mujoco.mjtState.mjSTATE_QPOS, mujoco.mjtState.mjSTATE_QVEL,
        mujoco.mjtState.mjSTATE_WARMSTART, mujoco.mjtState.mjSTATE_CTRL,
    )
)  # fmt: skip
MOST_DRAWS = 100  # of things that must not overlap


class Simulator:
    """The model of one task, and what is going on in it."""

    def __init__(self, task: LiberoTask):
        self.task = task
        with global_randomness(0):
            self.env = build(task.bddl)
        self.model: mujoco.MjModel = self.env.sim.model._model
        self.data: mujoco.MjData = self.env.sim.data._data
        robot = self.env.robots[0]
        self.hand_site = robot.eef_site_id
        self.hand_body = self.model.body(robot.robot_model.eef_name).id
        self.arm_positions, self.arm_velocities = robot._ref_joint_pos_indexes, robot._ref_joint_vel_indexes
        self.arm_motors = robot._ref_joint_actuator_indexes
        self.finger_motors = robot._ref_joint_gripper_actuator_indexes
        self.finger_positions = robot._ref_gripper_joint_pos_indexes
        self.torque_limits = robot.torque_limits
        fixtures = [self.model.body(each.root_body).id for each in self.env.fixtures_dict.values() if each.root_body]
        self.fixtures = np.array([body for body in fixtures if body], np.int64)  # bodies that stand elsewhere each time
        self.built = self.model.body_pos.copy(), self.model.body_quat.copy()
        self.official = task.initial_states()
        self.hand_goal, self.rest = np.eye(3), np.zeros(len(self.arm_positions))
        self.fingers = np.zeros(2)  # gripper command, one a finger

    def reset(self, seed: int, official: int | None = None) -> None:
        """A fresh draw of the initial state, or the official one of that index in surroundings drawn from the seed."""
        self.model.body_pos[:], self.model.body_quat[:] = self.built
        with global_randomness(seed):
            self._draw()
        controller = self.env.robots[0].controller
        self.hand_goal, self.rest = controller.goal_ori.copy(), controller.initial_joint.copy()
        self.fingers = np.zeros(2)
        if official is not None:
            self._set_official(self.official[official])
        self._refresh()

    def _draw(self) -> None:
        for _ in range(MOST_DRAWS):
            try:
                self.env.reset()
            except RandomizationError:  # two things were drawn into each other
                continue
            return
        raise UserError(f"{self.task.name}: no initial state without overlaps in {MOST_DRAWS} draws; take another seed")

    def step(self, action: np.ndarray) -> None:
        """One action float64 [7] in [-1, 1]."""
        gripper = np.array([-1.0, 1.0]) * GRIPPER_SPEED * np.sign(action[6])
        goal = np.zeros(3)
        for substep in range(SUBSTEPS):
            mujoco.mj_step1(self.model, self.data)
            if not substep:
                goal = self._aim(action)
            self.fingers = np.clip(self.fingers + gripper, -1.0, 1.0)
            low, high = self.torque_limits
            self.data.ctrl[self.arm_motors] = np.clip(self._torques(goal), low, high)
            middle, half = _range(self.model.actuator_ctrlrange[self.finger_motors])
            self.data.ctrl[self.finger_motors] = middle + half * self.fingers
            mujoco.mj_step2(self.model, self.data)
        self._refresh()

    def close(self) -> None:
        """Lets go of the model; nothing else can be asked afterwards."""
        self.env.close()

    def is_success(self) -> bool:
        """Whether the goal of the task holds now."""
        return bool(self.env._check_success())

    def hand(self) -> np.ndarray:
        """float64 [3], where the hand is."""
        return self.data.site_xpos[self.hand_site].copy()

    def hand_matrix(self) -> np.ndarray:
        """float64 [3, 3], how the hand is turned."""
        return self.data.site_xmat[self.hand_site].reshape(3, 3).copy()

    def opening(self) -> float:
        """Metres between the fingers, 0.08 when open."""
        return float(np.abs(self.data.qpos[self.finger_positions]).sum())

    def proprioception(self) -> np.ndarray:
        """float64 [8], as policies for LIBERO get it: hand position, its turn as axis times angle, both fingers."""
        turn = quat2axisangle(self.hand_quaternion())
        return np.concatenate([self.hand(), turn, self.data.qpos[self.finger_positions]])

    def hand_quaternion(self) -> np.ndarray:
        """float64 [4], x, y, z, w as robosuite has it, of the hand's body."""
        return np.roll(self.data.xquat[self.hand_body], -1)

    def joints(self) -> np.ndarray:
        """float64 [7], angles of the arm in radians."""
        return self.data.qpos[self.arm_positions].copy()

    def get_state(self) -> np.ndarray:
        """float64: physics (the official state first), fixtures' places, what the control law remembers."""
        physics = np.empty(mujoco.mj_stateSize(self.model, PHYSICS))
        mujoco.mj_getState(self.model, self.data, physics, PHYSICS)
        places = (self.model.body_pos[self.fixtures].ravel(), self.model.body_quat[self.fixtures].ravel())
        return np.concatenate([physics, *places, self.hand_goal.ravel(), self.rest, self.fingers])

    def set_state(self, state: np.ndarray) -> None:
        """Restores `get_state` exactly; what follows it in `state` is ignored."""
        fixtures = len(self.fixtures)
        sizes = [mujoco.mj_stateSize(self.model, PHYSICS), 3 * fixtures, 4 * fixtures, 9, len(self.rest), 2]
        physics, places, turns, goal, self.rest, self.fingers, _ = np.split(state.copy(), np.cumsum(sizes))
        mujoco.mj_setState(self.model, self.data, physics, PHYSICS)
        self.model.body_pos[self.fixtures] = places.reshape(-1, 3)
        self.model.body_quat[self.fixtures] = turns.reshape(-1, 4)
        self.hand_goal = goal.reshape(3, 3)
        self._refresh()

    def set_official(self, state: np.ndarray) -> None:
        """Begins at an official state, whose surroundings (places of fixtures, posture of the arm) are not in it.

        Raises UserError if it is of another length.
        """
        self._check_official(state)
        self.reset(0)
        self._set_official(state)
        self._refresh()

    def _set_official(self, state: np.ndarray) -> None:
        self._check_official(state)
        self.data.time = state[0]
        self.data.qpos[:], self.data.qvel[:] = np.split(state[1:], [self.model.nq])

    def _check_official(self, state: np.ndarray) -> None:
        if state.shape != (1 + self.model.nq + self.model.nv,):
            raise UserError(
                f"a state of {state.size} numbers does not fit {self.task.name}, whose official ones have "
                f"{1 + self.model.nq + self.model.nv}; use states of this task, made with this scene"
            )

    def _refresh(self) -> None:
        """Positions and contacts of the present state, and lights that depend on it; needed by pictures and rules."""
        mujoco.mj_fwdPosition(self.model, self.data)
        self.env._post_process()

    def _aim(self, action: np.ndarray) -> np.ndarray:
        """The hand's goal position for an action; its goal orientation stays where the action does not turn it."""
        turn = action[3:6] * TURN
        if np.any(np.abs(turn) > 1e-9):
            self.hand_goal = quat2mat(axisangle2quat(turn)) @ self.hand_matrix()
        return self.hand() + action[:3] * MOVE

    def _torques(self, goal: np.ndarray) -> np.ndarray:
        """Operational-space control (Khatib 1987) of the hand, with a posture task in its null space; float64 [7]."""
        model, data, joints = self.model, self.data, self.arm_velocities
        jacobian = np.zeros((6, model.nv))
        mujoco.mj_jacSite(model, data, jacobian[:3], jacobian[3:], self.hand_site)
        velocity, jacobian = jacobian @ data.qvel, np.ascontiguousarray(jacobian[:, joints])
        mass = np.zeros((model.nv, model.nv))
        mujoco.mj_fullM(model, data, mass)
        mass = mass[np.ix_(joints, joints)]
        turn = orientation_error(self.hand_goal, self.hand_matrix())
        wanted = STIFFNESS * np.concatenate([goal - self.hand(), turn]) - DAMPING * velocity
        _, inertia, turning_inertia, nullspace = opspace_matrices(mass, jacobian, jacobian[:3], jacobian[3:])
        wrench = np.concatenate([inertia @ wanted[:3], turning_inertia @ wanted[3:]])
        posture = nullspace_torques(
            mass, nullspace, self.rest, data.qpos[self.arm_positions], data.qvel[self.arm_velocities]
        )
        return jacobian.T @ wrench + data.qfrc_bias[joints] + posture


def _range(limits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middle and half-width of control ranges [n, 2]."""
    return limits.mean(1), (limits[:, 1] - limits[:, 0]) / 2
