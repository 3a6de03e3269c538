"""Imagined against real: the same actions in both worlds, error by horizon."""

from dataclasses import replace

import numpy as np
import pytest

from wovr_lab.contracts import ChunkEnv, ChunkFrames
from wovr_lab.measure.hallucination import (
    action_chunks,
    psnr,
    psnr_by_horizon,
    replay_in_imagination,
    replay_in_simulator,
    truly_labelled,
    within_imagined,
)
from wovr_lab.real.tabletop.chunk_env import make_tabletop_env
from wovr_lab.real.tabletop.expert import expert_episodes
from wovr_lab.rollout import replay
from wovr_lab.starts import start_at
from wovr_lab.types import Episode


class Imagination(ChunkEnv):
    """Repeats the frame and believes in success at action `at` of every row, or never."""

    def __init__(self, num_envs: int, at: int = -1, max_steps: int = 48):
        super().__init__(num_envs, resolution=32, max_steps=max_steps)
        self.at = at

    def draw_starts(self, count, seed):
        raise NotImplementedError

    def reset_rows(self, rows, starts, seed):
        self.count = np.zeros(self.num_envs, int)
        return {}

    def step_rows(self, rows, actions):
        hits = self.count[rows, None] + np.arange(8) == self.at
        self.count[rows] += 8
        return ChunkFrames(np.repeat(self._frame[rows][:, None], 8, 1), hits)


@pytest.fixture(scope="module")
def episodes() -> list[Episode]:
    return list(expert_episodes("push_red", [0, 1, 2], noise=0.2, hold_after_success=2))


def given_up(episode: Episode, end: int) -> Episode:
    return replace(
        episode, frames=episode.frames[: end + 1], actions=episode.actions[:end], success=episode.success[:end]
    )


def test_psnr_by_hand():
    black = np.zeros((2, 4, 4, 3), np.uint8)
    assert psnr(black, black) == 99.0
    assert psnr(black, black + 255) == pytest.approx(0.0)
    assert psnr(black, black + 51) == psnr(black + 51, black) == pytest.approx(20 * np.log10(5))
    one_wrong = black.copy()
    one_wrong[0, 0, 0, 0] = 96
    assert psnr(black, one_wrong) == pytest.approx(10 * np.log10(255**2 / 96))  # 1 of 96 numbers is off by 96


def test_actions_of_unequal_episodes_are_filled_up_by_standing_still(make_episode):
    long, short = make_episode(0, 11), make_episode(1, 6)
    actions = action_chunks([long, short])
    assert actions.shape == (2, 2, 8, 7) and actions.dtype == np.float32
    flat = actions.reshape(2, 16, 7)
    assert (flat[0, :11] == long.actions).all() and (flat[1, :6] == short.actions).all()
    assert (flat[1, 6:, :6] == 0).all() and (flat[1, 6:, 6] == short.actions[-1, 6]).all()


def test_episodes_are_imagined_again_from_any_of_their_frames(make_episode, episodes):
    actions = action_chunks([make_episode(0, 11), make_episode(1, 6)], [3, 4])
    assert actions.shape == (2, 1, 8, 7)
    assert (actions[0, 0] == make_episode(0, 11).actions[3:]).all()
    assert (actions[1, 0, :2] == make_episode(1, 6).actions[4:]).all() and (actions[1, 0, 2:, :6] == 0).all()
    _, rollouts = replay_in_imagination(Imagination(3), episodes, 0, "again", begin=[5, 6, 7])
    assert [start.step for start in rollouts.starts] == [5, 6, 7]
    assert (rollouts.video[1, 0] == episodes[1].frames[6]).all()


def test_real_episodes_imagined_again_are_paired_with_their_own_outcome(episodes):
    mixed = [episodes[0], given_up(episodes[1], 10), episodes[2]]
    believing, rollouts = replay_in_imagination(Imagination(2, at=3), mixed, 0, "again")
    assert believing.counts() == {"imagined_and_real": 2, "imagined_only": 1, "real_only": 0, "neither": 0}
    assert rollouts.steps.tolist() == [8, 8, 8]
    doubting, _ = replay_in_imagination(Imagination(2), mixed, 0, "again")
    assert doubting.counts() == {"imagined_and_real": 0, "imagined_only": 0, "real_only": 2, "neither": 1}


