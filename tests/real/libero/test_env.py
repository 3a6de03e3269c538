"""LIBERO behind our contracts: checkers pass, states restore exactly, bad input is refused, pictures are upright."""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from wovr_lab.checks import check_chunk_env
from wovr_lab.errors import UserError
from wovr_lab.real.process_pool import PooledChunkEnv, Workers

pytestmark = pytest.mark.libero


def actions(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (count, 7)).astype(np.float32)


def test_gymnasiums_checker_passes_without_a_warning(soup):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(soup, skip_render_check=True)


def test_the_vectorised_environment_keeps_the_contract(soup):
    from wovr_lab.real.libero.env import LiberoEnv

    workers = Workers(partial(LiberoEnv, soup.task, resolution=16, max_steps=12), processes=1)
    starts = workers.starts_of(soup.task, [3, 10_007])
    check_chunk_env(lambda: PooledChunkEnv(workers, 2), starts)
    workers.close()


def test_a_state_restores_everything_and_what_follows_is_the_same(bowl):
    bowl.reset(seed=4)
    for action in actions(12):
        bowl.apply_action(action)
    state, frame = bowl.get_state(), bowl.render_frame()

    def future() -> list[np.ndarray]:
        seen = []
        for action in actions(10, seed=1):
            bowl.apply_action(action)
            seen += [bowl.get_state(), bowl.render_frame()]
        return seen

    one = future()
    bowl.reset(seed=77)  # other places of everything
    bowl.reset(options={"state": state})
    assert np.array_equal(bowl.get_state(), state) and np.array_equal(bowl.render_frame(), frame) and bowl.steps == 12
    assert all(np.array_equal(a, b) for a, b in zip(one, future(), strict=True))


def test_the_same_seed_gives_the_same_episode_in_another_instance(bowl):
    from wovr_lab.real.libero.env import LiberoEnv

    other = LiberoEnv(bowl.task, 64)
    for seed in (2, 31, 10_040):  # an official state, fresh draws of both kinds
        one, two = bowl.reset(seed=seed)[0]["frame"], other.reset(seed=seed)[0]["frame"]
        assert np.array_equal(one, two) and np.array_equal(bowl.get_state(), other.get_state())
    assert not np.array_equal(bowl.reset(seed=31)[0]["frame"], bowl.reset(seed=32)[0]["frame"])
    other.close()


def test_an_episode_begins_at_the_official_state_after_ten_settling_actions(soup):
    from wovr_lab.types import NOOP

    official = soup.definition.initial_states()
    soup.simulator.reset(0, official=7)
    assert np.array_equal(soup.simulator.get_state()[: official.shape[1]], official[7])
    soup.reset_to(soup.task, 10_003, None)  # the fourth evaluation state
    soup.simulator.reset(0, official=7)
    for _ in range(10):
        soup.simulator.step(NOOP.astype(np.float64))
    settled = soup.simulator.data.qpos[9:].copy()  # but for the arm, whose posture is drawn
    soup.reset_to(soup.task, 10_003, None)
    assert np.abs(soup.simulator.data.qpos[9:] - settled).max() < 1e-3 and soup.steps == 0


def test_official_states_restore_too_and_wrong_lengths_do_not(soup):
    official = soup.definition.initial_states()
    soup.reset(options={"task": soup.task, "state": official[5]})
    assert np.array_equal(soup.get_state()[: official.shape[1]], official[5]) and soup.steps == 0
    for wrong in (official[5][:-1], np.zeros(512), np.full(512, np.nan), np.zeros((2, 3))):
        with pytest.raises(UserError, match="state"):
            soup.set_state(wrong)


def test_a_state_of_another_task_is_refused(soup, bowl):
    bowl.reset(seed=0)
    with pytest.raises(UserError, match="belongs to none of these tasks"):
        soup.set_state(bowl.get_state())


@pytest.mark.parametrize("bad", [np.zeros(6), np.full(7, 1.5), np.full(7, np.nan)])
def test_actions_of_a_wrong_shape_or_range_are_refused(soup, bad: np.ndarray):
    soup.reset(seed=0)
    with pytest.raises(UserError):
        soup.step(bad)
    assert soup.steps == 0


def test_nothing_global_is_drawn_from(bowl):
    np.random.seed(5)
    before = np.random.get_state()[1].copy()
    bowl.reset(seed=40)
    assert np.array_equal(np.random.get_state()[1], before)


def test_wrist_view_and_readings_come_on_request(soup, bowl):
    observation, _ = soup.reset(seed=0)
    assert set(observation) == {"frame", "state", "wrist", "robot"} and observation["wrist"].shape == (64, 64, 3)
    assert np.abs(observation["robot"][:3] - soup.simulator.hand()).max() == 0
    assert 0.07 < np.abs(observation["robot"][6:]).sum() < 0.081  # the gripper is open
    assert set(bowl.reset(seed=0)[0]) == {"frame", "state"}


def test_pictures_are_upright_and_the_object_can_be_seen(soup):
    """What is lifted moves up in the picture; the soup covers enough pixels to be told from the rest."""
    soup.reset(seed=0)
    simulator = soup.simulator
    joint = simulator.env.objects_dict["alphabet_soup_1"].joints[-1]
    state = soup.get_state()

    def pixels(height: float) -> tuple[float, int]:
        """Mean row, and number, of the pixels that change when the soup is taken away."""
        pictures = []
        for away in (0.0, 9.0):
            soup.set_state(state)
            place = simulator.env.sim.data.get_joint_qpos(joint).copy()
            place[2] += height
            place[0] += away
            simulator.env.sim.data.set_joint_qpos(joint, place)
            simulator._refresh()
            pictures.append(soup.render_frame(128).astype(int))
        changed = np.abs(pictures[0] - pictures[1]).max(-1) > 24
        return np.argwhere(changed)[:, 0].mean(), changed.sum()

    (low, count), (high, _) = pixels(0.0), pixels(0.15)
    assert high < low - 5 and count > 40


def test_success_after_the_official_limit_does_not_count(soup):
    from wovr_lab.real.libero.env import LiberoEnv

    env = LiberoEnv(soup.task, 16, max_steps=3)
    env.reset(seed=0)
    env.steps = 3
    name = "alphabet_soup_1"
    simulator = env.simulator
    inside = simulator.data.site_xpos[simulator.model.site("basket_1_contain_region").id]
    joint = simulator.env.objects_dict[name].joints[-1]
    simulator.env.sim.data.set_joint_qpos(joint, np.array([*inside, 1, 0, 0, 0]))
    for _ in range(8):
        env.apply_action(np.array([0, 0, 0, 0, 0, 0, -1.0]))
    assert simulator.is_success() and not env.success
    env.close()


def test_a_state_looks_the_same_in_a_simulator_that_was_never_reset(bowl):
    from wovr_lab.real.libero.env import LiberoEnv

    bowl.reset(seed=4)
    for action in actions(8):
        bowl.apply_action(action)
    fresh = LiberoEnv(bowl.task, 64)
    fresh.reset_to(None, None, bowl.get_state())
    assert np.array_equal(fresh.render_frame(), bowl.render_frame())  # no marker of the gripper's axis, no burner aglow
    fresh.close()
