"""Real rows behind the chunk contract: the checker passes, keyframes restore, holds delay the end."""

import numpy as np
import pytest

from wovr_lab.checks import check_chunk_env
from wovr_lab.errors import UserError
from wovr_lab.real.tabletop.chunk_env import initial_start, make_tabletop_env
from wovr_lab.real.tabletop.expert import expert_episodes
from wovr_lab.real.tabletop.tasks import TASKS
from wovr_lab.types import NOOP, Start


def start_in(episode, step: int) -> Start:
    memory = np.arange(step - 3, step + 1).clip(0)
    return Start(
        task=episode.task, instruction=episode.instruction, anchor=episode.frames[0], memory=episode.frames[memory],
        memory_actions=np.concatenate([NOOP[None], episode.actions])[memory],
        step=step, seed=episode.seed, state=episode.states[step],
    )  # fmt: skip


@pytest.fixture(scope="module")
def demonstration():
    return next(expert_episodes("red_on_plate", [1], noise=0.1, hold_after_success=30))


@pytest.mark.parametrize("settings", [{}, {"every_frame": False}, {"hold_after_success": 4}])
def test_the_tabletop_keeps_the_contract(settings, demonstration):
    starts = [initial_start("push_red", 0), start_in(demonstration, 10), initial_start("green_on_plate", 2)]
    check_chunk_env(lambda: make_tabletop_env(3, max_steps=24, **settings), starts)


def test_a_keyframe_start_goes_on_exactly_where_the_episode_was(demonstration):
    env = make_tabletop_env(2)
    observation, info = env.reset(options={"starts": [start_in(demonstration, 5), initial_start("push_red", 0)]})
    assert (observation["frame"][0] == demonstration.frames[5]).all()
    assert (info["states"][0] == demonstration.states[5]).all()
    actions = np.stack([demonstration.actions[5:13], np.repeat(NOOP[None], 8, 0)])
    _, _, _, _, info = env.step(actions)
    assert (info["frames"][0] == demonstration.frames[6:14]).all()
    assert (info["states"][0] == demonstration.states[6:14]).all()


def test_a_keyframe_has_what_is_left_of_the_episode_rounded_up_to_chunks(demonstration):
    env = make_tabletop_env(2, max_steps=32)
    env.reset(options={"starts": [start_in(demonstration, 12), initial_start("push_red", 0)]})
    lengths = np.zeros(2, int)
    still = np.zeros((2, 8, 7), np.float32)
    still[..., 6] = 1.0  # what has been grasped stays grasped
    for _ in range(5):
        _, _, terminated, truncated, info = env.step(still)
        lengths += info["executed"]
    assert not terminated.any() and truncated.all() and lengths.tolist() == [3, 4]


def test_success_ends_a_row_at_once_or_after_the_hold(demonstration):
    chunks = np.array_split(demonstration.actions[:48], 6)
    ends = {}
    for held in (0, 4, 12):
        env = make_tabletop_env(1, hold_after_success=held)
        env.reset(options={"starts": [start_in(demonstration, 0)]})
        total, rewards = 0, 0.0
        for actions in chunks:
            _, reward, terminated, _, info = env.step(actions[None])
            total, rewards = total + 8 * info["executed"][0], rewards + reward[0]
            if terminated[0]:
                break
        ends[held] = total
        assert terminated[0] and rewards == 1.0
    first = demonstration.first_success
    assert ends == {held: 8 * int(np.ceil((first + 1 + held) / 8)) for held in ends}


def test_only_the_last_frame_is_drawn_where_frames_are_not_wanted_and_it_is_the_same(demonstration):
    starts, actions = [initial_start("push_blue", 5)], demonstration.actions[None, :8]
    every, last = make_tabletop_env(1), make_tabletop_env(1, every_frame=False)
    for env in (every, last):
        env.reset(options={"starts": starts})
    one, two = every.step(actions), last.step(actions)
    assert (one[0]["frame"] == two[0]["frame"]).all() and (one[4]["states"] == two[4]["states"]).all()
    assert "frames" in one[4] and "frames" not in two[4]


def test_a_start_with_a_seed_and_no_state_begins_at_that_seeds_initial_state():
    whole = initial_start("green_on_plate", 8)
    seed_only = Start(whole.task, whole.instruction, whole.anchor, whole.memory, whole.memory_actions, seed=8)
    env = make_tabletop_env(2)
    _, info = env.reset(options={"starts": [whole, seed_only]})
    assert (info["states"][0] == info["states"][1]).all()


def test_starts_that_cannot_be_restored_are_refused(demonstration):
    known = start_in(demonstration, 6)
    stateless = Start(known.task, known.instruction, known.anchor, known.memory, known.memory_actions, step=6, seed=1)
    env = make_tabletop_env(1)
    with pytest.raises(UserError, match="no simulator state"):
        env.reset(options={"starts": [stateless]})
    with pytest.raises(UserError, match="beyond the limit"):
        make_tabletop_env(1, max_steps=8).reset(options={"starts": [start_in(demonstration, 8)]})
    with pytest.raises(UserError, match="one or more"):
        make_tabletop_env(0)


def test_without_starts_every_task_gets_rows_at_training_seeds_decided_by_the_seed():
    env = make_tabletop_env(4)
    one, _ = env.reset(seed=3)
    words = env.instructions
    two, _ = env.reset(seed=3)
    three, _ = env.reset(seed=4)
    assert set(words) == {task.instruction for task in TASKS.values()}
    assert (one["frame"] == two["frame"]).all() and (one["frame"] != three["frame"]).any()


def test_an_initial_start_shows_the_real_first_frame_in_anchor_and_memory():
    start = initial_start("push_red", 3, resolution=64)
    assert start.kind == "initial" and start.anchor.shape == (64, 64, 3)
    assert (start.memory == start.anchor).all() and (start.memory_actions == NOOP).all()
