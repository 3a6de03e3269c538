"""How a chunk's tokens are drawn while a policy learns: each by itself, or one plan for the whole chunk (not in the
paper).

In: log-probabilities float [N, K, 7, bins]. Out: tokens int64 [N, K, 7]. Every token keeps the policy's own
distribution under either noise, so log-probabilities and the loss of GRPO do not depend on it; only how the tokens of
different steps go together does. Eight independent choices average out to nearly the same motion in every rollout of a
group, and a group whose rollouts look alike teaches nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wovr_lab.contracts import Observation, TrainablePolicy
from wovr_lab.errors import UserError
from wovr_lab.types import ActionChunk

COLDEST = 1e-3  # temperature, below which logits leave the range of float32


@dataclass(frozen=True)
class IndependentNoise:
    """A uniform number for each token: what a policy is evaluated with."""

    def uniforms(self, shape: tuple[int, int, int], generator: torch.Generator) -> Tensor:
        """float32 [N, K, 7] in [0, 1) for `shape` (N, K, 7)."""
        return torch.rand(shape, generator=generator)


@dataclass(frozen=True)
class ChunkSharedNoise:
    """A uniform number for each action dimension of a chunk, shared by its K steps: a chunk that goes further to the
    left does so throughout."""

    def uniforms(self, shape: tuple[int, int, int], generator: torch.Generator) -> Tensor:
        """float32 [N, K, 7] in [0, 1) for `shape` (N, K, 7)."""
        rows, chunk, dimensions = shape
        return torch.rand(rows, 1, dimensions, generator=generator).expand(rows, chunk, dimensions)


Noise = IndependentNoise | ChunkSharedNoise


def draw_tokens(log_probs: Tensor, noise: Noise, generator: torch.Generator) -> Tensor:
    """Tokens int64 [N, K, 7] of log-probabilities float [N, K, 7, bins], by each token's inverse cumulative
    distribution at the noise's uniform numbers. The numbers come from `generator` alone, on its own device."""
    rows, chunk, dimensions, bins = log_probs.shape
    uniforms = noise.uniforms((rows, chunk, dimensions), generator).to(log_probs)
    cumulative = log_probs.exp().cumsum(-1)
    return (cumulative <= uniforms[..., None]).sum(-1).clamp(max=bins - 1)


def choose_tokens(
    logits: Tensor, generator: torch.Generator, temperature: float, noise: Noise
) -> tuple[Tensor, Tensor | None]:
    """Tokens int64 [N, K, 7] of logits float [N, K, 7, bins] and their log-probabilities: the likeliest at temperature
    0, without any, else a sample. Raises UserError on other temperatures below `COLDEST`."""
    if temperature == 0:
        return logits.argmax(-1), None
    log_probs = _tempered(logits, temperature)
    tokens = draw_tokens(log_probs, noise, generator)
    return tokens, _chosen(log_probs, tokens)


def log_prob_of(logits: Tensor, tokens: Tensor, temperature: float) -> Tensor:
    """Log-probabilities float [N, K, 7] of `tokens` int64 [N, K, 7]. Raises UserError on temperatures
    below `COLDEST`."""
    return _chosen(_tempered(logits, temperature), tokens)


def _tempered(logits: Tensor, temperature: float) -> Tensor:
    if not temperature >= COLDEST:
        raise UserError(
            f"temperature {temperature} has no log-probabilities: sample at {COLDEST} or above, or act greedily at 0"
        )
    return (logits / temperature).log_softmax(-1)


def _chosen(log_probs: Tensor, tokens: Tensor) -> Tensor:
    return log_probs.gather(-1, tokens[..., None])[..., 0]


@dataclass(frozen=True)
class ExploringActor:
    """A policy that acts with some noise: what GRPO rolls out."""

    policy: TrainablePolicy
    noise: Noise

    def act(
        self, observation: Observation, instructions: tuple[str, ...], generator: torch.Generator, temperature: float
    ) -> ActionChunk:
        """The policy's chunk; greedy at temperature 0, where noise has no say."""
        return self.policy.act(observation, instructions, generator, temperature, self.noise)
