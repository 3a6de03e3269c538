"""What the world model is told: the first-frame anchor, always clean, and a short memory (paper section 2).

How a context is built is an object, so that "no reference frame", "memory 1" and "no noisy context" are one constructor
argument each (paper Table 4).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from wovr_lab.errors import UserError
from wovr_lab.fields import BelowOne, configuration
from wovr_lab.types import MEMORY, NOOP, Start
from wovr_lab.world.codec import FRAMES_PER_LATENT, FrameGroupCodec
from wovr_lab.world.sampler import add_noise


@dataclass(frozen=True)
class Imagined:
    """What one chunk of actions led to in imagination, and the context to go on from."""

    frames: np.ndarray  # uint8 [B, 8, H, W, 3]
    states: np.ndarray  # float32 [B, 8, D], the robot's after each action; D = 0 where the model knows no robot
    context: Any  # of the world model's own kind


@dataclass(frozen=True)
class ChunkContext:
    """What a chunk is imagined from, a row each: the first frame, the latest ones and the actions that led to them."""

    anchor: Tensor
    memory: Tensor
    memory_actions: Tensor  # float32 [B, 4, 7], what produced the memory frames

    def actions(self, chunk: Tensor) -> Tensor:
        """[B, 5 + K, 7]: the anchor's NOOP, the memory's and the chunk's actions, one a frame."""
        noop = torch.as_tensor(NOOP, device=chunk.device).expand(len(chunk), 1, -1)
        return torch.cat([noop, self.memory_actions, chunk], 1)

    def select(self, rows: Tensor) -> Self:
        """The rows of an index or mask."""
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))

    def put(self, rows: Tensor, other: Self) -> Self:
        """A copy in which `rows` are those of `other`."""
        merged = [getattr(self, field.name).clone() for field in fields(self)]
        for own, field in zip(merged, fields(self), strict=True):
            own[rows] = getattr(other, field.name)
        return type(self)(*merged)


@dataclass(frozen=True)
class Context(ChunkContext):
    """Latents: anchor float32 [B, C, h, w] of o_0, memory float32 [B, C, h, w] of o_{t-3..t}."""


@configuration
class ContextBuilder:
    """`anchor=False` hides the first frame (the memory stands in), `memory=1` keeps only the latest frame,
    `noise=0` trains on clean memory."""

    anchor: bool = True
    memory: int = MEMORY
    noise: BelowOne = 0.21  # largest sigma of the diffusion noise put on memory latents in training

    def __post_init__(self) -> None:
        if self.memory not in (1, MEMORY):
            raise UserError(f"{self}: memory must be 1 or {MEMORY} frames")

    def memory_group(self, frames: np.ndarray) -> np.ndarray:
        """The latest frames uint8 [..., 4, H, W, 3] as the group that is encoded as memory."""
        return frames if self.memory == MEMORY else np.repeat(frames[..., -1:, :, :, :], FRAMES_PER_LATENT, axis=-4)

    def initial_context(self, codec: FrameGroupCodec, starts: tuple[Start, ...] | list[Start]) -> Context:
        """The context of real frames that a rollout starts from."""
        anchors = np.stack([np.repeat(start.anchor[None], FRAMES_PER_LATENT, 0) for start in starts])
        memory = codec.encode(self.memory_group(np.stack([start.memory for start in starts])))
        actions = torch.as_tensor(np.stack([start.memory_actions for start in starts]), device=memory.device)
        return Context(codec.encode(anchors), memory, actions)

    def advance(
        self, codec: FrameGroupCodec, context: Context, future: Tensor, chunk: Tensor, frames: np.ndarray
    ) -> Context:
        """The context after a chunk of latents `future` [B, C, 2, h, w] and frames uint8 [B, 8, H, W, 3]."""
        latest = future[:, :, -1]
        if self.memory != MEMORY:
            latest = codec.encode(self.memory_group(frames[:, -MEMORY:]))
        return Context(context.anchor, self.passed_on(latest), chunk[:, -MEMORY:])

    def latents(self, context: Context) -> Tensor:
        """[B, C, 2, h, w]: what the transformer attends to."""
        return torch.stack([context.anchor if self.anchor else context.memory, context.memory], 2)

    def add_context_noise(self, context: Context, noise: Tensor, sigma: Tensor) -> Context:
        """Noisy context: x -> (1 - s) x + s eps on the memory only, s = `noise` * sigma in [0, 1] of each row [B]."""
        return replace(context, memory=add_noise(context.memory, noise, self.noise * sigma))

    def passed_on(self, memory: Tensor) -> Tensor:
        """Imagined memory [B, ...], latents or pictures, as the next chunk is told it: as it is. A place for what
        disturbs it on purpose."""
        return memory
