"""Noise changes how a chunk's tokens go together, never what a single token is drawn from."""

import numpy as np
import pytest
import torch

from wovr_lab.policy.exploration import ChunkSharedNoise, ExploringActor, IndependentNoise, draw_tokens

NOISES = (IndependentNoise(), ChunkSharedNoise())


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Told:
    """Uniform numbers worked out by hand."""

    def __init__(self, values: list[float]):
        self.values = values

    def uniforms(self, shape: tuple[int, int, int], generator: torch.Generator) -> torch.Tensor:
        return torch.tensor(self.values).view(shape)


def test_tokens_are_the_inverse_of_the_cumulative_distribution_by_hand():
    log_probs = torch.tensor([0.2, 0.5, 0.3]).log().expand(1, 1, 6, 3)
    tokens = draw_tokens(log_probs, Told([0.0, 0.19, 0.21, 0.69, 0.71, 0.999]), generator())
    assert tokens.flatten().tolist() == [0, 0, 1, 1, 2, 2]


def test_a_bin_without_probability_is_never_drawn():
    log_probs = torch.tensor([0.0, 1.0, 0.0]).log().expand(1, 1, 2, 3)
    assert draw_tokens(log_probs, Told([0.0, 0.9999999]), generator()).flatten().tolist() == [1, 1]


@pytest.mark.parametrize("noise", NOISES)
def test_every_token_keeps_its_own_distribution(noise):
    probabilities = torch.tensor([0.1, 0.6, 0.3])
    tokens = draw_tokens(probabilities.log().expand(4000, 8, 7, 3), noise, generator())
    found = torch.nn.functional.one_hot(tokens, 3).float().mean(0)
    assert (found - probabilities).abs().max() < 0.04


def test_shared_noise_goes_one_way_throughout_a_chunk_and_independent_noise_does_not():
    log_probs = torch.full((500, 8, 7, 21), 1 / 21).log()
    independent, shared = (draw_tokens(log_probs, noise, generator()).float() for noise in NOISES)
    assert (shared == shared[:, :1]).all()
    assert shared.mean(1).std() > 2.5 * independent.mean(1).std()  # sqrt(8) = 2.8 for equal distributions
    assert abs(np.corrcoef(shared[:, 0, 0], shared[:, 0, 1])[0, 1]) < 0.15  # dimensions go their own ways


@pytest.mark.parametrize("noise", NOISES)
def test_an_exploring_actor_reports_the_log_probabilities_that_the_policy_learns_by(policy, frames, noise):
    words = ("push the red cube into the zone", "put the red cube on the plate", "push the blue one")
    chunk = ExploringActor(policy, noise).act({"frame": frames}, words, generator(), 1.2)
    again = policy.log_prob({"frame": frames}, words, chunk.tokens, 1.2)
    assert (again - chunk.log_probs).abs().max() < 1e-4
    greedy = ExploringActor(policy, noise).act({"frame": frames}, words, generator(), 0.0)
    assert torch.equal(greedy.tokens, policy.act({"frame": frames}, words, generator(1), 0.0).tokens)


def test_only_the_generator_decides_what_is_tried():
    log_probs = torch.full((5, 8, 7, 21), 1 / 21).log()
    for noise in NOISES:
        first, again, other = (draw_tokens(log_probs, noise, generator(seed)) for seed in (3, 3, 4))
        assert torch.equal(first, again) and not torch.equal(first, other)
