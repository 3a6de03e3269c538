"""Actions in [-1, 1] to tokens and back, and the soft labels that imitation learns from.

In: actions float [..., 7]. Out: tokens int64 [..., 7] and targets float32 [..., 7, bins]. OpenVLA-style bins of equal
width, one vocabulary a dimension; 21 of them rather than 256, and soft labels on the translation only, because more
bins or soft labels on rotation and gripper give sampling entropy that no task needs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wovr_lab.errors import UserError

TRANSLATION = slice(0, 3)
ROTATION = slice(3, 6)
GRIPPER = slice(6, 7)


@dataclass(frozen=True)
class ActionTokens:
    """`bins` equally spaced values from -1 to 1, and the width of the soft labels on x, y and z."""

    bins: int = 21
    sigma: float = 0.8  # standard deviation of a soft label, in bins

    def __post_init__(self) -> None:
        if self.bins < 3 or self.bins % 2 == 0 or self.sigma <= 0:
            raise UserError(f"{self} is no action vocabulary: it takes an odd number of bins >= 3 and sigma > 0")

    @property
    def centres(self) -> Tensor:
        """float32 [bins]; -1, 0 and 1 are among them exactly."""
        return (2 * torch.arange(self.bins, dtype=torch.float32) - (self.bins - 1)) / (self.bins - 1)

    def position(self, actions: Tensor) -> Tensor:
        """Where actions lie on the scale of bins, float [...] in [0, bins - 1]."""
        return (actions.clamp(-1, 1) + 1) / 2 * (self.bins - 1)

    def encode(self, actions: Tensor) -> Tensor:
        """Tokens int64 [...] of the nearest bins; values outside [-1, 1] take the outermost."""
        return self.position(actions).round().long()

    def decode(self, tokens: Tensor) -> Tensor:
        """Actions float32 [...]; `encode` gives the tokens back exactly."""
        return self.centres.to(tokens.device)[tokens]

    def targets(self, actions: Tensor) -> Tensor:
        """Label distributions float32 [..., 7, bins]: Gaussian about the exact value on x, y, z, one-hot elsewhere."""
        index = torch.arange(self.bins, device=actions.device)
        distance = index - self.position(actions[..., TRANSLATION])[..., None]
        soft = torch.softmax(-0.5 * (distance / self.sigma) ** 2, -1)
        hard = torch.nn.functional.one_hot(self.encode(actions[..., TRANSLATION.stop :]), self.bins)
        return torch.cat([soft, hard.to(soft)], -2)
