"""Our steps are the package's own: same model, same control law, same rules."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.libero


def test_the_arm_and_the_things_go_where_robosuites_own_steps_take_them(bowl):
    bowl.reset(seed=3)
    simulator = bowl.simulator
    simulator.reset(3, official=1)
    start = simulator.get_state()
    rng = np.random.default_rng(0)
    actions = np.clip(rng.normal(0, 0.5, (30, 7)), -1, 1)
    actions[10:20, 3:6] = 0.0  # the goal orientation stays where it was
    package, ours = [], []
    robot = simulator.env.robots[0]
    robot.gripper.current_action = np.zeros(2)
    robot.controller.new_update = (
        True  # else its first action still aims from where the arm was before the state was set
    )
    for action in actions:
        simulator.env.step(action)
        package.append(simulator.data.qpos.copy())
    simulator.set_state(start)
    for action in actions:
        simulator.step(action)
        ours.append(simulator.data.qpos.copy())
    difference = np.abs(np.stack(package) - np.stack(ours)).max()
    assert difference < 1e-6, f"positions differ by {difference}"


def test_success_is_judged_by_the_package(bowl):
    bowl.reset(seed=0)
    simulator = bowl.simulator
    plate = simulator.data.xpos[simulator.env.obj_body_id["plate_1"]]
    joint = simulator.env.objects_dict["akita_black_bowl_1"].joints[-1]
    assert not simulator.is_success()
    simulator.env.sim.data.set_joint_qpos(joint, np.array([*plate[:2], plate[2] + 0.03, 1, 0, 0, 0]))
    for _ in range(10):
        bowl.apply_action(np.array([0, 0, 0, 0, 0, 0, -1.0]))
    assert bowl.success
