"""Evaluation: outcomes by task in the order of the starts, so that two policies can be paired."""

import numpy as np
import torch

from wovr_lab.measure.evaluation import Evaluation, compare, evaluate
from wovr_lab.measure.intervals import mcnemar, paired_difference, wilson
from wovr_lab.real.tabletop.chunk_env import initial_start, make_tabletop_env
from wovr_lab.real.tabletop.expert import expert_episodes
from wovr_lab.rollout import Recorded
from wovr_lab.types import ActionChunk


class Noise:
    """Small random actions from the generator that it is given."""

    def act(self, observation, instructions, generator, temperature):
        return ActionChunk(0.2 * torch.rand(len(instructions), 8, 7, generator=generator).numpy())


def test_rates_are_given_overall_and_by_task():
    found = Evaluation(np.array(["push", "lift", "push", "push"]), np.array([True, False, False, True]))
    assert found.overall == wilson(2, 4)
    assert found.by_task() == {"lift": wilson(0, 1), "push": wilson(2, 3)}


def test_the_expert_recorded_succeeds_where_noise_fails_on_the_same_starts():
    seeds = [10_000, 10_001]
    episodes = list(expert_episodes("push_red", seeds, noise=0.0, hold_after_success=8))
    starts = [initial_start("push_red", seed) for seed in seeds]
    chunks = min(len(episode) for episode in episodes) // 8
    actions = np.stack([episode.actions[: chunks * 8].reshape(chunks, 8, 7) for episode in episodes])
    env = make_tabletop_env(2, every_frame=False)
    expert = evaluate(env, Recorded(actions), starts, 0, 0.0)
    noise = evaluate(env, Noise(), starts, 0, 0.0)
    assert expert.succeeded.tolist() == [True, True] and noise.succeeded.tolist() == [False, False]
    assert expert.tasks.tolist() == ["push_red"] * 2


def test_two_evaluations_are_compared_pair_by_pair():
    tasks = np.array(["push"] * 6)
    before, after = np.array([0, 0, 0, 1, 1, 0], bool), np.array([1, 1, 0, 1, 0, 1], bool)
    difference, p_value = compare(Evaluation(tasks, before), Evaluation(tasks, after))
    assert difference == paired_difference(before, after) and difference.rate == 2 / 6
    assert p_value == mcnemar(before, after)
