"""Muon (Jordan et al. 2024): steps along the orthogonal part of the momentum, for matrices.

In: matrices with gradients. Out: the matrices, moved. As `torch.optim.Muon`, with the same buffers, but in float32 and
all matrices of one shape at once: torch rounds to bfloat16, which a CPU without such instructions emulates, and then
the optimizer takes twice the time of the network.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of Newton-Schulz's quintic; singular values end in about [.7, 1.2]
ITERATIONS = 5
TINY = 1e-7
MATCH_ADAMW = 0.2  # root mean square of a step of AdamW, which the step is scaled to


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised, scaled to the size of AdamW's steps; weight decay is decoupled. Raises
    ValueError on a parameter that is no matrix."""

    def __init__(self, matrices: Iterable[Tensor], lr: float, weight_decay: float, momentum: float = 0.95):
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        for group in self.param_groups:
            if wrong := [tuple(weight.shape) for weight in group["params"] if weight.ndim != 2]:
                raise ValueError(f"Muon moves matrices, not parameters of shape {wrong[0]}")

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One step of every matrix that has a gradient."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = {}
            for weight in group["params"]:
                if weight.grad is not None:
                    by_shape.setdefault(weight.shape, []).append(weight)
            for shape, weights in by_shape.items():
                steps = orthogonal(torch.stack([self._momentum(weight, group["momentum"]) for weight in weights]))
                rate = group["lr"] * MATCH_ADAMW * math.sqrt(max(shape))
                for weight, step in zip(weights, steps, strict=True):
                    weight.mul_(1 - group["lr"] * group["weight_decay"]).add_(step, alpha=-rate)

    def _momentum(self, weight: Tensor, momentum: float) -> Tensor:
        """Its moving average of gradients, looked ahead by one step."""
        state = self.state[weight]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(weight)
        average = state["momentum_buffer"].lerp_(weight.grad, 1 - momentum)
        return weight.grad.lerp(average, momentum)


def orthogonal(matrices: Tensor) -> Tensor:
    """The orthogonal part of each matrix [n, rows, columns], coarsely, by Newton-Schulz iterations."""
    a, b, c = COEFFICIENTS
    is_tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if is_tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + TINY)
    for _ in range(ITERATIONS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x.mT if is_tall else x
