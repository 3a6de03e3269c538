"""A reward that learns from the policy that exploits it, and goes on after a kill as if nothing had happened."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.reward.refresh import RewardErrors, RewardRefresh, split
from wovr_lab.reward.training import RewardTrainingConfig
from wovr_lab.training import FitConfig
from wovr_lab.types import Episode

WORDS = ("push the red cube",)


def new_reward() -> SuccessClassifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return SuccessClassifier(WORDS, width=8).eval()


def coloured(make_episode, seed: int, colour: tuple[int, int, int], succeeds: bool) -> Episode:
    """Twenty grey frames and, from the tenth on, of one colour."""
    episode = make_episode(seed, 20, size=32, success_at=10 if succeeds else None)
    frames = np.full_like(episode.frames, 128)
    frames[11 if succeeds else 10 :] = colour
    noise = np.random.default_rng(seed).integers(-8, 9, frames.shape)
    return replace(episode, frames=(frames + noise).clip(0, 255).astype(np.uint8))


RED, ORANGE = (220, 30, 30), (220, 90, 30)


@pytest.fixture
def known(make_episode) -> list[Episode]:
    grey = [coloured(make_episode, seed, (128, 128, 128), False) for seed in range(6)]
    return [*(coloured(make_episode, seed, RED, True) for seed in range(10, 16)), *grey]


@pytest.fixture
def exploits(make_episode) -> list[Episode]:
    """A policy that has found out that orange is taken for red."""
    return [coloured(make_episode, seed, ORANGE, False) for seed in range(20, 30)]


def refresh(reward: SuccessClassifier, known: list[Episode], **choices) -> RewardRefresh:
    return RewardRefresh(reward, known, RewardTrainingConfig(FitConfig(60, 3e-3, 10), batch=24), 0, **choices)


def test_errors_count_episodes_by_hand(make_episode):
    class Believing(SuccessClassifier):
        def probability(self, frames, instructions):
            return np.ones(frames.shape[:2], np.float32)

    episodes = [make_episode(0, 12, size=32, success_at=5), make_episode(1, 12, size=32), make_episode(2, 12, size=32)]
    found = RewardErrors.of(Believing(WORDS, width=8), episodes)
    assert found == RewardErrors(false_positives=2, failures=2, false_negatives=0, successes=1)
    assert (found.false_positive_rate, found.false_negative_rate) == (1.0, 0.0)
    assert RewardErrors(0, 0, 0, 0).false_positive_rate == RewardErrors(0, 0, 0, 0).false_negative_rate == 0


def test_a_reward_unlearns_what_the_newest_policy_exploits(known, exploits):
    reward = new_reward()
    one = refresh(reward, known)
    one.update(0, known)  # learns the task
    before = RewardErrors.of(reward, exploits)
    assert before.false_positive_rate > 0.8
    one.update(1, exploits)
    assert RewardErrors.of(reward, exploits).false_positive_rate < 0.2
    assert RewardErrors.of(reward, known).false_negative_rate < 0.2


def test_what_was_learnt_at_each_check_is_taken_back_after_a_kill(known, exploits, tmp_path):
    first, second = new_reward(), new_reward()
    one = refresh(first, known, folder=tmp_path)
    one.update(0, exploits[:5])
    one.update(4, exploits[5:])
    again = refresh(second, known, folder=tmp_path)
    assert again.restore(0, exploits[:5]) and again.restore(4, exploits[5:]) and not again.restore(8, [])
    weights = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    assert all(torch.equal(mine, yours) for mine, yours in weights)
    assert [e.seed for e in again.learning + again.calibrating] == [e.seed for e in one.learning + one.calibrating]
    for each in (one, again):
        each.update(8, exploits)
    assert torch.equal(first.layers[-1].weight, second.layers[-1].weight)


def test_what_chooses_the_threshold_is_never_learnt_from(known):
    learning, calibrating = split(known)
    assert [episode.seed for episode in calibrating] == [known[row].seed for row in (0, 5, 10)]
    seeds = [episode.seed for episode in [*learning, *calibrating]]
    assert sorted(seeds) == sorted(episode.seed for episode in known)
