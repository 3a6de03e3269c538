"""The real world of a run as one object, from which the loop's stages take all real data.

In: names of tasks, a resolution, a limit of steps. Out: words, environments, starts, the expert's attempts, play, and
what a protocol says of it. `tabletop.domain` and `libero.domain` implement it, and your own world may; `domains` finds
the one that has a run's tasks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from wovr_lab.real.chunk_env import RealChunkEnv
from wovr_lab.robot import Robot
from wovr_lab.types import Episode, Start


@dataclass(frozen=True)
class Domain(ABC):
    """Raises UserError on a task that it does not have."""

    tasks: tuple[str, ...]
    resolution: int
    max_steps: int

    def __post_init__(self) -> None:
        for task in self.tasks:
            self.instruction(task)

    @property
    @abstractmethod
    def protocol(self) -> dict[str, str]:
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
    def make_env(
        self, rows: int, hold_after_success: int = 0, every_frame: bool = False, keyframe_steps: int | None = None
    ) -> RealChunkEnv:
        """`rows` environments behind the chunk contract, success held for `hold_after_success` frames; what begins at a
        keyframe ends after `keyframe_steps`, where that is given."""

    @abstractmethod
    def starts(self, task: str, seeds: Iterable[int]) -> list[Start]:
        """The initial states of these seeds."""

    @abstractmethod
    def expert_episodes(
        self, task: str, seeds: Iterable[int], noise: float, hold_after_success: int, run_seed: int
    ) -> Iterator[Episode]:  # fmt: skip
        """The expert's, one a seed: `noise` is the deviation of what is executed on x, y, z; clean labels.

        Raises UserError if the task has no expert.
        """

    @abstractmethod
    def truncated_before_success(self, attempts: Sequence[tuple[Episode, int]], noops: int) -> Iterator[Episode]:
        """Each attempt again, stopped so many actions before its success, then `noops` actions of standing still."""

    @abstractmethod
    def play(self, count: int, run_seed: int, first_index: int = 0) -> Iterator[Episode]:
        """Task-agnostic episodes, numbers `first`, `first` + 1, ..., that show a world model what contact does; nothing
        in them claims success."""

    def driven(self, count: int, run_seed: int, first_index: int = 0) -> Iterator[Episode]:
        """Episodes of play driven as a policy drives, where the world knows how; elsewhere `play` with other
        numbers."""
        return self.play(count, run_seed + 1, first_index)
