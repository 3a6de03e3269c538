"""What GRPO learns from: the chunks that a policy chose, each with the advantage and the weight that it counts by.

In: rollouts with their advantages and weights. Out: one batch, or rows of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wovr_lab.types import Rollouts


@dataclass(frozen=True)
class PolicyBatch:
    """M chunks that a policy chose, each with what it counts by."""

    frames: np.ndarray  # uint8 [M, H, W, 3]
    instructions: tuple[str, ...]  # M
    tokens: Tensor  # int64 [M, K, 7]
    old_log_probs: Tensor  # float32 [M, K, 7], of the policy that sampled them
    advantages: Tensor  # float32 [M]
    weights: Tensor  # float32 [M, K], mask / (N T_valid)

    def __len__(self) -> int:
        return len(self.frames)

    def select(self, rows: np.ndarray, scale: float) -> PolicyBatch:
        """Those rows (int64 [m]), their weights multiplied by `scale`."""
        return PolicyBatch(
            frames=self.frames[rows],
            instructions=tuple(self.instructions[row] for row in rows),
            tokens=self.tokens[rows],
            old_log_probs=self.old_log_probs[rows],
            advantages=self.advantages[rows],
            weights=self.weights[rows] * scale,
        )


def to_batch(rollouts: Rollouts, advantages: Tensor, weights: Tensor) -> PolicyBatch:
    """The chunks of `rollouts` in which an action counts.

    advantages float32 [N]; weights float32 [N, C, K], zero where an action does not count. Raises ValueError if the
    actor gave no log-probabilities (it acted greedily or has none).
    """
    if rollouts.tokens is None or rollouts.log_probs is None:
        raise ValueError("these rollouts have no log-probabilities: sample them from a policy at a temperature above 0")
    row, chunk = (weights > 0).any(-1).nonzero(as_tuple=True)
    return PolicyBatch(
        frames=rollouts.frames[row.numpy(), chunk.numpy()],
        instructions=tuple(rollouts.instructions[index] for index in row.tolist()),
        tokens=rollouts.tokens[row, chunk],
        old_log_probs=rollouts.log_probs[row, chunk],
        advantages=advantages[row],
        weights=weights[row, chunk],
    )


def concat(parts: Sequence[PolicyBatch], groups: Sequence[int]) -> PolicyBatch:
    """The decisions of several draws as one batch. The weights of each draw add up to 1; here each draw counts by the
    number of its `groups` that have both outcomes, so that every trajectory weighs the same."""
    if len(parts) == 1:
        return parts[0]
    total = max(sum(groups), 1)
    return PolicyBatch(
        frames=np.concatenate([part.frames for part in parts]),
        instructions=tuple(instruction for part in parts for instruction in part.instructions),
        tokens=torch.cat([part.tokens for part in parts]),
        old_log_probs=torch.cat([part.old_log_probs for part in parts]),
        advantages=torch.cat([part.advantages for part in parts]),
        weights=torch.cat([part.weights * (count / total) for part, count in zip(parts, groups, strict=True)]),
    )