def test_imagined_rollouts_are_executed_from_their_starts_with_their_actions(episodes):
    starts = [start_at(episode, 0) for episode in episodes]
    imagined = replay(Imagination(3), starts, action_chunks(episodes), 0, "dream", video=True)
    outcomes, real = replay_in_simulator(make_tabletop_env(3), imagined, 0, "real")
    assert outcomes.counts() == {"imagined_and_real": 0, "imagined_only": 0, "real_only": 3, "neither": 0}
    for row, episode in enumerate(episodes):
        first = episode.first_success
        assert real.first_success[row] == first
        assert (real.states[row, : first + 2] == episode.states[: first + 2]).all()


def test_a_real_success_counts_only_within_the_actions_that_were_imagined(episodes):
    first = episodes[0].first_success
    assert first >= 16  # so that one of two chunks ends before it
    starts, actions = [start_at(episodes[0], 0)], action_chunks(episodes[:1])
    for at, length, counts in ((3, 8, False), (15, 16, False), (first, first // 8 * 8 + 8, True)):
        imagined = replay(Imagination(1, at=at), starts, actions, 0, "dream", video=True)
        padded = replace(
            imagined,
            actions=actions,  # what follows was never imagined, though it would succeed
            executed=np.arange(actions.shape[1])[None] < length // 8,
            success=np.arange(actions.shape[1] * 8)[None] >= at,
        )
        outcomes, real = replay_in_simulator(make_tabletop_env(1), padded, 0, "real")
        assert real.succeeded.all() and outcomes.imagined.all() and outcomes.real.tolist() == [counts]


def test_error_is_measured_by_horizon_over_the_episodes_that_are_that_long(episodes):
    mixed = [episodes[0], given_up(episodes[1], 10)]
    _, rollouts = replay_in_imagination(Imagination(2), mixed, 0, "again")
    curves = psnr_by_horizon(mixed, rollouts)
    whole = len(episodes[0]) // 8
    assert [horizon for horizon, _ in curves["world"]] == [8.0 * chunk for chunk in range(1, whole + 1)]
    assert curves["world"] == curves["copy"]  # this one copies the first frame
    real = np.stack([episode.frames[1:9] for episode in mixed])
    still = np.stack([np.repeat(episode.frames[:1], 8, 0) for episode in mixed])
    assert curves["world"][0][1] == pytest.approx(psnr(real, still))
    alone = psnr(episodes[0].frames[9:17], np.repeat(episodes[0].frames[:1], 8, 0))
    assert curves["world"][1][1] == pytest.approx(alone)


def test_a_perfect_imagination_has_no_error_at_any_horizon(episodes):
    _, rollouts = replay_in_imagination(Imagination(1), episodes[:1], 0, "again")
    video = rollouts.video.copy()
    video[0, : len(episodes[0]) + 1] = episodes[0].frames
    curves = psnr_by_horizon(episodes[:1], replace(rollouts, video=video))
    assert {value for _, value in curves["world"]} == {99.0} and curves["copy"][0][1] < 60


def test_what_really_happened_is_cut_where_imagination_ended(episodes):
    starts = [start_at(episode, 0) for episode in episodes]
    imagined = replay(Imagination(3, at=3), starts, action_chunks(episodes), 0, "dream", video=True)  # one chunk
    _, real = replay_in_simulator(make_tabletop_env(3), imagined, 0, "real")
    for cut, episode in zip(within_imagined(real, imagined), episodes, strict=True):
        assert len(cut) == len(cut.success) == 8 and len(cut.states) == 9
        assert (cut.frames == episode.frames[:9]).all()


def test_imagined_pictures_are_labelled_with_what_really_happened_by_then(episodes):
    env = Imagination(len(episodes), at=19)  # believes in success at action 19, so every row ends after three chunks
    imagined = replay_in_imagination(env, episodes, 0, "test")[1]
    early, late, never = episodes
    truth = [
        replace(early, success=np.arange(len(early)) >= 9),
        given_up(replace(late, success=np.arange(len(late)) >= 10), 12),  # ended for real before it was imagined to
        replace(never, success=np.zeros(len(never), bool)),
    ]
    found = truly_labelled(imagined, truth)
    assert [len(episode) for episode in found] == [24] * 3
    assert [episode.first_success for episode in found] == [9, 10, -1]
    assert found[1].success[10:].all()
    assert (found[0].frames[5] == imagined.video[0, 5]).all()
