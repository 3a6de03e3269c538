"""Controllability: do counterfactual actions from the same frame move the imagined hand as they move the real one?

In: a world model, real starts with simulator states. Out: displacements in centimetres in both worlds, rightwards and
downwards in the picture and in depth, away from the camera; correlation and error, with both action channels of the
world model and with either alone (paper section 2: dual-channel actions).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import numpy as np
from torch import Tensor, nn

from wovr_lab.contracts import ChunkEnv
from wovr_lab.measure.intervals import bootstrapped
from wovr_lab.measure.tabletop.probes import COLUMNS, StateProbe, read_states
from wovr_lab.real.tabletop.render import camera_axes
from wovr_lab.rollout import replay
from wovr_lab.seeding import torch_stream
from wovr_lab.types import ACTION_DIM, CHUNK, Start
from wovr_lab.world.pixel_model import PixelWorldModel
from wovr_lab.world.protocol import ImaginingModel

STRENGTH = 0.4  # of a full action: about 6 cm in a chunk
MOVES = {"+x": (0, 1), "-x": (0, -1), "+y": (1, 1), "-y": (1, -1), "+z": (2, 1), "-z": (2, -1)}
CHANNELS = ("both", "modulation", "attention")  # the action channels that are left
STILL_HAND = "a still hand"  # both, but the hand round which pixels are drawn is imagined to stay where it is


def counterfactual_chunks(start: Start) -> np.ndarray:
    """float32 [6, 8, 7]: one chunk for each of `MOVES`, with the gripper as it was commanded last."""
    chunks = np.zeros((len(MOVES), CHUNK, ACTION_DIM), np.float32)
    for row, (axis, sign) in enumerate(MOVES.values()):
        chunks[row, :, axis] = sign * STRENGTH
    chunks[:, :, -1] = np.sign(start.memory_actions[-1, -1]) or -1.0
    return chunks


class StillHand(nn.Module):
    """A state head, like the one whose robot it takes, that imagines no motion whatever the actions."""

    def __init__(self, robot: dict[str, Any]):
        super().__init__()
        self.config = SimpleNamespace(robot=robot)

    def forward(self, states: Tensor, chunk: Tensor, frame: Tensor, anchor: Tensor) -> Tensor:
        """The latest of `states` [B, 2, D] after each action of the chunk [B, K, 7]: [B, K, D]."""
        return states[:, -1:].expand(-1, chunk.shape[1], -1)


def channels_of(world: ImaginingModel) -> tuple[str, ...]:
    """The ways in which this world model hears of actions: its channels, and a hand that it imagines first."""
    return CHANNELS if world.robot is None else (*CHANNELS, STILL_HAND)


@contextmanager
def with_action_channels(world: ImaginingModel, channels: str) -> Iterator[ImaginingModel]:
    """The world model with only these action channels, one of `channels_of(world)`, while the block lasts."""
    if channels == STILL_HAND:
        head = StillHand(world.state_head.config.robot)
        yield PixelWorldModel(world.network, head, world.context, world.sampler).eval()
        return
    embedder = world.transformer.condition_embedder
    before = embedder.channels
    embedder.channels = channels
    try:
        yield world
    finally:
        embedder.channels = before


def real_displacements(env: ChunkEnv, probe: StateProbe, starts: Sequence[Start]) -> tuple[np.ndarray, np.ndarray]:
    """float32 [N, 6, 3] in cm: what each counterfactual chunk really does to the hand, and what the probe sees of it in
    the real frames, which is as near as any imagination can be seen to come."""
    every = [start for start in starts for _ in MOVES]
    chunks = np.concatenate([counterfactual_chunks(start) for start in starts])[:, None]
    rollouts = replay(env, every, chunks, 0, "counterfactual", video=True)
    readouts = read_states(rollouts.states[:, [0, CHUNK]]), probe.read(rollouts.video[:, [0, CHUNK]])
    true, seen = (100 * np.diff(each[..., COLUMNS["hand"]], axis=1) @ camera_axes() for each in readouts)
    return true.reshape(len(starts), len(MOVES), 3), seen.reshape(len(starts), len(MOVES), 3)


def imagined_displacements(
    world: ImaginingModel, probe: StateProbe, starts: Sequence[Start], run_seed: int
) -> dict[str, np.ndarray]:
    """float32 [N, 6, 3] in cm by `CHANNELS`: what the probe sees the hand do in the imagined chunk."""
    chunks = np.stack([counterfactual_chunks(start) for start in starts])
    before = probe.read(np.stack([start.memory[-1] for start in starts]))[..., COLUMNS["hand"]]
    context, found = world.initial_context(starts), {}
    for channels in CHANNELS:
        with with_action_channels(world, channels):
            moves = []
            for move in range(len(MOVES)):
                noise = [torch_stream(run_seed, "counterfactual", row) for row in range(len(starts))]
                frames = world.imagine(context, chunks[:, move], noise).frames
                moves.append(probe.read(frames[:, -1])[..., COLUMNS["hand"]] - before)
        found[channels] = 100 * np.stack(moves, 1) @ camera_axes()
    return found


def controllability(real: np.ndarray, imagined: np.ndarray) -> dict[str, Any]:
    """Correlation and median distance in cm of displacements [N, 6, 3], across the picture (its first two directions)
    and in depth, which a small blurred frame hardly shows; with intervals over starts."""
    rows, found = np.arange(len(real)), {}
    for name, part in (("", slice(0, 2)), ("depth_", slice(2, 3))):
        pair = real[..., part], imagined[..., part]
        error = np.linalg.norm(pair[1] - pair[0], axis=-1)
        found[f"{name}correlation"] = asdict(bootstrapped(lambda chosen, pair=pair: _correlation(*pair, chosen), rows))
        found[f"{name}error_cm"] = asdict(bootstrapped(np.median, error))
    return found


def _correlation(first: np.ndarray, second: np.ndarray, rows: np.ndarray) -> float:
    """Over all numbers of these rows; 0 where one of both stands still."""
    first, second = first[rows].ravel(), second[rows].ravel()
    return float(np.corrcoef(first, second)[0, 1]) if first.std() and second.std() else 0.0
