"""The real world of a run: what the tabletop gives, which world names mean, and what LIBERO needs."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import numpy as np
import pytest

from wovr_lab.errors import UserError
from wovr_lab.real.domains import domain_of, tasks_of
from wovr_lab.real.names import TABLETOP, environment_of
from wovr_lab.real.tabletop.domain import TabletopDomain
from wovr_lab.real.tabletop.tasks import TASKS

TASK = "libero_object/pick_up_the_milk_and_place_it_in_the_basket"


def test_the_tabletop_gives_words_starts_attempts_and_play_at_its_resolution_and_limit():
    world = domain_of(("push_red", "green_on_plate"), 16, 24)
    assert world == TabletopDomain(("push_red", "green_on_plate"), 16, 24)
    assert world.instruction("green_on_plate") == "put the green cube on the plate"
    start = world.starts("green_on_plate", [7])[0]
    assert (start.task, start.seed, start.anchor.shape) == ("green_on_plate", 7, (16, 16, 3))
    attempt = next(world.expert_episodes("push_red", [3], noise=0.1, hold_after_success=2, run_seed=0))
    assert len(attempt) <= 26 and attempt.expert_actions is not None and attempt.seed == 3
    near_misses = next(world.truncated_before_success([(attempt, 2)], noops=3))
    assert len(near_misses) == attempt.first_success - 2 + 3 and near_misses.seed == 3
    played, third = (list(world.play(*numbers)) for numbers in ((3, 0), (1, 0, 2)))
    assert played[0].instruction == "play" and np.array_equal(third[0].frames, played[2].frames)
    env = world.make_env(2, hold_after_success=3, every_frame=True)
    assert (env.num_envs, env.max_steps, env.hold_after_success) == (2, 24, 3)
    observation, _ = env.reset(options={"starts": [start, start]})
    assert np.array_equal(observation["frame"][1], start.anchor)


def test_names_tell_the_world_and_unknown_ones_are_refused():
    assert tasks_of(TABLETOP) == tuple(TASKS) and environment_of(tasks_of(TABLETOP)) == TABLETOP
    with pytest.raises(UserError, match="unknown environment 'atari'; use tabletop or libero"):
        tasks_of("atari")
    with pytest.raises(UserError, match="unknown task 'juggle'"):
        domain_of(("push_red", "juggle"), 16, 24)


@pytest.mark.skipif(importlib.util.find_spec("libero") is not None, reason="the libero extra is installed")
def test_liberos_tasks_say_how_to_get_it_where_it_is_missing():
    with pytest.raises(UserError, match="make libero"):
        domain_of((TASK,), 64, 128)


@pytest.mark.libero
def test_liberos_names_give_tasks_of_several_suites_and_a_tabletop_task_is_none_of_them():
    names = tasks_of("libero:object/pick_up_the_milk_and_place_it_in_the_basket,goal")
    assert names[0] == TASK and len(names) == 11 and names[1].startswith("libero_goal/")
    assert tasks_of(environment_of(names)) == names
    with pytest.raises(UserError, match="unknown LIBERO suite 'push_red'"):
        domain_of((TASK, "push_red"), 64, 128)


@pytest.mark.libero
def test_liberos_processes_give_starts_and_attempts_that_are_those_of_this_one_and_repeatable_play():
    from wovr_lab.real.libero.domain import LiberoDomain
    from wovr_lab.real.libero.expert import expert_episode

    world = LiberoDomain((TASK,), 32, 16, processes=1)
    start, env = world.starts(TASK, [10_003])[0], world.make()
    observation, _ = env.reset(seed=10_003, options={"task": TASK})
    assert np.array_equal(observation["frame"], start.anchor) and np.array_equal(env.get_state(), start.state)
    attempt = next(world.expert_episodes(TASK, [10_003], 0.1, hold_after_success=2, run_seed=0))
    assert np.array_equal(attempt.actions, expert_episode(env, TASK, 10_003, 0.1, hold_after_success=2).actions)
    played, again = (next(world.play(1, run_seed=5)) for _ in range(2))
    assert (played.task, len(played), played.success.any()) == ("play", 120, False)
    assert np.array_equal(played.frames, again.frames)


def test_episodes_recorded_before_the_robots_state_was_get_it_from_their_simulator_states():
    world = domain_of(("push_red",), 16, 48)
    recorded = next(iter(world.expert_episodes("push_red", [3], 0.2, 2, 0)))
    old, blind = replace(recorded, proprio=None), replace(recorded, proprio=None, states=None)
    told, kept, still_blind = world.with_proprio([old, recorded, blind])
    assert np.array_equal(told.proprio, recorded.proprio) and kept is recorded and still_blind is blind
    assert world.robot.names[:3] == ("hand_x", "hand_y", "hand_z")


def test_driving_is_play_of_another_kind_with_the_runs_own_limit():
    world = domain_of(("push_red",), 16, 24)
    driven, played = next(world.driven(1, 0)), next(world.play(1, 0))
    assert driven.task == played.task == "play" and driven.actions.shape == (24, 7)
    assert driven.proprio.shape == (25, 13) and not np.array_equal(driven.actions[:20], played.actions[:20])
