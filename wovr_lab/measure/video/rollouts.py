"""Deep rollouts in both worlds: real ones that go on whatever happens, and the same actions imagined in closed loop.

The paper's protocol (section 2): the first frame fills the context, then chunks of 8 actions, each imagined from frames
that were imagined before.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wovr_lab.contracts import Actor
from wovr_lab.errors import UserError
from wovr_lab.measure.hallucination import action_chunks
from wovr_lab.real.domains import domain_of
from wovr_lab.rollout import roll_out
from wovr_lab.seeding import torch_stream
from wovr_lab.starts import start_at
from wovr_lab.types import Episode
from wovr_lab.world.protocol import ImaginingModel

ROWS = 50  # at once


def long_episodes(
    actor: Actor, tasks: Sequence[str], count: int, horizon: int, resolution: int, temperature: float, first_seed: int
) -> list[Episode]:
    """`count` real episodes of `horizon` actions each, tasks in turn, initial states from `first_seed` on; success ends
    none of them."""
    domain, seeds = domain_of(tuple(tasks), resolution, horizon), range(first_seed, first_seed + count)
    by_task = {task: iter(domain.starts(task, seeds[place :: len(tasks)])) for place, task in enumerate(tasks)}
    starts = [next(by_task[tasks[row % len(tasks)]]) for row in range(count)]
    real = domain.make_env(min(count, ROWS), hold_after_success=horizon, every_frame=True)
    return roll_out(real, actor, starts, first_seed, "video", temperature, video=True, progress=True).episodes()


def imagine_videos(world: ImaginingModel, episodes: Sequence[Episode], run_seed: int) -> np.ndarray:
    """The episodes' actions imagined from their first frames: uint8 [N, T + 1, H, W, 3], the first frame being real.

    Raises UserError unless they are all of one length, a multiple of the chunk's.
    """
    chunks = action_chunks(episodes)
    if {len(episode) for episode in episodes} != {chunks.shape[1] * chunks.shape[2]}:
        raise UserError("episodes to imagine must all have one length, a multiple of 8 actions; cut them")
    parts = []
    for first in range(0, len(episodes), ROWS):
        rows = range(first, min(first + ROWS, len(episodes)))
        generators = [torch_stream(run_seed, "video", row) for row in rows]
        context = world.initial_context([start_at(episodes[row], 0) for row in rows])
        frames = [np.stack([episodes[row].frames[:1] for row in rows])]
        for chunk in np.moveaxis(chunks[first : first + ROWS], 1, 0):
            imagined = world.imagine(context, chunk, generators)
            context = imagined.context
            frames.append(imagined.frames)
        parts.append(np.concatenate(frames, 1))
    return np.concatenate(parts)
