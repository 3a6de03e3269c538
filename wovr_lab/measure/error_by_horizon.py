"""How the error of imagined frames grows with the horizon, and what each mechanism of the context adds (paper section
2, Table 4).

In: a trained world model and long real rollouts. Out: picture error of every rollout by horizon. A mechanism is
switched off when imagining; what a model becomes that was trained without it is measured by experiments/ablations.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from wovr_lab.measure.video.metrics import psnr
from wovr_lab.types import CHUNK
from wovr_lab.world.context import ContextBuilder
from wovr_lab.world.protocol import ImaginingModel
from wovr_lab.world.sampler import add_noise


@dataclass(frozen=True)
class NoisyMemory(ContextBuilder):
    """Puts diffusion noise of sigma `noise` on the memory before every chunk but the first, as if it had been imagined
    badly. Training does so with sigmas up to `ContextBuilder.noise`."""

    generator: torch.Generator = field(default_factory=lambda: torch.Generator().manual_seed(0))

    def passed_on(self, memory: Tensor) -> Tensor:
        """The memory of every chunk but the first, with the noise on it."""
        noise = torch.randn(memory.shape, generator=self.generator).to(memory)
        return add_noise(memory, noise, memory.new_full((len(memory),), self.noise))


def with_context(world: ImaginingModel, builder: ContextBuilder) -> ImaginingModel:
    """A world model that shares the weights, with another context."""
    return world.with_settings(builder, world.sampler)


def error_by_horizon(real: np.ndarray, imagined: np.ndarray) -> np.ndarray:
    """PSNR in dB of each chunk of films uint8 [N, C K + 1, H, W, 3] whose first frame is real: [N, C]."""
    count, chunks = len(real), (real.shape[1] - 1) // CHUNK
    flat = (frames[:, 1:].reshape(-1, *frames.shape[2:]) for frames in (real, imagined))
    return psnr(*flat).reshape(count, chunks, CHUNK).mean(2)


def horizons(errors: np.ndarray) -> np.ndarray:
    """The horizon at the end of each of the chunks of `error_by_horizon` [N, C]: [C]."""
    return CHUNK * (1 + np.arange(errors.shape[1]))
