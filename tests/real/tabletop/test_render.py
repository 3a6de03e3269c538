"""Pictures: every resolution shows the same scene, the decisive things are in view, shadows stay under things."""

import mujoco
import numpy as np
import pytest

from wovr_lab.real.tabletop.env import FRONT, HAND, TabletopEnv
from wovr_lab.real.tabletop.play import play_episodes
from wovr_lab.real.tabletop.render import COLOURS, ZONE, Renderer
from wovr_lab.real.tabletop.scene import CUBE_HALF, HAND_LOW
from wovr_lab.real.tabletop.tasks import CUBES, TASKS


def nearest_colour(frame: np.ndarray, colour: tuple[float, float, float]) -> np.ndarray:
    """bool [H, W]: pixels whose hue is that colour's, in light or in shadow."""
    pixels, wanted = frame.astype(np.float64), np.array(colour)
    cosine = pixels @ wanted / (np.linalg.norm(pixels, axis=-1) * np.linalg.norm(wanted))
    return cosine > 0.99


def looking(task: str, resolution: int, seed: int = 0) -> TabletopEnv:
    env = TabletopEnv(task, resolution)
    env.reset(seed=seed)
    env.data.qpos[HAND][2] = 0.5  # the hand out of sight
    env.set_state(env.get_state())
    return env


@pytest.mark.parametrize("resolution", [32, 48, 64, 100, 256])
def test_a_picture_has_its_size_at_any_resolution_and_is_the_same_each_time(resolution):
    env = TabletopEnv("push_red", resolution)
    frame = env.reset(seed=0)[0]["frame"]
    assert frame.shape == (resolution, resolution, 3) and frame.dtype == np.uint8
    assert (env.render_frame() == frame).all()
    other = TabletopEnv("red_on_plate", resolution)
    other.reset(seed=4)  # whatever was drawn before leaves no trace
    assert (other.reset(seed=0, options={"task": "push_red"})[0]["frame"] == frame).all()


def test_a_small_picture_is_the_average_of_a_large_one():
    env = looking("push_blue", 32)
    large = env.render_frame(64).astype(np.float64).reshape(32, 2, 32, 2, 3).mean((1, 3))
    assert np.abs(env.render_frame().astype(np.float64) - large).max() <= 1.0


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("seed", range(5))
def test_both_cubes_and_the_goal_are_in_view_at_the_start(task, seed):
    frame = looking(task, 64, seed).render_frame()
    definition = TASKS[task]
    back, goal = ("blue", ZONE) if definition.scene == "push" else ("green", COLOURS["plate"])
    assert nearest_colour(frame, COLOURS["red"]).sum() > 90
    assert nearest_colour(frame, COLOURS[back]).sum() > 50
    assert nearest_colour(frame, goal)[2:-2, 2:-2].sum() > 100


def test_the_fingers_are_in_view_behind_the_farthest_cube():
    env = TabletopEnv("push_red", 64)
    env.reset(seed=0)
    env.data.qpos[HAND] = [0.055, HAND_LOW[1] + 0.03, 0.028, 0.0]
    env.data.qpos[18:20] = 0.008
    env.set_state(env.get_state())
    frame = env.render_frame()
    assert nearest_colour(frame, COLOURS["left_finger"]).sum() > 10
    assert nearest_colour(frame, COLOURS["right_finger"]).sum() > 10


def test_the_red_cube_is_in_front_of_the_other_and_the_goal_is_to_the_right():
    frame = looking("red_on_plate", 64).render_frame()
    rows, columns = {}, {}
    for name in ("red", "green"):
        rows[name], columns[name] = (index.mean() for index in np.nonzero(nearest_colour(frame, COLOURS[name])))
    assert rows["red"] > rows["green"] + 8
    bright = np.nonzero(frame.min(-1) > 215)
    assert bright[1].mean() > max(columns.values()) + 15


@pytest.mark.parametrize("turn", [[1, 0, 0, 0], [0.7071, 0.7071, 0, 0], [0.7071, 0, 0.7071, 0], [0.5, 0.5, 0.5, 0.5]])
def test_a_cube_that_has_tipped_over_is_drawn_and_shaded_as_one_that_stands(turn):
    env = looking("push_red", 64)
    env.data.qpos[FRONT] = [0.05, -0.05, CUBE_HALF, 1, 0, 0, 0]
    env.set_state(env.get_state())
    standing = env.render_frame().astype(int)
    env.data.qpos[FRONT] = [0.05, -0.05, CUBE_HALF, *turn]
    env.set_state(env.get_state())
    assert (np.abs(env.render_frame().astype(int) - standing).max(-1) > 8).mean() < 0.01


def test_a_lifted_cube_casts_its_shadow_on_the_table_below():
    env = looking("push_red", 64)
    env.data.qpos[FRONT] = [0.05, -0.05, 0.3, 1, 0, 0, 0]  # out of sight
    env.set_state(env.get_state())
    with_shadow = env.render_frame().astype(int)
    env.data.qpos[FRONT][0] = 3.0
    env.set_state(env.get_state())
    darker = (env.render_frame().astype(int) - with_shadow).min(-1) > 30
    assert 40 < darker.sum() < 250


class CastsEveryRay(Renderer):
    def _near_things(self, data: mujoco.MjData) -> np.ndarray:
        return np.arange(len(self.rays))


def test_casting_only_the_rays_near_things_leaves_nothing_out():
    env = TabletopEnv("push_red", 64)
    every_ray = CastsEveryRay(env.model, 64)
    for episode in play_episodes(4, run_seed=1, first_seed=0, resolution=16):
        for state in episode.states[::4]:
            env.set_state(state)
            scene = env.definition.scene
            expected = every_ray.draw(env.data, CUBES[scene][1], env.goal if scene == "push" else None)
            assert (env.render_frame() == expected).all()
