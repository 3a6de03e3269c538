"""A run folder opened for reading: its models, episodes and numbers by name, whatever made it.

In: the folder of a run, finished or shipped. Out: what it holds; models are loaded when first asked for and then
shared.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from shutil import copytree
from typing import Any

from wovr_lab.episodes import EpisodeStore
from wovr_lab.errors import UserError
from wovr_lab.hub import REVISION, Card, push
from wovr_lab.imagined.environment import ImaginedEnv
from wovr_lab.pace.config import RunConfig, load_config
from wovr_lab.pace.layout import EVALUATION, checkpoint, episodes, stage_record
from wovr_lab.pace.loop import stage_names
from wovr_lab.pace.rounds import Simulator, rounds
from wovr_lab.policy.checkpoints import load_policy
from wovr_lab.policy.vla import VLAPolicy
from wovr_lab.real.domain import Domain
from wovr_lab.report_schema import load_report
from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.runs import read_object
from wovr_lab.shipped import folder_of
from wovr_lab.world.protocol import ImaginingModel, load_world_model


class RunFolder:
    """A folder, or the name of a run that is shipped. Raises UserError if it is no run."""

    def __init__(self, path: Path | str):
        self.path = folder_of(path)
        self.config: RunConfig = load_config(self.path)
        self._loaded: dict[Path, Any] = {}

    @classmethod
    def from_pretrained(cls, name: Path | str, revision: str = REVISION) -> RunFolder:
        """A run of a folder, one that is shipped, or one of a repository OWNER/NAME of the hub. Raises UserError if
        there is none."""
        return cls(folder_of(name, revision))

    def save_pretrained(self, folder: Path | str) -> None:
        """A copy of an exported run in a new folder. Raises UserError on a run that was not exported."""
        if not (self.path / "provenance.json").is_file():
            raise UserError(
                f"{self.path} is too large to send whole; make it small with wovr-lab export, then send that"
            )
        copytree(self.path, folder)

    def push_to_hub(self, name: str, licence: str = Card.licence, private: bool = False) -> str:
        """Sends an exported run, with a card made of its report, to the repository OWNER/NAME; the commit's address.
        Raises UserError if it was not exported, or if the hub does not take it."""
        report = self.report()
        origin = read_object(self.path / "provenance.json", command=str, commit_of_the_run=str)
        protocol = "\n".join(f"- {key}: {value}" for key, value in report["protocol"].items())
        card = Card(
            f"`{origin['command']}`, commit {origin['commit_of_the_run']}.", protocol, report["verdict"], licence
        )
        return push(self.save_pretrained, name, card.text(name, type(self).__name__), private)

    @property
    def domain(self) -> Domain:
        """The real world that the run was made in."""
        return self.config.real

    @cached_property
    def simulators(self) -> tuple[Simulator, ...]:
        """All that the run makes, in order, whether there yet or not."""
        later = ((each.refreshed,) if each.is_last else (each.refreshed, each.refined) for each in rounds(self.config))
        return (Simulator.of(), *(simulator for made in later for simulator in made))

    def policy(self, name: str = "improved") -> VLAPolicy:
        """A policy by the name of its checkpoint; "improved" is the last that there is. Raises UserError if there is
        none of that name."""
        improved = (Path(each.improved).name for each in reversed(rounds(self.config)))
        return self._load(load_policy, tuple(improved) if name == "improved" else (name,))

    def world(self, name: str = "last") -> ImaginingModel:
        """A world model by the name of its checkpoint; "last" is the one that was refined last."""
        last = (Path(each.world).name for each in reversed(self.simulators))
        return self._load(load_world_model, tuple(last) if name == "last" else (name,))

    def reward(self, name: str = "last") -> SuccessClassifier:
        """A reward by the name of its checkpoint; "last" is the one that was trained last."""
        last = (Path(each.reward).name for each in reversed(self.simulators))
        return self._load(SuccessClassifier.load, tuple(last) if name == "last" else (name,))

    def episodes(self, name: str) -> EpisodeStore:
        """The real episodes of `episodes/NAME.hdf5`. Raises UserError naming those that there are."""
        path = self.path / episodes(name)
        if not path.is_file():
            known = sorted(found.stem for found in path.parent.glob("*.hdf5"))
            raise UserError(f"{self.path} has no episodes {name!r}; it has {', '.join(known) or 'none'}")
        return EpisodeStore([path])

    def report(self) -> dict[str, Any]:
        """report.json. Raises UserError if the run has none yet."""
        return load_report(self.path)

    def evaluation(self) -> dict[str, Any]:
        """evaluation.json. Raises UserError if the run has none yet."""
        return read_object(self.path / EVALUATION, base=dict)

    def stages(self) -> dict[str, dict[str, Any]]:
        """What was written down of each stage that is done: seconds, commit, inputs, what it booked."""
        paths = {name: self.path / stage_record(name) for name in stage_names(self.config)}
        return {name: read_object(path) for name, path in paths.items() if path.exists()}

    def imagined_env(self, rows: int = 64, world: str = "last", reward: str = "last") -> ImaginedEnv:
        """The world model and reward as an environment of so many rows."""
        limits = {"max_steps": self.config.max_steps, "keyframe_steps": self.config.rl.keyframe_steps}
        return ImaginedEnv(self.world(world), self.reward(reward), rows, **limits)

    def _load(self, load: Any, names: tuple[str, ...]) -> Any:
        """The first of these checkpoints that exists."""
        folders = [self.path / checkpoint(name) for name in names]
        there = [folder for folder in folders if folder.is_dir()]
        if not there:
            known = sorted(found.name for found in folders[0].parent.glob("*"))
            raise UserError(f"{self.path} has no checkpoint {names[0]!r}; it has {', '.join(known) or 'none'}")
        if there[0] not in self._loaded:
            self._loaded[there[0]] = load(there[0])
        return self._loaded[there[0]]
