"""The tabletop's proprioception: what the simulator says, the controller's rule, the camera's picture."""

import numpy as np
import torch

from wovr_lab.real.tabletop.env import TabletopEnv
from wovr_lab.real.tabletop.expert import expert_episodes
from wovr_lab.real.tabletop.proprioception import proprioception_of, tabletop_robot
from wovr_lab.real.tabletop.render import COLOURS
from wovr_lab.world.body import Body


def test_it_reads_hand_opening_target_and_velocities_of_the_simulator():
    env = TabletopEnv("red_on_plate", 8)
    env.reset(seed=3)
    rng = np.random.default_rng(0)
    for _ in range(9):
        before = env.data.qpos.copy()
        env.apply_action(rng.uniform(-1, 1, 7))
    found, view = dict(zip(tabletop_robot().names, proprioception_of(env.get_state()), strict=True)), env.readout()
    assert np.allclose([found[f"hand_{axis}"] for axis in "xyz"], view.hand, atol=1e-6)
    assert np.allclose([found[f"target_{axis}"] for axis in ("x", "y", "z", "yaw")], view.target, atol=1e-6)
    assert np.isclose(found["opening"], view.opening, atol=1e-6)
    assert np.isclose(found["hand_yaw"], env.data.qpos[17], atol=1e-6)
    moved = env.data.qpos[14:17] - before[14:17]  # velocities are now's, moves the whole step's
    rates = np.array([found[f"velocity_{axis}"] for axis in "xyz"])
    assert np.abs(rates - moved).max() < 0.01 and np.sign(rates).tolist() == np.sign(moved).tolist()


def test_the_targets_that_are_commanded_follow_the_controllers_rule_to_the_last_bit():
    episode = next(iter(expert_episodes("push_blue", [5], noise=0.5)))
    states = torch.as_tensor(proprioception_of(episode.states))
    body = Body(tabletop_robot())
    found = body.targets(states[:1], torch.as_tensor(episode.actions)[None])[0]
    torch.testing.assert_close(found, states[1:, body.target], atol=1e-6, rtol=0)


def test_the_camera_sees_the_fingers_where_the_hand_is_projected():
    """The hand's point lies between the fingers: their yellow and blue-green pixels surround its image."""
    env = TabletopEnv("red_on_plate", 128)
    env.reset(seed=1)
    for x, y in ((0.05, -0.1), (-0.06, 0.12), (0.0, 0.0)):
        state = env.get_state()
        env.data.qpos[14:17] = x, y, 0.06
        moved = env.get_state()
        env.set_state(moved)
        picture = env.render_frame().astype(float) / 255
        places = []
        for name in ("left_finger", "right_finger"):
            colour = np.array(COLOURS[name])
            likeness = picture @ colour / np.linalg.norm(picture, axis=-1) / np.linalg.norm(colour)
            rows, columns = np.nonzero(likeness > 0.995)
            places.append([columns.mean(), rows.mean()])
        seen = (np.mean(places, 0) + 0.5) / 64 - 1
        point = Body(tabletop_robot()).image_points(torch.as_tensor(proprioception_of(moved)))[0].numpy()
        assert np.abs(seen - point).max() < 0.12, (seen, point)
        env.set_state(state)
