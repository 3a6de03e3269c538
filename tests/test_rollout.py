"""Rolling out: groups joined into one, streams of their own, recorded actions repeated exactly."""

import numpy as np
import pytest
import torch

from wovr_lab.contracts import ChunkEnv, ChunkFrames
from wovr_lab.real.tabletop.chunk_env import initial_start, make_tabletop_env
from wovr_lab.real.tabletop.expert import expert_episodes
from wovr_lab.rollout import Recorded, join, replay, roll_out
from wovr_lab.starts import start_at
from wovr_lab.types import NOOP, ActionChunk, Start


class Countdown(ChunkEnv):
    """A row succeeds with the action that is written in its start's seed; every frame shows the count of actions."""

    def __init__(self, num_envs: int):
        super().__init__(num_envs, resolution=8, max_steps=24)

    def draw_starts(self, count, seed):
        return [toy_start(0)] * count

    def reset_rows(self, rows, starts, seed):
        self.seed = seed
        self.count = np.zeros(self.num_envs, int)
        self.goal = np.array([start.seed for start in starts])
        return {"states": self.count[:, None].astype(float)}

    def step_rows(self, rows, actions):
        count = self.count[rows, None] + np.arange(1, 9)
        self.count[rows] += 8
        frames = np.broadcast_to(count[..., None, None, None], (*count.shape, 8, 8, 3)).astype(np.uint8)
        return ChunkFrames(frames, count == self.goal[rows, None] + 1, {"states": count[..., None].astype(float)})


class Sampling:
    """Random tokens, an action that shows them, and what it was asked."""

    def __init__(self):
        self.asked = []

    def act(self, observation, instructions, generator, temperature):
        self.asked.append((observation["frame"][:, 0, 0, 0].tolist(), instructions, temperature))
        tokens = torch.randint(21, (len(instructions), 8, 7), generator=generator)
        return ActionChunk(tokens.numpy().astype(np.float32) / 20, tokens, -tokens.float())


def toy_start(goal: int) -> Start:
    frame = np.zeros((8, 8, 3), np.uint8)
    return Start("toy", f"do {goal}", frame, np.stack([frame] * 4), np.stack([NOOP] * 4), seed=goal)


GOALS = [3, 11, 99, 20, 0]


@pytest.fixture
def rollouts():
    return roll_out(Countdown(2), Sampling(), [toy_start(goal) for goal in GOALS], 0, "toy", 1.2, video=True)


def test_groups_are_filled_up_and_joined_in_the_order_of_the_starts(rollouts):
    assert [start.seed for start in rollouts.starts] == GOALS and rollouts.instructions[1] == "do 11"
    assert rollouts.first_success.tolist() == [3, 11, -1, 20, 0]
    assert rollouts.steps.tolist() == [8, 16, 24, 24, 8]
    assert rollouts.frames.shape == (5, 3, 8, 8, 3) and rollouts.actions.shape == (5, 3, 8, 7)
    assert rollouts.success.shape == (5, 24) and rollouts.states.shape == (5, 25, 1)
    assert rollouts.tokens.shape == rollouts.log_probs.shape == (5, 3, 8, 7)


def test_shorter_groups_are_padded_with_their_end_and_marked_as_not_executed(rollouts):
    assert rollouts.executed.astype(int).tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1], [1, 1, 1], [1, 0, 0]]
    assert rollouts.success[4].all() and rollouts.success[0].tolist() == [False] * 3 + [True] * 21
    assert rollouts.video[4, :, 0, 0, 0].tolist() == [*range(9), *[8] * 16]
    assert rollouts.video[2, :, 0, 0, 0].tolist() == [*range(25)]
    assert rollouts.frames[2, :, 0, 0, 0].tolist() == [0, 8, 16]


