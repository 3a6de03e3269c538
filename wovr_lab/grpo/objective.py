"""The learner of masked GRPO: decisions of rollouts in, `forward(decisions) -> (loss, metrics)` out (paper section 3).

Also the optional anchor that keeps the policy near a frozen reference; the paper has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from wovr_lab.contracts import TrainablePolicy
from wovr_lab.errors import UserError
from wovr_lab.grpo.formulas import DualClip, NoDualClip, clipped_objective, clipped_share, estimated_kl
from wovr_lab.policy.vla import VLAPolicy
from wovr_lab.types import Rollouts


@dataclass(frozen=True)
class Decisions:
    """M chunks that a policy chose, each with what it is judged by."""

    frames: np.ndarray  # uint8 [M, H, W, 3]
    instructions: tuple[str, ...]  # M
    tokens: Tensor  # int64 [M, K, 7]
    old_log_probs: Tensor  # float32 [M, K, 7], of the policy that sampled them
    advantages: Tensor  # float32 [M]
    weights: Tensor  # float32 [M, K], mask / (N T_valid)

    def __len__(self) -> int:
        return len(self.frames)

    def select(self, rows: np.ndarray, scale: float) -> Decisions:
        """Those rows (int64 [m]), their weights multiplied by `scale`."""
        return Decisions(
            frames=self.frames[rows],
            instructions=tuple(self.instructions[row] for row in rows),
            tokens=self.tokens[rows],
            old_log_probs=self.old_log_probs[rows],
            advantages=self.advantages[rows],
            weights=self.weights[rows] * scale,
        )


def judged_decisions(rollouts: Rollouts, advantages: Tensor, weights: Tensor) -> Decisions:
    """The chunks of `rollouts` in which an action counts.

    advantages float32 [N]; weights float32 [N, C, K], zero where an action does not count. Raises ValueError if the
    actor gave no log-probabilities (it acted greedily or has none).
    """
    if rollouts.tokens is None or rollouts.log_probs is None:
        raise ValueError("these rollouts have no log-probabilities: sample them from a policy at a temperature above 0")
    row, chunk = (weights > 0).any(-1).nonzero(as_tuple=True)
    return Decisions(
        frames=rollouts.frames[row.numpy(), chunk.numpy()],
        instructions=tuple(rollouts.instructions[index] for index in row.tolist()),
        tokens=rollouts.tokens[row, chunk],
        old_log_probs=rollouts.log_probs[row, chunk],
        advantages=advantages[row],
        weights=weights[row, chunk],
    )


def joined(parts: Sequence[Decisions], groups: Sequence[int]) -> Decisions:
    """The decisions of several draws as one batch. The weights of each draw add up to 1; here each draw counts by the
    number of its `groups` that have both outcomes, so that every trajectory weighs the same."""
    if len(parts) == 1:
        return parts[0]
    total = max(sum(groups), 1)
    return Decisions(
        frames=np.concatenate([part.frames for part in parts]),
        instructions=tuple(instruction for part in parts for instruction in part.instructions),
        tokens=torch.cat([part.tokens for part in parts]),
        old_log_probs=torch.cat([part.old_log_probs for part in parts]),
        advantages=torch.cat([part.advantages for part in parts]),
        weights=torch.cat([part.weights * (count / total) for part, count in zip(parts, groups, strict=True)]),
    )


class Anchor(Protocol):
    """What holds the policy back, to be added to the loss."""

    def __call__(self, decisions: Decisions, log_probs: Tensor, weights: Tensor, temperature: float) -> Tensor:
        """A penalty float32 [] from the policy's log-probabilities float32 [M, K, 7] and weights [M, K]."""
        ...


@dataclass(frozen=True)
class NoAnchor:
    """Nothing does (the paper's choice)."""

    def __call__(self, decisions: Decisions, log_probs: Tensor, weights: Tensor, temperature: float) -> Tensor:
        return log_probs.new_zeros(())


@dataclass(frozen=True)
class ReferenceAnchor:
    """coefficient * KL(policy || reference) a token: the mean of rho - 1 - log rho, rho = reference / policy."""

    reference: TrainablePolicy
    coefficient: float

    def __post_init__(self) -> None:
        if self.coefficient <= 0:
            raise UserError("an anchor's coefficient must be positive; use NoAnchor() for none")

    def __call__(self, decisions: Decisions, log_probs: Tensor, weights: Tensor, temperature: float) -> Tensor:
        observation = {"frame": decisions.frames}
        with torch.no_grad():
            reference = self.reference.log_prob(observation, decisions.instructions, decisions.tokens, temperature)
        return self.coefficient * estimated_kl(reference - log_probs, weights)


def anchor_to(policy: VLAPolicy, coefficient: float) -> Anchor:
    """What holds a policy to what it is now; nothing where the coefficient is 0."""
    return ReferenceAnchor(deepcopy(policy).requires_grad_(False).eval(), coefficient) if coefficient else NoAnchor()


class MaskedGRPO(nn.Module):
    """The learner: minus the clipped objective of its policy, plus the anchor's penalty."""

    def __init__(
        self,
        policy: TrainablePolicy,
        temperature: float,
        clip_low: float,
        clip_high: float,
        dual_clip: DualClip | NoDualClip,
        anchor: Anchor,
    ):
        super().__init__()
        self.policy, self.temperature = policy, temperature
        self.clip_low, self.clip_high, self.dual_clip, self.anchor = clip_low, clip_high, dual_clip, anchor

    def forward(self, batch: Decisions) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss float32 [] and `clip_ratio`, `kl` (from the policy that sampled) and `anchor`, all per action token."""
        observation = {"frame": batch.frames}
        log_probs = self.policy.log_prob(observation, batch.instructions, batch.tokens, self.temperature)
        device = log_probs.device
        log_ratio, weights = log_probs - batch.old_log_probs.to(device), batch.weights.to(device)
        advantages = batch.advantages.to(device)
        objective = clipped_objective(log_ratio, advantages, weights, self.clip_low, self.clip_high, self.dual_clip)
        anchor = self.anchor(batch, log_probs, weights, self.temperature)
        with torch.no_grad():
            clip_ratio = clipped_share(log_ratio, weights, self.clip_low, self.clip_high)
            kl = estimated_kl(log_ratio, weights)
        return anchor - objective, {"clip_ratio": clip_ratio, "kl": kl, "anchor": anchor.detach()}
