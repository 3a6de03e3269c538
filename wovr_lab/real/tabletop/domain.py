"""The tabletop as the real world of a run: its tasks, states and pictures, its expert and play."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from wovr_lab.real.chunk_env import RealChunkEnv, start_of_seed
from wovr_lab.real.domain import Domain
from wovr_lab.real.record import truncated_before_success
from wovr_lab.real.tabletop.chunk_env import make_tabletop_env
from wovr_lab.real.tabletop.driving import driven_episodes
from wovr_lab.real.tabletop.env import TabletopEnv
from wovr_lab.real.tabletop.expert import expert_episodes
from wovr_lab.real.tabletop.play import play_episodes
from wovr_lab.real.tabletop.proprioception import proprioception_of, tabletop_robot
from wovr_lab.real.tabletop.tasks import get_task
from wovr_lab.robot import Robot
from wovr_lab.types import Episode, Start


@dataclass(frozen=True)
class TabletopDomain(Domain):
    """`TabletopEnv`; chunks run in this process."""

    @property
    def protocol(self) -> dict[str, str]:
        return {"environment": "wovr_lab/Tabletop-v0"}

    @property
    def robot(self) -> Robot:
        return tabletop_robot()

    def with_proprio(self, episodes: Iterable[Episode]) -> Iterator[Episode]:
        for episode in episodes:
            is_missing = episode.proprio is None and episode.states is not None
            yield replace(episode, proprio=proprioception_of(episode.states)) if is_missing else episode

    def instruction(self, task: str) -> str:
        return get_task(task).instruction

    def make_env(
        self, rows: int, hold_after_success: int = 0, every_frame: bool = False, keyframe_steps: int | None = None
    ) -> RealChunkEnv:
        return make_tabletop_env(rows, self.resolution, self.max_steps, hold_after_success, every_frame, keyframe_steps)

    def starts(self, task: str, seeds: Iterable[int]) -> list[Start]:
        env = self._env()
        return [start_of_seed(env, task, int(seed)) for seed in seeds]

    def expert_episodes(
        self, task: str, seeds: Iterable[int], noise: float, hold_after_success: int, run_seed: int
    ) -> Iterator[Episode]:  # fmt: skip
        return expert_episodes(task, seeds, noise, hold_after_success, self.resolution, run_seed, self.max_steps)

    def truncated_before_success(self, attempts: Sequence[tuple[Episode, int]], noops: int) -> Iterator[Episode]:
        env = self._env()
        return (truncated_before_success(env, episode, ahead, noops) for episode, ahead in attempts)

    def play(self, count: int, run_seed: int, first_index: int = 0) -> Iterator[Episode]:
        return play_episodes(count, run_seed, first_index, self.resolution)

    def driven(self, count: int, run_seed: int, first_index: int = 0) -> Iterator[Episode]:
        return driven_episodes(count, run_seed, first_index, self.resolution, self.max_steps)

    def _env(self) -> TabletopEnv:
        return TabletopEnv(resolution=self.resolution, max_steps=self.max_steps)
