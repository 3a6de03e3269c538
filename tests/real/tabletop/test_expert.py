"""The expert solves every task, teaches clean labels over noisy actions, and holds after success."""

import numpy as np
import pytest

from wovr_lab.real.record import truncated_before_success
from wovr_lab.real.tabletop.env import TabletopEnv
from wovr_lab.real.tabletop.expert import expert_action, expert_episodes, towards
from wovr_lab.real.tabletop.tasks import TASKS


@pytest.mark.parametrize("task", TASKS)
def test_the_expert_succeeds_from_every_start_within_thirty_steps(task):
    env = TabletopEnv(task, 32)
    for seed in range(12):
        env.reset(seed=seed)
        while not env.success and env.steps < 30:
            env.apply_action(expert_action(env.readout(), env.definition))
        assert env.success, f"seed {seed}"


@pytest.mark.parametrize("task", TASKS)
def test_success_of_the_expert_stays_true_while_it_holds(task):
    episode = next(expert_episodes(task, [7], noise=0.0, hold_after_success=8))
    assert len(episode) == episode.first_success + 9
    env = TabletopEnv(task, 32)
    env.set_state(episode.states[-1])
    env.success = False
    for _ in range(2):
        env.apply_action(expert_action(env.readout(), env.definition))
    assert env.success, "the end of the demonstration no longer shows success"


def test_demonstrations_store_noisy_executed_actions_and_clean_labels_that_replay_exactly():
    episode = next(expert_episodes("red_on_plate", [2], noise=0.3))
    assert episode.success[-4:].all() and episode.success.sum() == 5
    noise = (episode.actions - episode.expert_actions)[:, :3]
    assert 0.1 < noise.std() < 0.4 and (episode.actions[:, 3:] == episode.expert_actions[:, 3:]).all()
    assert np.abs(episode.actions).max() <= 1
    env = TabletopEnv("red_on_plate", 32)
    env.reset(seed=2)
    for step, action in enumerate(episode.actions):
        label = expert_action(env.readout(), env.definition)
        assert (label == episode.expert_actions[step]).all()
        observation, *_ = env.step(action)
        assert (observation["frame"] == episode.frames[step + 1]).all()
        assert (env.get_state() == episode.states[step + 1]).all()


def test_demonstrations_are_decided_by_their_seeds_alone():
    alone = next(expert_episodes("push_blue", [4], noise=0.2, run_seed=1))
    after = list(expert_episodes("push_blue", [3, 4], noise=0.2, run_seed=1))[1]
    other = next(expert_episodes("push_blue", [4], noise=0.2, run_seed=2))
    assert (alone.actions == after.actions).all() and (alone.frames == after.frames).all()
    assert (alone.actions[:5] != other.actions[:5]).any()


def test_a_failed_demonstration_ends_at_the_limit_and_says_so():
    episode = next(expert_episodes("push_red", [0], noise=0.0, max_steps=8))
    assert len(episode) == 8 and not episode.success.any()


@pytest.mark.parametrize("task", TASKS)
def test_an_attempt_is_broken_off_before_its_success_and_stands_still_with_its_gripper_as_it_was(task):
    whole = next(expert_episodes(task, [3], noise=0.2))
    stop = whole.first_success - 3
    near_misses = truncated_before_success(TabletopEnv(task, 32), whole, 3, noops=5)
    assert len(near_misses) == stop + 5 and not near_misses.success.any()
    assert (near_misses.frames[: stop + 1] == whole.frames[: stop + 1]).all()
    assert (near_misses.states[: stop + 1] == whole.states[: stop + 1]).all()
    assert (
        not near_misses.actions[stop:, :6].any() and (near_misses.actions[stop:, 6] == whole.actions[stop - 1, 6]).all()
    )


def test_only_an_attempt_that_succeeds_later_can_be_broken_off():
    env, failed = TabletopEnv("push_red", 32), next(expert_episodes("push_red", [0], noise=0.0, max_steps=8))
    with pytest.raises(ValueError, match="cannot stop 2 actions before success at -1"):
        truncated_before_success(env, failed, 2)
    with pytest.raises(ValueError, match="cannot stop 0"):
        truncated_before_success(env, next(expert_episodes("push_red", [0], noise=0.0)), 0)


def test_moving_towards_a_point_is_straight_and_never_faster_than_allowed():
    env = TabletopEnv("push_red", 32)
    env.reset(seed=0)
    view = env.readout()
    far = towards(view, view.target[:3] + np.array([0.18, -0.09, 0.0]), gripper=1.0)
    assert far.tolist() == pytest.approx([1.0, -0.5, 0, 0, 0, 0, 1])
    near = towards(view, view.target[:3] + np.array([0.009, 0.0, 0.0]), gripper=-1.0)
    assert near.tolist() == pytest.approx([0.5, 0, 0, 0, 0, 0, -1])
