"""`wovr-lab measure RUN`: what the world models of a run hallucinate (paper section 1).

In: checkpoints, the gate's held-out real episodes. Out: RUN/measure/ (paired rollouts, gallery) and RUN/measure.json
(schema 1, see `hallucination_json`). In stages like the loop's: what is done and unchanged is skipped. The real
episodes it takes judge; nothing learns or is chosen by them, so they are no part of the budget.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wovr_lab.episodes import EpisodeStore
from wovr_lab.errors import UserError
from wovr_lab.experiments.hallucination_json import SCHEMA, gather
from wovr_lab.experiments.update_efficiency import WRITES, measure_update_efficiency
from wovr_lab.imagined.environment import ImaginedEnv
from wovr_lab.measure.tabletop.control import controllability, imagined_displacements, real_displacements
from wovr_lab.measure.tabletop.gallery import hardest_cases, write_gallery
from wovr_lab.measure.tabletop.pairing import pair_rollouts
from wovr_lab.measure.tabletop.probe_training import ProbeData, probe_errors
from wovr_lab.measure.tabletop.probes import SHIPPED, load_probe
from wovr_lab.measure.uncertainty import UncertaintyEnv, error_auroc, is_comparable
from wovr_lab.pace.config import RunConfig, load_config
from wovr_lab.pace.data import ENVIRONMENTS, seeds, starts
from wovr_lab.pace.layout import BASE, GATE
from wovr_lab.pace.rounds import Simulator, rounds
from wovr_lab.pace.stages import Run, Stage, digest, enter_run, run_stages
from wovr_lab.policy.checkpoints import load_policy
from wovr_lab.real.chunk_env import RealChunkEnv
from wovr_lab.real.names import is_libero
from wovr_lab.real.tabletop.chunk_env import make_tabletop_env
from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.rollout import roll_out
from wovr_lab.runs import read_json, replacing, write_json
from wovr_lab.seeding import stream
from wovr_lab.shipped import shipped
from wovr_lab.starts import KeyframeStarts, keyframes
from wovr_lab.types import Start
from wovr_lab.world.codec import FRAMES_PER_LATENT
from wovr_lab.world.model import WorldModel
from wovr_lab.world.protocol import load_world_model

ROLLOUTS = 200  # of a policy in a world model, half of them from keyframes
CONTROLLED = 16  # starts of counterfactual actions, of each kind
SETTINGS = "measure/settings.json"
Starts = dict[str, list[Start]]  # by kind: initial, keyframe
Simulators = dict[str, Simulator]  # by name: base, evolved


@dataclass(frozen=True)
class Part:
    """A policy that acts in a world model, from starts of one kind."""

    policy: str
    world: str
    start: str
    checkpoint: str  # of the policy
    simulator: Simulator
    others: tuple[str, ...] | None  # other world models to compare with; None: no uncertainty, which costs more

    @property
    def names(self) -> dict[str, str]:
        return {"policy": self.policy, "world": self.world, "start": self.start}

    @property
    def folder(self) -> str:
        return f"measure/{self.policy}-{self.world}-{self.start}"

    @property
    def reads(self) -> tuple[str, ...]:
        return (SETTINGS, GATE, *sorted({self.checkpoint, *self.simulator.names, *(self.others or ())}))

    @property
    def writes(self) -> tuple[str, ...]:
        return (self.folder,) if self.others is None else (self.folder, f"{self.folder}/uncertainty.json")


def measure_run(folder: Path, rollouts: int = ROLLOUTS, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Measures what is not measured yet and returns measure.json.

    Raises UserError if the folder is no run with a world model, or if another process works in it.
    """
    config = _config(folder)
    if rollouts < 2 * len(config.tasks):
        raise UserError(f"{rollouts} rollouts are too few for {len(config.tasks)} tasks; give {2 * len(config.tasks)}")
    worlds = _worlds(folder, config)
    run = enter_run(folder, config)
    settings = {"schema": SCHEMA, "rollouts": rollouts, "probe": digest(shipped(SHIPPED))}
    if not run.path(SETTINGS).exists() or read_json(run.path(SETTINGS)) != settings:
        write_json(run.path(SETTINGS), settings)
    chosen = _starts(run, rollouts // 2)
    parts = _parts(folder, config, worlds, tuple(chosen))
    reads = (SETTINGS, GATE, *(each.world for each in worlds.values()))
    groups = max(len(config.tasks), rollouts // config.rl.group_size)
    acted = (*reads, BASE, *(each.reward for each in worlds.values()))
    stages = [
        Stage("measure-update-efficiency", measure_update_efficiency(worlds, chosen, groups), acted, (WRITES,)),
        Stage("measure-probe", _measure_probe(worlds), reads, ("measure/probe.json",)),
        Stage("measure-control", _measure_control(worlds, chosen), reads, ("measure/control.json",)),
        *(Stage(p.folder.replace("/", "-"), _measure_part(p, chosen[p.start]), p.reads, p.writes) for p in parts),
    ]
    run_stages(run, stages, say)
    found = gather(run, [(part.names, run.path(part.folder)) for part in parts]) | {"rollouts": rollouts}
    write_json(run.path("measure.json"), found)
    return found


def _config(folder: Path) -> RunConfig:
    config = load_config(folder)
    if is_libero(config.tasks):
        raise UserError(f"{folder} is a run in LIBERO; the probes know the tabletop's objects only")
    return config


def _worlds(folder: Path, config: RunConfig) -> Simulators:
    """The first simulator, and the one that was refined last. Raises UserError if the run has not come so far."""
    refined = [each.refined for each in rounds(config)[:-1]]
    made = [each for each in (Simulator.of(), *refined) if all((folder / name).is_dir() for name in each.names)]
    if Simulator.of() not in made or not (folder / BASE).is_dir() or not (folder / GATE).is_dir():
        raise UserError(f"{folder} has no policy, world model, reward and {GATE} yet; run it up to gate-1 first")
    return {"base": made[0]} | ({"evolved": made[-1]} if len(made) > 1 else {})


def _parts(folder: Path, config: RunConfig, worlds: Simulators, kinds: tuple[str, ...]) -> list[Part]:
    """The base and the policy that was improved last in every world model; the last policy in the last one is also
    asked for its uncertainty."""
    improved = [each.improved for each in rounds(config) if (folder / each.improved).is_dir()]
    policies = {"base": BASE} | ({"improved": improved[-1]} if improved else {})
    last = (list(policies)[-1], list(worlds)[-1])
    others = tuple(each.world for name, each in worlds.items() if name != last[1])
    return [
        Part(policy, world, kind, checkpoint, simulator, others if (policy, world) == last else None)
        for policy, checkpoint in policies.items()
        for world, simulator in worlds.items()
        for kind in kinds
    ]


def _starts(run: Run, count: int) -> Starts:
    """Initial states that nothing learnt from, and keyframes of the gate's episodes from which a whole keyframe rollout
    fits; at least `count` of each, none of the second kind where episodes are too short."""
    config = run.config
    each = -(-count // len(config.tasks))
    held_out = EpisodeStore(sorted(run.path(GATE).glob("*.hdf5")))
    found = keyframes(held_out, config.rl.keyframe_lead, config.rl.keyframe_lead // 3)
    whole = tuple(start for start in found if start.step + config.rl.keyframe_steps <= config.max_steps)
    chosen = {"initial": starts(config, seeds(config, "confusion", each))}
    if whole:
        rng = stream(config.seed, "measure", "keyframes")
        chosen["keyframe"] = KeyframeStarts(whole).draw(each * len(config.tasks), rng)
    return chosen


def _measure_probe(worlds: Simulators) -> Callable[[Run], None]:
    """The probe on real frames that it never saw, and on the same frames through the codec and back where there is one;
    every world model of a run has the same."""

    def work(run: Run) -> None:
        probe = load_probe()
        data = ProbeData.of(EpisodeStore(sorted(run.path(GATE).glob("*.hdf5"))))
        found = {"real": probe_errors(probe.read(data.frames), data.readouts)}
        world = load_world_model(run.path(next(iter(worlds.values())).world))
        if isinstance(world, WorldModel):
            whole, codec = len(data.frames) // FRAMES_PER_LATENT * FRAMES_PER_LATENT, world.codec
            groups = data.frames[:whole].reshape(-1, FRAMES_PER_LATENT, *data.frames.shape[1:])
            decoded = [codec.decode(codec.encode(part)) for part in np.array_split(groups, len(groups) // 64 + 1)]
            seen = probe.read(np.concatenate(decoded)).reshape(whole, -1)
            found["through_codec"] = probe_errors(seen, data.readouts[:whole])
        write_json(run.path("measure/probe.json"), found)

    return work


def _measure_control(worlds: Simulators, chosen: Starts) -> Callable[[Run], None]:
    """Counterfactual actions in every world model, with both of its action channels and with either alone."""

    def work(run: Run) -> None:
        first = [start for some in chosen.values() for start in some[:: max(1, len(some) // CONTROLLED)]]
        probe = load_probe()
        real, seen = real_displacements(_real_env(run.config, len(first)), probe, first)
        rows = [{"world": "real", "channels": "both", "n": len(first)} | controllability(real, seen)]
        for name, simulator in worlds.items():
            model = load_world_model(run.path(simulator.world))
            imagined = imagined_displacements(model, probe, first, run.config.seed)
            rows += [
                {"world": name, "channels": channels, "n": len(first)} | controllability(real, moved)
                for channels, moved in imagined.items()
            ]
        points = {"real": real.round(2).tolist(), "imagined": imagined["both"].round(2).tolist()}
        write_json(run.path("measure/control.json"), {"rows": rows, "points": points})

    return work


def _real_env(config: RunConfig, rows: int, every_frame: bool = True) -> RealChunkEnv:
    """The tabletop with imagination's limits, going on after success."""
    return make_tabletop_env(
        min(rows, ENVIRONMENTS), config.resolution, config.max_steps, config.max_steps, every_frame,
        config.rl.keyframe_steps,
    )  # fmt: skip


def _imagined_env(run: Run, part: Part, count: int) -> ImaginedEnv:
    """The world model, going on after success, with its uncertainty where the part asks for it."""
    config, world = run.config, load_world_model(run.path(part.simulator.world))
    rows = -(-count // -(-count // config.world.imagined_rows))  # groups of one size, none larger than the run's
    reward = SuccessClassifier.load(run.path(part.simulator.reward))
    limits = (rows, config.max_steps, config.max_steps, config.rl.keyframe_steps)
    if part.others is None:
        return ImaginedEnv(world, reward, *limits)
    others = [load_world_model(run.path(name)) for name in part.others]
    return UncertaintyEnv(world, reward, *limits, others=[other for other in others if is_comparable(world, other)])


def _measure_part(part: Part, chosen: list[Start]) -> Callable[[Run], None]:
    """Paired rollouts, the policy alone in the real world, mined cases and, where asked for, uncertainty."""

    def work(run: Run) -> None:
        config, temperature = run.config, run.config.rl.temperature
        actor = load_policy(run.path(part.checkpoint), config.resolution)
        name, seed = f"{part.policy} in {part.world} world, {part.start}", config.seed
        alone = roll_out(_real_env(config, len(chosen), every_frame=False), actor, chosen, seed, name, temperature)
        env, real_env = _imagined_env(run, part, len(chosen)), _real_env(config, len(chosen))
        pairs, imagined, real = pair_rollouts(
            env, real_env, actor, chosen, alone.succeeded, load_probe(), seed, name, temperature
        )
        with replacing(run.path(part.folder), "measured part") as partial:
            pairs.save(partial / "pairs.safetensors")
            write_gallery(partial / "gallery", hardest_cases(pairs, imagined, real, part.names))
            if isinstance(env, UncertaintyEnv):
                rows = error_auroc(pairs, env.uncertainties(len(chosen)), float(env.reward.threshold))
                write_json(partial / "uncertainty.json", rows)

    return work