def test_every_group_has_a_random_stream_of_its_own_name(rollouts):
    assert not torch.equal(rollouts.tokens[0], rollouts.tokens[2])
    starts = [toy_start(goal) for goal in GOALS]
    again = roll_out(Countdown(2), Sampling(), starts, 0, "toy", 1.2)
    other = roll_out(Countdown(2), Sampling(), starts, 0, "another", 1.2)
    assert torch.equal(again.tokens[rollouts.executed], rollouts.tokens[rollouts.executed])
    assert not torch.equal(other.tokens, rollouts.tokens) and again.video is None and again.states is None


def test_the_actor_sees_the_latest_frame_its_instruction_and_the_temperature():
    actor = Sampling()
    roll_out(Countdown(2), actor, [toy_start(11), toy_start(3)], 0, "toy", 0.7)
    assert actor.asked == [([0, 0], ("do 11", "do 3"), 0.7), ([8, 8], ("do 11", "do 3"), 0.7)]


def test_actions_and_their_tokens_stay_together(rollouts):
    assert np.array_equal(rollouts.actions, rollouts.tokens.numpy().astype(np.float32) / 20)
    assert torch.equal(rollouts.log_probs, -rollouts.tokens.float())


def test_joining_one_part_changes_nothing(rollouts):
    same = join([rollouts])
    assert (same.video == rollouts.video).all() and (same.executed == rollouts.executed).all()


def test_nothing_to_roll_out_is_said_so():
    with pytest.raises(ValueError, match="no starts"):
        roll_out(Countdown(2), Sampling(), [], 0, "toy", 1.0)
    with pytest.raises(ValueError, match="no starts"):
        replay(Countdown(2), [], np.zeros((0, 1, 8, 7)), 0, "toy")


def test_recorded_actions_are_repeated_and_then_stand_still_with_the_gripper_as_it_was():
    actions = np.random.default_rng(0).uniform(-1, 1, (2, 2, 8, 7)).astype(np.float32)
    actor, generator = Recorded(actions), torch.Generator()
    chunks = [actor.act({}, ("", ""), generator, 0.0).actions for _ in range(4)]
    assert (chunks[0] == actions[:, 0]).all() and (chunks[1] == actions[:, 1]).all()
    for chunk in chunks[2:]:
        assert (chunk[..., :6] == 0).all() and (chunk[..., 6] == actions[:, 1, 7, 6][:, None]).all()


def test_real_rollouts_replayed_from_their_starts_reach_bit_equal_states_and_frames():
    episode = next(expert_episodes("push_red", [4], noise=0.2, hold_after_success=0))
    starts = [initial_start("red_on_plate", 1), start_at(episode, 6), initial_start("push_blue", 2)]
    env = make_tabletop_env(2, max_steps=24)
    first = roll_out(env, Expertless(), starts, 0, "real", 1.0, video=True)
    again = replay(make_tabletop_env(3, max_steps=24), starts, first.actions, 9, "again", video=True)
    assert first.states.shape[0] == 3 and (first.states == again.states).all() and (first.video == again.video).all()
    assert (first.success == again.success).all() and (first.executed == again.executed).all()


def test_a_recorded_episode_replayed_as_chunks_reaches_its_states():
    episode = next(expert_episodes("push_red", [4], noise=0.2, hold_after_success=16))
    chunks = len(episode) // 8
    env = make_tabletop_env(1, max_steps=48, hold_after_success=48)
    again = replay(
        env, [start_at(episode, 0)], episode.actions[None, : chunks * 8].reshape(1, chunks, 8, 7), 0, "r", True
    )
    length = chunks * 8
    assert (again.states[0, : length + 1] == episode.states[: length + 1]).all()
    assert (again.video[0, : length + 1] == episode.frames[: length + 1]).all()
    assert again.first_success[0] == episode.first_success > 0


class Expertless:
    """Random actions from the generator that it is given."""

    def act(self, observation, instructions, generator, temperature):
        return ActionChunk((torch.rand(len(instructions), 8, 7, generator=generator) * 2 - 1).numpy())
