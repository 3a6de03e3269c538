"""What a world model makes of recorded real rollouts: their actions imagined from their own starts, frame beside frame.

In: a world model, real episodes of one length with simulator states, a state probe. Out: figures by horizon (imagined
frames since the last real one): picture error where something moves, the task's cube, the imagined hand, cubes that
vanish. One number for a whole picture hides all that matters in it, so that only pixels that change are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wovr_lab.errors import UserError
from wovr_lab.measure.hallucination import decibels
from wovr_lab.measure.paired import state_error_cm
from wovr_lab.measure.tabletop.objects import VIOLATIONS, violations
from wovr_lab.measure.tabletop.probes import StateProbe, object_error_cm, read_states
from wovr_lab.seeding import torch_stream
from wovr_lab.starts import start_at
from wovr_lab.types import CHUNK, Episode
from wovr_lab.world.protocol import ImaginingModel

ROWS = 64  # imagined at once
CHANGE = 12  # grey levels by which a pixel differs from the start where something has moved


@dataclass(frozen=True)
class ClosedLoop:
    """Figures of N rollouts of T imagined frames; index d - 1 is horizon d."""

    psnr: np.ndarray  # float64 [T], dB over all pixels that changed, pooled over the rollouts
    object_cm: np.ndarray  # float64 [N, T], of the cube that each task is about, as the probe reads it
    hand_cm: np.ndarray | None  # float32 [N, T], of the imagined state; None where the model imagines none
    vanished: np.ndarray  # bool [N], a cube is gone for a whole chunk


def closed_loop(world: ImaginingModel, episodes: Sequence[Episode], probe: StateProbe, run_seed: int) -> ClosedLoop:
    """Raises UserError unless the episodes have one length, a multiple of the chunk's, and simulator states."""
    real = np.stack([episode.frames for episode in episodes]) if _alike(episodes) else np.empty(0)
    if not len(real) or any(episode.states is None for episode in episodes):
        raise UserError(f"give rollouts of one length, a multiple of {CHUNK} actions, that recorded simulator states")
    frames, states = imagine_episodes(world, episodes, run_seed)
    tasks = [episode.task for episode in episodes]
    video = np.concatenate([real[:, :1], frames], 1)
    found, truth = probe.read(video), read_states(np.stack([episode.states for episode in episodes]))
    hand = None
    if world.robot is not None:
        told = np.stack([episode.proprio for episode in episodes])
        error = state_error_cm(world.robot, np.concatenate([told[:, :1], states], 1), told)
        hand = None if error is None else error[..., 0]
    return ClosedLoop(
        psnr=moving_psnr(frames, real[:, 1:], real[:, 0]),
        object_cm=object_error_cm(found, truth, tasks)[:, 1:],
        hand_cm=hand,
        vanished=violations(video, found, tasks)[:, VIOLATIONS.index("vanished")],
    )


def imagine_episodes(
    world: ImaginingModel, episodes: Sequence[Episode], run_seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Frames uint8 [N, T, H, W, 3] and states float32 [N, T, D] that the episodes' actions lead to."""
    frames, states = [], []
    for first in range(0, len(episodes), ROWS):
        some = episodes[first : first + ROWS]
        context = world.initial_context([start_at(episode, 0) for episode in some])
        generators = [torch_stream(run_seed, "closed loop", first + row) for row in range(len(some))]
        actions = np.stack([episode.actions for episode in some])
        parts = []
        for begin in range(0, actions.shape[1], CHUNK):
            parts.append(world.imagine(context, actions[:, begin : begin + CHUNK], generators))
            context = parts[-1].context
        frames.append(np.concatenate([part.frames for part in parts], 1))
        states.append(np.concatenate([part.states for part in parts], 1))
    return np.concatenate(frames), np.concatenate(states)


def moving_psnr(imagined: np.ndarray, real: np.ndarray, before: np.ndarray) -> np.ndarray:
    """float64 [T]: dB of imagined frames uint8 [N, T, H, W, 3] on the pixels in which the real ones differ by more than
    12 levels from the frame `before` [N, H, W, 3] them, pooled over N; 99 where there are none, or no error."""
    moves = (np.abs(real.astype(np.int16) - before[:, None]) > CHANGE).any(-1)
    error = ((imagined.astype(np.float64) - real) ** 2).mean(-1)
    pooled = (error * moves).sum((0, 2, 3)) / moves.sum((0, 2, 3)).clip(min=1)
    return decibels(pooled)


def _alike(episodes: Sequence[Episode]) -> bool:
    lengths = {len(episode) for episode in episodes}
    return len(lengths) == 1 and not lengths.pop() % CHUNK
