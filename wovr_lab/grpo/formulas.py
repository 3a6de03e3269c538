"""Masked GRPO in formulas (paper section 3), as pure functions; what the public code does otherwise are objects.

In: first successes and probability ratios of G trajectories from each start. Out: advantages, masks, the objective
    J = mean_i 1/T_i sum_{t <= T_i} min(r_it A_i, clip(r_it, 1 - low, 1 + high) A_i),   A_i = R_i - mean(R),
with T_i (T_valid) the actions of trajectory i up to and including its first success.
The ratio r is formed for each action token (each of the 7 numbers of an action), clipped by itself, and averaged over
the 7: a ratio of whole actions would multiply seven of them and leave the clipping range at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Protocol

import torch
from torch import Tensor

from wovr_lab.fields import Range, configuration


def success_returns(first_success: Tensor, coefficient: float = 1.0, gamma: float = 1.0) -> Tensor:
    """R float32 [N] from the first successful action int64 [N] (-1: none): coefficient * gamma ** index or 0."""
    earned = coefficient * torch.as_tensor(gamma, dtype=torch.float32) ** first_success.clamp(min=0)
    return torch.where(first_success >= 0, earned, torch.zeros_like(earned))


@dataclass(frozen=True)
class MeanBaseline:
    """A_i = R_i - mean(R), the paper's."""

    def __call__(self, returns: Tensor) -> Tensor:
        """float32 [groups, G] -> the same shape."""
        return returns - returns.mean(1, keepdim=True)


@dataclass(frozen=True)
class MeanAndStd:
    """A_i = (R_i - mean(R)) / (std(R) + epsilon), the public implementation's."""

    epsilon: float = 1e-6

    def __call__(self, returns: Tensor) -> Tensor:
        """float32 [groups, G] -> the same shape."""
        return (returns - returns.mean(1, keepdim=True)) / (returns.std(1, keepdim=True) + self.epsilon)


Normaliser = MeanBaseline | MeanAndStd


def group_advantages(returns: Tensor, normaliser: Normaliser) -> Tensor:
    """A float32 [groups, G] from R float32 [groups, G]; a group whose returns are equal gets zeros."""
    equal = returns.amax(1, keepdim=True) == returns.amin(1, keepdim=True)
    return torch.where(equal, 0.0, normaliser(returns))  # their mean need not be exactly what they are


def mixed_groups(succeeded: Tensor) -> Tensor:
    """bool [groups]: which of bool [groups, G] have both outcomes; only they say which actions were better."""
    return succeeded.any(1) & ~succeeded.all(1)


def success_mask(first_success: Tensor, chunks: int, chunk: int) -> Tensor:
    """bool [N, C, K], True up to and including the first success int64 [N], everywhere where there is none (-1)."""
    index = torch.arange(chunks * chunk, device=first_success.device)
    last = torch.where(first_success >= 0, first_success, chunks * chunk)
    return (index <= last[:, None]).unflatten(1, (chunks, chunk))


class Mask(Protocol):
    """Which actions are judged."""

    def __call__(self, first_success: Tensor, executed: Tensor, chunk: int) -> Tensor:
        """bool [N, C, K] from first successes int64 [N] and bool [N, C], which chunks were executed."""
        ...


@dataclass(frozen=True)
class SuccessMask:
    """Executed actions up to and including the first success: what comes after it was not needed for it."""

    def __call__(self, first_success: Tensor, executed: Tensor, chunk: int) -> Tensor:
        return success_mask(first_success, executed.shape[1], chunk) & executed[..., None]


@dataclass(frozen=True)
class NoMask:
    """Every executed action."""

    def __call__(self, first_success: Tensor, executed: Tensor, chunk: int) -> Tensor:
        return executed[..., None].expand(-1, -1, chunk)


def valid_actions(mask: Tensor) -> Tensor:
    """T_valid int64 [N] of a mask bool [N, C, K]."""
    return mask.flatten(1).sum(1)


def trajectory_weights(mask: Tensor) -> Tensor:
    """float32 [N, C, K], mask / (N T_valid): each trajectory weighs the same, so a short one's actions weigh more."""
    return mask / (len(mask) * valid_actions(mask).clamp(min=1)[:, None, None])


@configuration
class DualClip:
    """Bounds the loss of a bad action whose ratio has grown large: for A < 0 the objective is at least limit * A."""

    limit: Annotated[float, Range(1, ends="(]")] = 3.0  # 1 would cut ratios of 1

    def __call__(self, objective: Tensor, advantage: Tensor) -> Tensor:
        return torch.where(advantage < 0, objective.maximum(self.limit * advantage), objective)


@dataclass(frozen=True)
class NoDualClip:
    """The objective as it is (the paper's)."""

    def __call__(self, objective: Tensor, advantage: Tensor) -> Tensor:
        return objective


def clipped_objective(
    log_ratio: Tensor,
    advantage: Tensor,
    weight: Tensor,
    clip_low: float = 0.2,
    clip_high: float = 0.28,
    dual_clip: DualClip | NoDualClip = DualClip(),  # noqa: B008 (frozen)
) -> Tensor:
    """J, or the part of it that these M chunks contribute; to be maximised.

    log_ratio float [M, K, 7], log pi(token) - log pi_old(token); advantage float [M]; weight float [M, K] from
    `trajectory_weights`. Summed over all chunks of all trajectories it is exactly J.
    """
    ratio = log_ratio.exp()
    advantage = advantage[:, None, None].expand_as(ratio)
    objective = torch.minimum(ratio * advantage, ratio.clamp(1 - clip_low, 1 + clip_high) * advantage)
    return (dual_clip(objective, advantage).mean(-1) * weight).sum()


def clip_fraction(log_ratio: Tensor, weight: Tensor, clip_low: float, clip_high: float) -> Tensor:
    """Share of the weighed tokens whose ratio lies outside the clipping range."""
    ratio = log_ratio.exp()
    outside = ((ratio < 1 - clip_low) | (ratio > 1 + clip_high)).float().mean(-1)
    return (outside * weight).sum() / weight.sum()


def approx_kl(log_ratio: Tensor, weight: Tensor) -> Tensor:
    """KL(old || new) a token, from tokens that old sampled: the mean of r - 1 - log r, which is never negative."""
    return ((log_ratio.exp() - 1 - log_ratio).mean(-1) * weight).sum() / weight.sum()
