"""The effect of an action: what changes in the picture if nothing but the action is changed (paper section 2).

In: starts with simulator states, and a world model. Out: frames after counterfactual chunks in both worlds, and how
well the imagined effects agree with the real ones. It needs no probe: pictures are compared with pictures.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wovr_lab.contracts import ChunkEnv
from wovr_lab.measure.tabletop.control import MOVES, counterfactual_chunks, with_action_channels
from wovr_lab.real.tabletop.chunk_env import make_tabletop_env
from wovr_lab.seeding import torch_stream
from wovr_lab.types import Start
from wovr_lab.world.protocol import ImaginingModel


def executed(env: ChunkEnv, start: Start, chunks: np.ndarray) -> np.ndarray:
    """uint8 [n, 8, H, W, 3], what chunks float32 [n, 8, 7] really lead to from a start, each on its own; `env` is a
    real one of n rows."""
    env.reset(seed=0, options={"starts": [start] * len(chunks)})
    return env.step(chunks)[-1]["frames"]


def real_moves(starts: Sequence[Start]) -> np.ndarray:
    """uint8 [N, 6, 8, H, W, 3], what each of `MOVES` really leads to on the tabletop from each start."""
    env = make_tabletop_env(len(MOVES), resolution=starts[0].anchor.shape[0])
    return np.stack([executed(env, start, counterfactual_chunks(start)) for start in starts])


def imagined_moves(world: ImaginingModel, starts: Sequence[Start], run_seed: int, channels: str = "both") -> np.ndarray:
    """uint8 [N, 6, 8, H, W, 3], what each of `MOVES` leads to in imagination, with these action channels left; all
    moves of a start share their noise."""
    every = [start for start in starts for _ in MOVES]
    noise = [torch_stream(run_seed, "counterfactual", row // len(MOVES)) for row in range(len(every))]
    chunks = np.concatenate([counterfactual_chunks(start) for start in starts])
    with with_action_channels(world, channels) as told:
        frames = told.imagine(told.initial_context(every), chunks, noise).frames
    return frames.reshape(len(starts), len(MOVES), *frames.shape[1:])


def effects(frames: np.ndarray) -> np.ndarray:
    """int16 [N, 3, K, H, W, 3]: there minus back, along each axis, of frames uint8 [N, 6, K, H, W, 3]."""
    there, back = frames[:, 0::2].astype(np.int16), frames[:, 1::2].astype(np.int16)
    return there - back


def agreement(real: np.ndarray, imagined: np.ndarray) -> np.ndarray:
    """float64 [N], correlation of real and imagined effects over axes and pixels; 0 where one world shows none."""
    rows = zip(real.reshape(len(real), -1), imagined.reshape(len(imagined), -1), strict=True)
    return np.array([np.corrcoef(a, b)[0, 1] if a.std() and b.std() else 0.0 for a, b in rows])


def strength(real: np.ndarray, imagined: np.ndarray) -> float:
    """Mean size of the imagined effects, as a share of that of the real ones."""
    return float(np.abs(imagined).mean() / np.abs(real).mean())
