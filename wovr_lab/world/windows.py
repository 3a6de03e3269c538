"""Episodes as tables that windows are cut from: frames for the codec, latents for the transformer.

In: real episodes. Out: deterministic batches by step. Latents of every group o_{t-3..t} are computed once, so that a
training step of the transformer touches no pixels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from wovr_lab.errors import UserError
from wovr_lab.types import CHUNK, MEMORY, NOOP, Episode
from wovr_lab.world.codec import FRAMES_PER_LATENT, FrameGroupCodec
from wovr_lab.world.context import ContextBuilder

FIRST_FRAME = 8.0  # times as often: rollouts from initial states all begin there, but only 1 % of the windows do


@dataclass(frozen=True)
class FrameTable:
    """All frames of many episodes in one array; frame `first[e] + t` is o_t of episode e."""

    frames: np.ndarray  # uint8 [F, H, W, 3]
    actions: np.ndarray  # float32 [F, 7], what produced each frame; NOOP for first frames
    first_index: np.ndarray  # int64 [F], index of the episode's first frame
    last: np.ndarray  # int64 [F], index of the episode's last frame
    weight: np.ndarray  # float64 [F], how much windows starting here matter
    proprio: np.ndarray | None = None  # float32 [F, D], the robot's own state, if every episode has it

    @classmethod
    def of(cls, episodes: Iterable[Episode], weights: Iterable[float] | None = None) -> FrameTable:
        """Raises UserError if there are no episodes. `weights` gives one factor an episode."""
        episodes = list(episodes)
        if not episodes:
            raise UserError("no episodes to learn a world model from; collect some first")
        factors = np.ones(len(episodes)) if weights is None else np.asarray(list(weights), float)
        lengths = np.array([len(episode) + 1 for episode in episodes])
        begin = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        actions = np.concatenate([np.concatenate([NOOP[None], episode.actions]) for episode in episodes])
        weight = np.repeat(factors, lengths) * (0.25 + _hand_is_down(actions, begin, lengths))
        weight[begin] *= FIRST_FRAME
        return cls(
            frames=np.concatenate([episode.frames for episode in episodes]),
            actions=actions,
            first_index=np.repeat(begin, lengths),
            last=np.repeat(begin + lengths - 1, lengths),
            weight=weight,
            proprio=_joined_proprio(episodes),
        )

    def groups(self, index: np.ndarray) -> np.ndarray:
        """The groups o_{t-3..t} uint8 [len(index), 4, H, W, 3]; o_0 is repeated before an episode's beginning."""
        steps = index[:, None] + np.arange(1 - FRAMES_PER_LATENT, 1)
        return self.frames[np.maximum(steps, self.first_index[index][:, None])]

    def candidates(self, chunks: int) -> tuple[np.ndarray, np.ndarray]:
        """Frames from which `chunks` whole chunks follow, and the cumulative distribution to draw them by.

        Raises UserError if there are none.
        """
        index = np.arange(len(self.first_index))
        valid = index[index + chunks * CHUNK <= self.last]
        if not len(valid):
            raise UserError(f"no episode has {chunks * CHUNK} actions; collect longer ones or train on fewer chunks")
        cumulative = np.cumsum(self.weight[valid])
        return valid, cumulative / cumulative[-1]

    def background(self, rng: np.random.Generator) -> Tensor:
        """The median frame, float [3, H, W] in [-1, 1]."""
        sample = self.frames[rng.integers(len(self.frames), size=min(500, len(self.frames)))]
        return torch.as_tensor(np.median(sample, axis=0) / 127.5 - 1, dtype=torch.float32).movedim(-1, 0)


def _joined_proprio(episodes: list[Episode]) -> np.ndarray | None:
    states = [episode.proprio for episode in episodes if episode.proprio is not None]
    return np.concatenate(states) if len(states) == len(episodes) else None


def _hand_is_down(actions: np.ndarray, begin: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """bool [F]: through most of the chunk that starts at this frame the hand is in the lower third of the heights that
    its episode (`begin`, `lengths` [E]) commanded. Known from actions alone, this is where things touch."""
    down = np.zeros(len(actions), bool)
    for first, length in zip(begin, lengths, strict=True):
        height = np.cumsum(actions[first : first + length, 2])
        is_low = height < height.min() + np.ptp(height) / 3
        total = np.concatenate([[0], np.cumsum(is_low)])
        index = np.arange(length)
        end = np.minimum(index + CHUNK + 1, length)
        down[first : first + length] = total[end] - total[index] > (end - index) / 2
    return down


@dataclass(frozen=True)
class LatentTable:
    """The latents of every group, and windows of 1..n chunks cut from them."""

    memory: Tensor  # float16 [F, C, h, w], what stands in memory when o_t is the latest frame
    future: Tensor  # float16 [F, C, h, w], o_{t-3..t}; the same tensor where the memory is four frames long
    actions: Tensor  # float32 [F, 7]
    table: FrameTable

    @classmethod
    @torch.no_grad()
    def of(cls, table: FrameTable, codec: FrameGroupCodec, context: ContextBuilder, batch: int = 512) -> LatentTable:
        """Encodes every frame's group."""
        futures, memories = [], []
        for begin in tqdm(range(0, len(table.frames), batch), desc="encode", mininterval=1.0, dynamic_ncols=True):
            groups = table.groups(np.arange(begin, min(begin + batch, len(table.frames))))
            futures.append(codec.encode(groups).half().cpu())
            if context.memory != MEMORY:
                memories.append(codec.encode(context.memory_group(groups)).half().cpu())
        future = torch.cat(futures)
        memory = torch.cat(memories) if memories else future
        return cls(memory, future, torch.as_tensor(table.actions), table)

    def window(self, index: np.ndarray, chunks: int) -> dict[str, Tensor]:
        """Windows whose latest real frame is `index` [B]: anchor, memory [B, C, h, w], future [B, n, C, 2, h, w],
        memory_actions [B, 4, 7], actions [B, n, 8, 7]."""
        begin = torch.as_tensor(index)
        ends = begin[:, None] + FRAMES_PER_LATENT * torch.arange(1, 2 * chunks + 1)
        before = np.maximum(index[:, None] + np.arange(1 - MEMORY, 1), self.table.first_index[index][:, None])
        future = self.future[ends].float().unflatten(1, (chunks, 2)).transpose(2, 3)
        steps = begin[:, None] + torch.arange(1, chunks * CHUNK + 1)
        return {
            "anchor": self.future[torch.as_tensor(self.table.first_index[index])].float(),
            "memory": self.memory[begin].float(),
            "memory_actions": self.actions[torch.as_tensor(before)],
            "future": future,
            "actions": self.actions[steps].unflatten(1, (chunks, CHUNK)),
        }
