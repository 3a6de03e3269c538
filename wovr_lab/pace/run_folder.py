"""A run folder opened for reading: its models, episodes and numbers by name, whatever made it.

In: the folder of a run, finished or shipped, of this version or an older one. Out: what it holds; models are loaded
when first asked for and then shared.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from wovr_lab.episodes import EpisodeStore
from wovr_lab.errors import UserError
from wovr_lab.imagined.environment import ImaginedEnv
from wovr_lab.pace.settings import read_config
from wovr_lab.policy.checkpoints import load_policy
from wovr_lab.policy.vla import VLAPolicy
from wovr_lab.real.domain import Domain
from wovr_lab.real.domains import real_world
from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.runs import read_object
from wovr_lab.shipped import folder_of
from wovr_lab.world.protocol import ImaginingModel, load_world_model

IMPROVED = ("improved_2", "improved_1")  # policies, the last first
WORLDS = ("world_final", "world_evolved", "world_improved", "world")
REWARDS = ("reward_final", "reward_evolved", "reward_improved", "reward")


class RunFolder:
    """A folder, or the name of a run that is shipped. Raises UserError if it is no run."""

    def __init__(self, path: Path | str):
        self.path = folder_of(path)
        _ = self.settings  # there, or says that they are not
        self._loaded: dict[Path, Any] = {}

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The configuration as it was written down."""
        return read_config(self.path)

    @cached_property
    def domain(self) -> Domain:
        """The real world that the run was made in."""
        tasks, found = tuple(self.settings["tasks"]), self.settings
        return real_world(tasks, found["resolution"], found["max_steps"])

    def policy(self, name: str = "improved") -> VLAPolicy:
        """A policy by the name of its checkpoint; "improved" is the last that there is. Raises UserError if there is
        none of that name."""
        return self._load(load_policy, IMPROVED if name == "improved" else (name,))

    def world(self, name: str = "last") -> ImaginingModel:
        """A world model by the name of its checkpoint; "last" is the one that was refined last."""
        return self._load(load_world_model, WORLDS if name == "last" else (name,))

    def reward(self, name: str = "last") -> SuccessClassifier:
        """A reward by the name of its checkpoint; "last" is the one that was trained last."""
        return self._load(SuccessClassifier.load, REWARDS if name == "last" else (name,))

    def episodes(self, name: str) -> EpisodeStore:
        """The real episodes of `episodes/NAME.hdf5`. Raises UserError naming those that there are."""
        path = self.path / "episodes" / f"{name}.hdf5"
        if not path.is_file():
            known = sorted(found.stem for found in (self.path / "episodes").glob("*.hdf5"))
            raise UserError(f"{self.path} has no episodes {name!r}; it has {', '.join(known) or 'none'}")
        return EpisodeStore([path])

    def report(self) -> dict[str, Any]:
        """report.json. Raises UserError if the run has none yet."""
        return read_object(self.path / "report.json")

    def imagined_env(self, rows: int = 64, world: str = "last", reward: str = "last") -> ImaginedEnv:
        """The world model and reward as an environment of so many rows."""
        limits = {"max_steps": self.domain.max_steps, "keyframe_steps": self.settings.get("keyframe_steps")}
        return ImaginedEnv(self.world(world), self.reward(reward), rows, **limits)

    def _load(self, load: Any, names: tuple[str, ...]) -> Any:
        """The first of these checkpoints that exists."""
        folders = [self.path / "checkpoints" / name for name in names]
        there = [folder for folder in folders if folder.is_dir()]
        if not there:
            known = sorted(found.name for found in (self.path / "checkpoints").glob("*"))
            raise UserError(f"{self.path} has no checkpoint {names[0]!r}; it has {', '.join(known) or 'none'}")
        if there[0] not in self._loaded:
            self._loaded[there[0]] = load(there[0])
        return self._loaded[there[0]]
