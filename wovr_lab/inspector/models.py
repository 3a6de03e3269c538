"""What a run folder offers the inspector: world models with their rewards, policies, and episodes to begin in.

In: a run folder, finished or shipped. Out: models, loaded when first asked for and shared by all sessions, which never
change them; recordings by the name that links use.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from wovr_lab.episodes import EpisodeStore
from wovr_lab.errors import UserError
from wovr_lab.fields import Natural
from wovr_lab.inspector.timeline import Origin, Switches
from wovr_lab.inspector.worlds import BASE, checkpoint_folder, last_refined, world_names
from wovr_lab.measure.tabletop.probes import SHIPPED, StateProbe, load_probe
from wovr_lab.policy.checkpoints import load_policy
from wovr_lab.policy.vla import VLAPolicy
from wovr_lab.real.tabletop.tasks import TASKS
from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.runs import read_object, read_rows
from wovr_lab.shipped import folder_of, is_shipped
from wovr_lab.types import Episode
from wovr_lab.world.context import ContextBuilder
from wovr_lab.world.protocol import ImaginingModel, load_world_model
from wovr_lab.world.sampler import FlowSampler

OWN_RUN, SHIPPED_RUN = Path("runs/demo"), Path("data/demo")
POLICIES = {"base policy": "base", "improved policy": "improved_*"}  # checkpoints, of which the last is taken
MOST_PLACES = 100  # of a kind in the page's list
OUTCOMES_OF = {  # by the kind of a hallucination: what was imagined, what was real
    "imagined_only": "imagined success, really failure",
    "real_only": "imagined failure, really success",
    "lost_object": "imagined the cube up to {object_cm:.0f} cm from where it really was, the outcome the same",
}
HALLUCINATION, KEYFRAME, EPISODE = "recorded hallucination", "keyframe", "episode of the run"


@dataclass(frozen=True)
class StartOption:
    """A place in the run folder to begin at, as people choose it."""

    kind: str
    label: str
    origin: Origin
    checkpoint: str = "base"  # what a hallucination was imagined by


class RunModels:
    """Raises UserError if the folder holds no world model and reward."""

    def __init__(self, run: Path):
        self.run = run
        self._worlds: dict[str, ImaginingModel] = {}
        self._rewards: dict[str, SuccessClassifier] = {}
        self._policies: dict[str, VLAPolicy] = {}
        self._stores: dict[str, EpisodeStore] = {}
        self.switches("base")
        if not self.tasks:
            raise UserError(f"{run} knows none of the tabletop's tasks, the only ones that the inspector can simulate")

    @property
    def checkpoints(self) -> tuple[str, ...]:
        """World models that are there with their rewards, in the order in which a run makes them."""
        return world_names(self.run)

    @property
    def policies(self) -> tuple[str, ...]:
        """Those of `POLICIES` that are there."""
        return tuple(name for name in POLICIES if self._policy_folder(name))

    @property
    def resolution(self) -> int:
        """Side of a frame in pixels."""
        return self._world("base").resolution

    @cached_property
    def probe(self) -> StateProbe | None:
        """Reads positions in frames; None where none is shipped, or only one for frames of another size."""
        probe = load_probe() if is_shipped(SHIPPED) else None
        return probe if probe is not None and probe.config.resolution == self.resolution else None

    @property
    def tasks(self) -> tuple[str, ...]:
        """Tasks that the reward was trained on."""
        known = list(self.reward("base").config.instructions)
        return tuple(task.name for task in TASKS.values() if task.instruction in known)

    def switches(self, checkpoint: str) -> Switches:
        """The settings that this checkpoint was made to be used with. Raises UserError if it does not exist."""
        world, reward = self._world(checkpoint), self.reward(checkpoint)
        threshold = float(str(np.float32(float(reward.threshold))))  # 0.4, not 0.4000000059604645: the same in float32
        return Switches(
            world.context.anchor, world.context.memory, world.sampler.steps, 0, checkpoint, threshold
        )  # fmt: skip

    def world(self, switches: Switches) -> ImaginingModel:
        """The world model under these switches; it shares its weights with all others of its checkpoint."""
        base = self._world(switches.checkpoint)
        context = ContextBuilder(switches.anchor, switches.memory, base.context.noise)
        sampler = FlowSampler(switches.sampler_steps, base.sampler.shift)
        return base.with_settings(context, sampler)

    def reward(self, checkpoint: str) -> SuccessClassifier:
        """The reward learnt beside a checkpoint. Raises UserError if it does not exist."""
        if checkpoint not in self._rewards:
            self._rewards[checkpoint] = SuccessClassifier.load(self._existing("reward", checkpoint))
        return self._rewards[checkpoint]

    def policy(self, name: str) -> VLAPolicy:
        """Raises UserError if this run has no such policy."""
        folder = self._policy_folder(name)
        if folder is None:
            raise UserError(f"{self.run} holds no {name}; choose one of {', '.join(self.policies) or 'none'}")
        if name not in self._policies:
            self._policies[name] = load_policy(folder, self.resolution)
        return self._policies[name]

    def episode(self, origin: Origin) -> Episode:
        """The recorded episode that an origin names. Raises UserError if this run has none of that name."""
        store = self._store(origin.source)
        if not 0 <= origin.index < len(store):
            raise UserError(f"{origin.source} holds {len(store)} episodes, none has number {origin.index}")
        return store[origin.index]

    def imagined_episode(self, origin: Origin) -> Episode:
        """What was imagined of the same actions, beside the real episode that an origin names. Raises UserError if
        there is none."""
        imagined = origin.source.removesuffix("real.hdf5") + "imagined.hdf5"
        path = self.run / imagined
        if not origin.source.endswith("real.hdf5") or origin.source not in self._sources() or not path.is_file():
            raise UserError(f"no imagined episodes lie beside {origin.source!r} in {self.run}; begin at another place")
        store = self._stores.setdefault(imagined, EpisodeStore([path]))
        if not 0 <= origin.index < len(store):
            raise UserError(f"{imagined} holds {len(store)} episodes, none has number {origin.index}")
        return store[origin.index]

    def imagined_by(self, origin: Origin) -> str:
        """The checkpoint that imagined a pair of episodes: as its case says, or the last for the improved policy's."""
        cases = (self.run / origin.source).with_name("cases.json")
        if cases.is_file():
            world = read_rows(cases, world=str)[origin.index]["world"]
            return world if world in self.checkpoints else "base"
        return last_refined(self.checkpoints) if "/wovr-" in origin.source else BASE

    def paired_sources(self) -> list[tuple[str, list[tuple[int, str, int]]]]:
        """Real sides of recorded pairs that began at initial states: (file, [(index, task, seed)])."""
        found = []
        for source in (name for name in self._sources() if name.endswith("real.hdf5")):
            path = self.run / source
            if path.with_name(path.name.removesuffix("real.hdf5") + "imagined.hdf5").is_file():
                cases = path.with_name("cases.json")
                kinds = [about["start"] for about in read_rows(cases, start=str)] if cases.is_file() else None
                rows = [
                    (index, summary.task, summary.seed)
                    for index, summary in enumerate(self._store(source).summaries)
                    if summary.task in self.tasks and (kinds is None or kinds[index] == "initial")
                ]
                found.append((source, rows))
        return found

    @cached_property
    def horizons(self) -> dict[str, int]:
        """By checkpoint, imagined frames for which its world model can be trusted, as `wovr-lab measure` found it from
        initial states: the least over policies. Empty where the run was not measured."""
        path = self.run / "measure.json"
        rows = read_object(path, horizon=list)["horizon"] if path.is_file() else []
        found: dict[str, int] = {}
        for row in (row for row in rows if row["start"] == "initial"):
            found[row["world"]] = min(int(row["frames"]["rate"]), found.get(row["world"], 10**6))
        return found

    def keyframe_steps(self, origin: Origin) -> list[int]:
        """Actions after an origin at which the run has keyframes of the same initial state."""
        mine = [row["step"] for row in self._keyframe_rows if (row["task"], row["seed"]) == (origin.task, origin.seed)]
        return sorted({step - origin.step for step in mine if step > origin.step})

    def start_options(self) -> list[StartOption]:
        """Recorded hallucinations, keyframes, episodes, in this order; of many, some of each kind from everywhere."""
        places: dict[tuple[str, int], Origin] = {}
        found: list[StartOption] = []
        for source in (name for name in self._sources() if not name.startswith("measure/")):
            for index, summary in enumerate(self._store(source).summaries):
                origin = Origin(summary.task, summary.seed, source, index)
                outcome = "success" if summary.success else "failure"
                label = f"{summary.task}, seed {summary.seed} ({Path(source).stem}, {outcome})"
                is_hallucination = "-imagined_only-imagined" in source
                improved = is_hallucination and "/wovr-" in source
                checkpoint = last_refined(self.checkpoints) if improved else BASE
                if is_hallucination:
                    where = f"{'improved' if improved else 'base'} policy, seed {summary.seed}"
                    label = f"{TASKS[summary.task].instruction}: {OUTCOMES_OF['imagined_only']} ({where})"
                found.append(StartOption(HALLUCINATION if is_hallucination else EPISODE, label, origin, checkpoint))
                if source.startswith("episodes/"):
                    places.setdefault((summary.task, summary.seed), origin)
        keyframes = self._keyframes(places)
        found = [place for place in found if place.origin.task in self.tasks]  # the others would be refused
        hallucinations = [place for place in found if place.kind == HALLUCINATION]
        episodes = [place for place in found if place.kind == EPISODE]
        return [*self._mined(), *hallucinations, *_spread(keyframes), *_spread(episodes)]

    def _mined(self) -> list[StartOption]:
        """What `wovr-lab measure` mined, from the real side of each case: same start, same actions. Those that began at
        a keyframe are left out, since its anchor and memory lie before their first frame."""
        found = []
        for path in sorted(self.run.glob("measure/**/cases.json")):
            source = path.with_name("real.hdf5").relative_to(self.run).as_posix()
            for index, about in enumerate(read_rows(path, start=str, world=str, task=str, seed=int)):
                if about["start"] == "initial" and about["world"] in self.checkpoints:
                    origin = Origin(about["task"], about["seed"], source, index)
                    found.append(StartOption(HALLUCINATION, _parted(about), origin, about["world"]))
        return found

    @cached_property
    def _keyframe_rows(self) -> list[dict[str, Any]]:
        paths = sorted(self.run.glob("keyframes-*.json"))
        return [row for path in paths for row in read_rows(path, task=str, seed=int, step=Natural)]

    def _keyframes(self, places: dict[tuple[str, int], Origin]) -> list[StartOption]:
        found = []
        for entry in self._keyframe_rows:
            origin = places.get((entry["task"], entry["seed"]))
            if origin:
                label = f"{entry['task']}, seed {entry['seed']}, action {entry['step']}"
                place = Origin(origin.task, origin.seed, origin.source, origin.index, entry["step"])
                found.append(StartOption(KEYFRAME, label, place))
        return list(dict.fromkeys(found))

    def _sources(self) -> list[str]:
        """Names of the episode files; imagined episodes only where they show a hallucination."""
        patterns = ("measure/**/real.hdf5", "comparison/*.hdf5", "episodes/**/*.hdf5")
        paths = [path for pattern in patterns for path in sorted(self.run.glob(pattern))]
        names = [path.relative_to(self.run).as_posix() for path in paths]
        return [name for name in names if not name.endswith("-imagined.hdf5") or "-imagined_only-" in name]

    def _store(self, source: str) -> EpisodeStore:
        if source not in self._sources():  # a link may name anything; only what is listed is opened
            raise UserError(f"{self.run} holds no episodes {source!r}; begin at another place")
        if source not in self._stores:
            self._stores[source] = EpisodeStore([self.run / source])
        return self._stores[source]

    def _world(self, checkpoint: str) -> ImaginingModel:
        if checkpoint not in self._worlds:
            self._worlds[checkpoint] = load_world_model(self._existing("world", checkpoint)).float()
        return self._worlds[checkpoint]

    def _existing(self, kind: str, checkpoint: str) -> Path:
        if checkpoint not in self.checkpoints:
            raise UserError(f"there is no checkpoint {checkpoint!r}; choose one of {', '.join(self.checkpoints)}")
        folder = checkpoint_folder(self.run, kind, checkpoint)
        if not folder.is_dir():
            raise UserError(f"{folder} does not exist; finish a run first (make demo) or give another run folder")
        return folder

    def _policy_folder(self, name: str) -> Path | None:
        found = self.run.glob(f"checkpoints/{POLICIES[name]}") if name in POLICIES else ()
        return max(found, key=lambda folder: (len(folder.name), folder.name), default=None)


def _parted(about: dict[str, Any]) -> str:
    """A mined case in words: its task, what was imagined, what was real."""
    where = f"{about['policy']} policy in the {about['world']} world, seed {about['seed']}"
    return f"{TASKS[about['task']].instruction}: {OUTCOMES_OF[about['kind']].format(**about)} ({where})"


def _spread(places: list[StartOption]) -> list[StartOption]:
    """At most `MOST_PLACES` of them, evenly."""
    return places[:: -(-len(places) // MOST_PLACES) or 1]


def find_run(folder: Path | None = None) -> Path:
    """The run folder to open: the one given (or that of a checkpoint given), else your own, else the shipped one.

    Raises UserError where there is none.
    """
    if folder is not None:
        return folder.parent.parent if folder.parent.name == "checkpoints" else folder_of(folder)
    for run in (OWN_RUN, folder_of(SHIPPED_RUN)):
        if all((run / "checkpoints" / name).is_dir() for name in ("world", "reward")):
            return run
    raise UserError(
        f"there is neither {OWN_RUN} nor {SHIPPED_RUN} to open here; run `make demo` first (its models are ready after "
        "some minutes), or name a run folder: wovr-lab inspect RUN"
    )
