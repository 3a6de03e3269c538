"""The tabletop behind the chunk contract, and its initial states as starts."""

from __future__ import annotations

from wovr_lab.real.chunk_env import RealChunkEnv, start_of_seed
from wovr_lab.real.tabletop.env import TabletopEnv
from wovr_lab.types import Start


def make_tabletop_env(
    num_envs: int,
    resolution: int = 32,
    max_steps: int = 48,
    hold_after_success: int = 0,
    every_frame: bool = True,
    keyframe_steps: int | None = None,
) -> RealChunkEnv:
    """The tabletop as a chunk environment; tasks come with the starts."""

    def make_env() -> TabletopEnv:
        return TabletopEnv(resolution=resolution, max_steps=max_steps)

    return RealChunkEnv(make_env, num_envs, hold_after_success, every_frame, keyframe_steps)


def initial_start(task: str, seed: int, resolution: int = 32) -> Start:
    """The tabletop's initial state of a seed. Raises UserError on an unknown task."""
    return start_of_seed(TabletopEnv(task, resolution), task, seed)
