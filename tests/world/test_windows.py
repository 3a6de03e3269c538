"""Windows: latents, frames and actions in step; nothing reaches across the border between two episodes."""

import numpy as np
import pytest
import torch

from wovr_lab.errors import UserError
from wovr_lab.types import NOOP
from wovr_lab.world.context import ContextBuilder
from wovr_lab.world.windows import FrameTable, LatentTable


@pytest.fixture(scope="module")
def latent_table(frame_table, trained_codec):
    return LatentTable.of(frame_table, trained_codec, ContextBuilder(), batch=40)


@pytest.fixture
def noisy_table(make_episode) -> FrameTable:
    """Three episodes of 12, 30 and 20 actions."""
    return FrameTable.of([make_episode(seed, length) for seed, length in enumerate((12, 30, 20))])


def close(latents: torch.Tensor, exact: torch.Tensor) -> bool:
    return torch.allclose(latents, exact, atol=5e-3, rtol=2e-3)  # kept with 16 bits


def test_the_table_knows_where_each_frame_stands_and_what_made_it(noisy_table, make_episode):
    episode = make_episode(1, 30)
    assert len(noisy_table.frames) == 13 + 31 + 21
    assert noisy_table.first_index[[0, 12, 13, 43, 44]].tolist() == [0, 0, 13, 13, 44]
    assert noisy_table.last[[0, 12, 13, 43, 64]].tolist() == [12, 12, 43, 43, 64]
    assert (noisy_table.frames[13 + 7] == episode.frames[7]).all()
    assert (noisy_table.actions[13] == NOOP).all() and (noisy_table.actions[13 + 7] == episode.actions[6]).all()


def test_groups_at_an_episodes_start_repeat_its_first_frame_and_never_reach_into_the_one_before(
    noisy_table, make_episode
):
    frames = make_episode(1, 30).frames
    groups = noisy_table.groups(np.array([13, 14, 16, 17]))
    for group, steps in zip(groups, ([0, 0, 0, 0], [0, 0, 0, 1], [0, 1, 2, 3], [1, 2, 3, 4]), strict=True):
        assert (group == frames[steps]).all()


@pytest.mark.parametrize("length", [1, 2, 3])
def test_whole_chunks_follow_every_candidate_within_its_episode(trained_codec, frame_table, latent_table, length):
    index, cumulative = latent_table.table.candidates(length)
    ends = index + 8 * length
    assert (ends <= frame_table.last[index]).all()
    left_out = np.setdiff1d(np.arange(len(frame_table.frames)), index)
    assert (left_out + 8 * length > frame_table.last[left_out]).all()
    assert cumulative[-1] == pytest.approx(1) and (np.diff(cumulative) > 0).all()


def test_candidates_are_drawn_in_proportion_to_their_weight(latent_table, frame_table):
    index, cumulative = latent_table.table.candidates(1)
    weight = frame_table.weight[index]
    assert np.diff(cumulative, prepend=0) == pytest.approx(weight / weight.sum())


def test_too_short_episodes_are_refused(latent_table):
    with pytest.raises(UserError, match="no episode has 800 actions"):
        latent_table.table.candidates(100)
    with pytest.raises(UserError, match="no episodes"):
        FrameTable.of([])


@pytest.mark.parametrize("at", [0, 1, 5])
def test_a_windows_latents_and_actions_are_those_of_its_frames(latent_table, episodes, frame_table, trained_codec, at):
    second = len(episodes[0].frames)  # where the second episode begins
    window = latent_table.window(np.array([second + at, at]), chunks=2)
    for row, episode in enumerate((episodes[1], episodes[0])):
        frames, produced = episode.frames, np.concatenate([NOOP[None], episode.actions])
        past = np.arange(at - 3, at + 1).clip(0)
        encode = trained_codec.encode
        assert close(window["anchor"][row], encode(frames[None, [0] * 4])[0])
        assert close(window["memory"][row], encode(frames[None, past])[0])
        for chunk in range(2):
            for half in range(2):
                begin = at + 1 + 8 * chunk + 4 * half
                assert close(window["future"][row, chunk, :, half], encode(frames[None, begin : begin + 4])[0])
        assert (window["memory_actions"][row].numpy() == produced[past]).all()
        assert (window["actions"][row].numpy().reshape(16, 7) == episode.actions[at : at + 16]).all()


def test_a_short_memory_is_encoded_apart_from_the_future(frame_table, trained_codec, episodes):
    table = LatentTable.of(frame_table, trained_codec, ContextBuilder(memory=1), batch=64)
    window = table.window(np.array([10]), chunks=1)
    assert close(window["memory"][0], trained_codec.encode(episodes[0].frames[None, [10] * 4])[0])
    assert close(window["future"][0, 0, :, 0], trained_codec.encode(episodes[0].frames[None, 11:15])[0])


def test_frames_from_which_the_hand_stays_down_weigh_five_times_as_much(make_episode):
    level, dipping = make_episode(0, 40), make_episode(1, 40)
    level.actions[:, 2] = 0
    dipping.actions[:, 2] = 0
    dipping.actions[10:13, 2] = -1  # heights 0, -1, -2, -3: down from frame 13
    dipping.actions[30:33, 2] = 1  # and up again at frame 31
    weight = FrameTable.of([level, dipping, level], weights=[1, 1, 2]).weight.reshape(3, 41)
    assert (weight[0, 1:] == 0.25).all() and (weight[2, 1:] == 0.5).all()
    # of the frames t..t+8 more than half lie in 12..31: the third deepest height is -2, not below -3 + 3 / 3
    down = [t for t in range(41) if sum(13 <= f <= 30 for f in range(t, min(t + 9, 41))) * 2 > min(9, 41 - t)]
    assert np.flatnonzero(weight[1] == 1.25).tolist() == down and len(down) == 18


def test_where_the_hand_goes_in_one_episode_does_not_weigh_on_the_next(make_episode):
    falling, level = make_episode(0, 30), make_episode(1, 30)
    falling.actions[:, 2] = -1
    level.actions[:, 2] = 0
    weight = FrameTable.of([falling, level]).weight.reshape(2, 31)
    assert (weight[0, 21:] == 1.25).all() and (weight[0, 1:10] == 0.25).all() and (weight[1, 1:] == 0.25).all()


def test_an_episodes_first_frame_weighs_eight_times_as_much_up_or_down(make_episode):
    level, falling = make_episode(0, 30), make_episode(1, 4)
    level.actions[:, 2] = 0
    falling.actions[:, 2] = [-1, 0, 0, 0]  # down in four of its five frames
    weight = FrameTable.of([level, falling], weights=[1, 3]).weight
    assert weight[0] == 8 * 0.25 and weight[1:31].tolist() == [0.25] * 30
    assert weight[31] == 8 * 3 * 1.25
