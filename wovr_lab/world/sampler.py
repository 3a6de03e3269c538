"""Rectified flow: x_s = (1 - s) x + s eps, velocity v = eps - x (paper section 2); Euler steps by diffusers' scheduler.

In: a velocity function and noise. Out: future latents. The number of steps is chosen at call time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor

from wovr_lab.fields import Count, Positive, check

SHIFT = 5.0
SMALLEST_SIGMA = 0.3  # of training; ten sampler steps visit nothing below, and 1 / sigma^2 would drown the rest


def shifted(uniform: Tensor, shift: float = SHIFT) -> Tensor:
    """sigma = shift u / (1 + (shift - 1) u): more of the training time where little of the frame is visible."""
    return shift * uniform / (1 + (shift - 1) * uniform)


def add_noise(clean: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    """x_s = (1 - s) x + s eps; sigma [B] is spread over the other dimensions."""
    s = sigma.view(-1, *[1] * (clean.ndim - 1))
    return (1 - s) * clean + s * noise


class Prediction(Protocol):
    """How the network's answer is read."""

    def velocity(self, answer: Tensor, noisy: Tensor, memory: Tensor, sigma: Tensor) -> Tensor: ...


class VelocityPrediction:
    """The answer is the velocity itself, as in Wan2.2."""

    def velocity(self, answer: Tensor, noisy: Tensor, memory: Tensor, sigma: Tensor) -> Tensor:
        return answer


class ResidualPrediction:
    """The answer is what changes since the memory: x = memory + answer, v = (x_s - x) / s. Same objective; a small
    network then need not carry the noise through its layers, and starts from "nothing moves"."""

    def velocity(self, answer: Tensor, noisy: Tensor, memory: Tensor, sigma: Tensor) -> Tensor:
        """answer, noisy [B, C, 2, h, w], memory [B, C, h, w], sigma [B] > 0."""
        return (noisy - memory[:, :, None] - answer) / sigma.view(-1, 1, 1, 1, 1)


class FlowSampler:
    """Euler sampling of the future latents from noise; `steps` may be changed at any time. Raises UserError when asked
    for fewer than one."""

    def __init__(self, steps: int = 5, shift: float = SHIFT):
        self.steps, self.shift = check("sampler steps", steps, Count), check("shift", shift, Positive)

    def sigmas(self) -> list[float]:
        """The times visited, from 1 down; the last step goes to 0."""
        return self._scheduler(torch.device("cpu")).sigmas[:-1].tolist()

    def _scheduler(self, device: torch.device) -> FlowMatchEulerDiscreteScheduler:
        check("sampler steps", self.steps, Count)
        scheduler = FlowMatchEulerDiscreteScheduler(shift=self.shift)
        # the list is given, since the scheduler's own default is not the one the method uses (paper section 2)
        scheduler.set_timesteps(sigmas=np.linspace(1, 1 / self.steps, self.steps).tolist(), device=device)
        return scheduler

    def sample(self, velocity: Callable[[Tensor, Tensor], Tensor], noise: Tensor) -> Tensor:
        """`velocity(noisy [B, C, 2, h, w], sigma [B])` -> clean future latents [B, C, 2, h, w]."""
        scheduler = self._scheduler(noise.device)
        latents = noise
        for timestep, sigma in zip(scheduler.timesteps, scheduler.sigmas[:-1], strict=True):
            answer = velocity(latents, sigma.expand(len(latents)))
            latents = scheduler.step(answer, timestep, latents, return_dict=False)[0]
        return latents
