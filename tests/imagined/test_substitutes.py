"""Each part of the simulator replaced by the truth alone: frames from one world, outcomes from the other."""

import numpy as np
import pytest

from wovr_lab.checks import check_chunk_env
from wovr_lab.contracts import ChunkEnv, ChunkFrames
from wovr_lab.errors import UserError
from wovr_lab.imagined.substitutes import LearntRewardEnv, TrueOutcomeEnv
from wovr_lab.real.tabletop.chunk_env import initial_start, make_tabletop_env
from wovr_lab.real.tabletop.expert import expert_episodes
from wovr_lab.real.tabletop.tasks import TASKS
from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.rollout import replay
from wovr_lab.starts import start_at

WORDS = [task.instruction for task in TASKS.values()]


class Believes(SuccessClassifier):
    """Answers the same probability for every frame."""

    def told(self, probability: float) -> "Believes":
        self.answer = probability
        return self

    def probability(self, frames: np.ndarray, instructions) -> np.ndarray:
        return np.full(frames.shape[:2], self.answer, np.float32)


class Grey(ChunkEnv):
    """An imagination in which nothing is ever seen to happen."""

    def draw_starts(self, count, seed):
        return [initial_start("push_red", seed)] * count

    def reset_rows(self, rows, starts, seed):
        return {}

    def step_rows(self, rows, actions):
        return ChunkFrames(np.full((len(rows), self.chunk, 32, 32, 3), 128, np.uint8), np.zeros((len(rows), 8), bool))


def test_they_keep_the_contract_of_every_environment():
    starts = [initial_start(task, 0) for task in ("push_red", "green_on_plate")]
    reward = Believes(WORDS).told(1.0)
    check_chunk_env(lambda: LearntRewardEnv(make_tabletop_env(2, max_steps=24), reward), starts)
    check_chunk_env(lambda: TrueOutcomeEnv(Grey(2, 32, 24), make_tabletop_env(2, max_steps=24)), starts)


def expert():
    episode = next(expert_episodes("push_red", [0], 0.0))
    return [start_at(episode, 0)], episode


def as_chunks(actions: np.ndarray) -> np.ndarray:
    return actions[: len(actions) // 8 * 8].reshape(1, -1, 8, 7)


@pytest.mark.parametrize("believed", [0.0, 1.0])
def test_a_learnt_reward_decides_over_real_frames_whatever_really_happens(believed):
    starts, episode = expert()
    env = LearntRewardEnv(make_tabletop_env(1, hold_after_success=48), Believes(WORDS).told(believed))
    judged = replay(env, starts, as_chunks(episode.actions), 0, "test", video=True)
    real = replay(
        make_tabletop_env(1, hold_after_success=48), starts, as_chunks(episode.actions), 0, "test", video=True
    )
    assert real.succeeded.all()
    assert judged.first_success.tolist() == [1 if believed else -1]  # the second frame in a row
    width = min(judged.video.shape[1], real.video.shape[1])
    assert np.array_equal(judged.video[:, :width], real.video[:, :width])


def test_true_outcomes_of_imagined_frames_are_those_of_the_same_actions():
    starts, episode = expert()
    env = TrueOutcomeEnv(Grey(1, 32, 48), make_tabletop_env(1, every_frame=False))
    found = replay(env, starts, as_chunks(episode.actions), 0, "test", video=True)
    real = replay(make_tabletop_env(1), starts, as_chunks(episode.actions), 0, "test")
    assert found.first_success.tolist() == real.first_success.tolist() and found.succeeded.all()
    assert (found.video[:, 1:] == 128).all()


def test_unequal_rows_and_missing_frames_are_refused():
    with pytest.raises(UserError, match="as many of both"):
        TrueOutcomeEnv(Grey(2, 32, 48), make_tabletop_env(1))
    env = LearntRewardEnv(make_tabletop_env(1, every_frame=False), Believes(WORDS).told(1.0))
    env.reset(seed=0, options={"starts": expert()[0]})
    with pytest.raises(UserError, match="every_frame"):
        env.step(np.zeros((1, 8, 7), np.float32))
