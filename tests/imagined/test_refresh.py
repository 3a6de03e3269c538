"""What of the simulator learns between updates of RL, and from which pictures."""

from dataclasses import replace

import numpy as np
import pytest

from wovr_lab.imagined.refresh import Executed, SimulatorRefresh
from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.reward.refresh import RewardRefresh
from wovr_lab.reward.training import RewardTrainingConfig, classify_episodes
from wovr_lab.training import FitConfig

WORDS = ("push the red cube",)
RED, ORANGE, GREY = (220, 30, 30), (220, 90, 30), (128, 128, 128)


@pytest.fixture
def coloured(make_episode):
    def make(seed: int, colour: tuple[int, int, int], succeeds: bool):
        episode = make_episode(seed, 20, size=32, success_at=10 if succeeds else None)
        frames = np.full_like(episode.frames, 128)
        frames[11:] = colour
        noise = np.random.default_rng(seed).integers(-8, 9, frames.shape)
        return replace(episode, frames=(frames + noise).clip(0, 255).astype(np.uint8))

    return make


def test_a_simulator_without_such_parts_stays_as_it_is():
    fixed = SimulatorRefresh()
    assert not fixed.learns
    fixed.update(0, Executed([]))
    fixed.restore(0, Executed([]))


def test_the_reward_learns_what_imagined_success_is_worth_from_what_really_happened(coloured):
    known = [coloured(seed, RED if seed % 2 else GREY, bool(seed % 2)) for seed in range(12)]
    hallucinated = [coloured(seed, ORANGE, False) for seed in range(20, 32)]  # looks like success and was none
    reward = SuccessClassifier(WORDS, width=8).eval()
    part = RewardRefresh(reward, known, RewardTrainingConfig(FitConfig(80, 3e-3, 10), batch=24), 0)
    simulator = SimulatorRefresh(reward=part)
    assert simulator.learns
    simulator.update(0, Executed(known))
    assert classify_episodes(reward, hallucinated).mean() > 0.8
    simulator.update(4, Executed(known, hallucinated))
    assert classify_episodes(reward, hallucinated).mean() < 0.3
    assert classify_episodes(reward, known[1::2]).mean() > 0.7
    assert len(part.learning) + len(part.calibrating) == 4 * 12
