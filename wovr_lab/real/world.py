"""The real world of a run as one object, from which the loop's stages take all real data: the tabletop, or LIBERO.

In: names of tasks, a resolution, a limit of steps. Out: words, environments, starts, the expert's attempts, play. The
names tell the world: LIBERO's are SUITE/TASK.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from wovr_lab.errors import UserError
from wovr_lab.real.chunks import RealChunkEnv, start_of_seed, tabletop_chunks
from wovr_lab.real.driving import driven_episodes
from wovr_lab.real.expert import expert_episodes
from wovr_lab.real.play import play_episodes
from wovr_lab.real.proprioception import proprioception_of, tabletop_robot
from wovr_lab.real.record import broken_off
from wovr_lab.real.tabletop import TabletopEnv
from wovr_lab.real.tasks import TASKS, get_task
from wovr_lab.robot import Robot
from wovr_lab.types import CHUNK, Episode, Start

TABLETOP, LIBERO = "tabletop", "libero:"  # environments as people name them; what follows the second is a suite


@dataclass(frozen=True)
class RealWorld(ABC):
    """Raises UserError on a task that it does not have."""

    tasks: tuple[str, ...]
    resolution: int
    max_steps: int

    def __post_init__(self) -> None:
        for task in self.tasks:
            self.instruction(task)

    @property
    @abstractmethod
    def card(self) -> dict[str, str]:
        """What a protocol says of it, under "environment" and, where there is more to say, other keys."""

    @property
    def view(self) -> str:
        """What is drawn of the camera's picture: the whole of it, unless the world has other views, too."""
        return "whole"

    @property
    def robot(self) -> Robot | None:
        """The robot whose state a world model may be told: one whose camera and controller are described."""
        return None

    def with_proprio(self, episodes: Iterable[Episode]) -> Iterator[Episode]:
        """Episodes that were recorded before the robot's state was, with what their simulator states say of it."""
        return iter(episodes)

    @abstractmethod
    def instruction(self, task: str) -> str:
        """The words of a task. Raises UserError naming the nearest ones if there is none."""

    @abstractmethod
    def chunks(
        self, rows: int, hold: int = 0, every_frame: bool = False, keyframe_steps: int | None = None
    ) -> RealChunkEnv:
        """`rows` environments behind the chunk contract, success held for `hold` frames; what begins at a keyframe ends
        after `keyframe_steps`, where that is given."""

    @abstractmethod
    def starts(self, task: str, seeds: Iterable[int]) -> list[Start]:
        """The initial states of these seeds."""

    @abstractmethod
    def attempts(
        self, task: str, seeds: Iterable[int], noise: float, hold: int, run_seed: int
    ) -> Iterator[Episode]:  # fmt: skip
        """The expert's, one a seed: `noise` is the deviation of what is executed on x, y, z; clean labels.

        Raises UserError if the task has no expert.
        """

    @abstractmethod
    def broken_off(self, attempts: Sequence[tuple[Episode, int]], hold: int) -> Iterator[Episode]:
        """Each attempt again, stopped so many actions before its success, then `hold` actions of standing still."""

    @abstractmethod
    def play(self, count: int, run_seed: int, first: int = 0) -> Iterator[Episode]:
        """Task-agnostic episodes, numbers `first`, `first` + 1, ..., that show a world model what contact does; nothing
        in them claims success."""

    def driven(self, count: int, run_seed: int, first: int = 0) -> Iterator[Episode]:
        """As `play`, driven as a policy drives where the world knows how; other numbers of play elsewhere."""
        return self.play(count, run_seed + 1, first)


@dataclass(frozen=True)
class TabletopWorld(RealWorld):
    """`TabletopEnv`; chunks run in this process."""

    @property
    def card(self) -> dict[str, str]:
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

    def chunks(
        self, rows: int, hold: int = 0, every_frame: bool = False, keyframe_steps: int | None = None
    ) -> RealChunkEnv:
        return tabletop_chunks(rows, self.resolution, self.max_steps, hold, every_frame, keyframe_steps)

    def starts(self, task: str, seeds: Iterable[int]) -> list[Start]:
        env = self._env()
        return [start_of_seed(env, task, int(seed)) for seed in seeds]

    def attempts(
        self, task: str, seeds: Iterable[int], noise: float, hold: int, run_seed: int
    ) -> Iterator[Episode]:  # fmt: skip
        return expert_episodes(task, seeds, noise, hold, self.resolution, run_seed, self.max_steps)

    def broken_off(self, attempts: Sequence[tuple[Episode, int]], hold: int) -> Iterator[Episode]:
        env = self._env()
        return (broken_off(env, episode, ahead, hold) for episode, ahead in attempts)

    def play(self, count: int, run_seed: int, first: int = 0) -> Iterator[Episode]:
        return play_episodes(count, run_seed, first, self.resolution)

    def driven(self, count: int, run_seed: int, first: int = 0) -> Iterator[Episode]:
        return driven_episodes(count, run_seed, first, self.resolution, self.max_steps)

    def _env(self) -> TabletopEnv:
        return TabletopEnv(resolution=self.resolution, max_steps=self.max_steps)


def is_libero(tasks: Iterable[str]) -> bool:
    """Whether any of these names is one of LIBERO's, SUITE/TASK."""
    return any("/" in task for task in tasks)


def real_world(tasks: tuple[str, ...], resolution: int, max_steps: int) -> RealWorld:
    """The world that has these tasks. Raises UserError if none has all of them, or if LIBERO is not installed."""
    if is_libero(tasks):
        from wovr_lab.real.libero.views import WORKSPACE  # needs the libero extra
        from wovr_lab.real.libero.world import LiberoWorld

        return LiberoWorld(tasks, resolution, max_steps, WORKSPACE)
    return TabletopWorld(tasks, resolution, max_steps)


def tasks_of(environment: str) -> tuple[str, ...]:
    """The tasks of "tabletop" or "libero:SUITE[/TASK][,SUITE[/TASK]...]". Raises UserError on any other name."""
    if environment == TABLETOP:
        return tuple(TASKS)
    if not environment.startswith(LIBERO):
        raise UserError(f"unknown environment {environment!r}; use tabletop or libero:SUITE[/TASK]")
    from wovr_lab.real.libero.tasks import find_tasks  # needs the libero extra

    return tuple(task.name for task in find_tasks(environment.removeprefix(LIBERO)))


def environment_of(tasks: Iterable[str]) -> str:
    """The environment that `tasks_of` gives these tasks for."""
    return LIBERO + ",".join(tasks) if is_libero(tasks) else TABLETOP


def official_limit(tasks: tuple[str, ...]) -> int:
    """LIBERO's own limit of steps for these tasks, less what does not fill a chunk."""
    from wovr_lab.real.libero.tasks import find_task  # needs the libero extra

    limit = max(find_task(task).max_steps for task in tasks)
    return limit - limit % CHUNK


def on_table(tasks: tuple[str, ...]) -> bool:
    """Whether the workspace of each of these tasks of LIBERO is the table, which its backbone knows."""
    from wovr_lab.real.libero.tasks import find_task  # needs the libero extra
    from wovr_lab.real.libero.views import TABLE, WORKSPACE, window_of

    found = map(find_task, tasks)
    return all(window_of(WORKSPACE, task.suite, task.short) == TABLE for task in found)
