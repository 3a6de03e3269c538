"""The whole loop, as an explicit list of stages (paper section 4), and the report's numbers at its end.

demonstrate -> sft -> collect -> train_world -> confront -> train_reward -> gate_1 -> improve_1, and for each further
round collect_again -> refine -> gate_N -> improve_N; at the end evaluate -> report. Where a gate does not pass, what
needs RL in imagination is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wovr_lab.errors import UserError
from wovr_lab.pace.config import RunConfig
from wovr_lab.pace.data import collect, collect_again, demonstrate, execute_imagined_rollouts
from wovr_lab.pace.evaluation import Improved, evaluate_stage
from wovr_lab.pace.improving import gate, improve, may_improve
from wovr_lab.pace.layout import (
    BASE,
    BASE_ROLLOUTS,
    DEMONSTRATIONS,
    EXAMPLES,
    GATE,
    GATE_GROUPS,
    HALF,
    IMAGINED_ACTIONS,
    NEAR_MISSES,
    PLAY,
    REPORT,
    TRAINING,
)
from wovr_lab.pace.learning import refine, sft, train_reward_stage, train_world_stage
from wovr_lab.pace.reporting import write_report_json
from wovr_lab.pace.rounds import (
    Round,
    Simulator,
    monitored_for_reward,
    reward_sources,
    rounds,
    start_sources,
    success_sources,
    world_sources,
)
from wovr_lab.pace.stages import Run, Stage, open_run, run_stages
from wovr_lab.runs import read_json


def preparation(config: RunConfig) -> tuple[Stage, ...]:
    """All that comes before RL: the base policy, its simulator, and the first gate."""
    first = Simulator.of()
    imagines = (BASE, first.world) if config.data.imagined_actions else ()
    return (
        Stage("demonstrate", demonstrate, (), (DEMONSTRATIONS,)),
        Stage("sft", sft, (DEMONSTRATIONS,), (BASE, HALF)),
        Stage("collect", collect, (BASE, HALF), (EXAMPLES, BASE_ROLLOUTS, NEAR_MISSES, GATE, GATE_GROUPS)),
        Stage("train_world", train_world_stage, TRAINING, (first.world, PLAY)),
        Stage("confront", execute_imagined_rollouts, imagines, (IMAGINED_ACTIONS,)),
        Stage("train_reward", train_reward_stage, (*reward_sources(config, 1), GATE), (first.reward, first.quality)),
        _gate(rounds(config)[0]),
    )


def _gate(phase: Round) -> Stage:
    return Stage(phase.gate, gate(phase), (*phase.simulator.names, GATE, GATE_GROUPS), (phase.verdict,))


def _improve(config: RunConfig, phase: Round) -> Stage:
    """RL in imagination; what it reads follows from what learns beside it."""
    bc = config.rl.filtered_bc
    reads = [phase.policy, *phase.simulator.names, *start_sources(config, phase.number)]
    reads += world_sources(config, phase.number) if config.world.refresh else ()
    reads += reward_sources(config, phase.number) if config.reward.refresh else ()
    reads += success_sources(config, phase.number) if bc else ()
    writes = [phase.improved, *phase.refreshed.names, phase.monitor, phase.monitored, phase.imagined]
    writes += [phase.keyframes] if config.rl.keyframe_share else []
    return Stage(phase.name, improve(phase), tuple(dict.fromkeys(reads)), tuple(writes))


def _pace(config: RunConfig, phase: Round) -> tuple[Stage, Stage]:
    """What lies between a round and the next one (paper section 4)."""
    reads = [*phase.refreshed.names, *world_sources(config, phase.number + 1), *reward_sources(config, phase.number)]
    reads += [*monitored_for_reward(config, phase), phase.rollouts, GATE]
    return (
        Stage(phase.collect, collect_again(phase), (phase.improved,), (phase.rollouts,)),
        Stage(phase.refine, refine(phase), tuple(dict.fromkeys(reads)), (*phase.refined.names, phase.refined.quality)),
    )


def stages_after_gate(config: RunConfig, phase: Round) -> tuple[Stage, ...]:
    """A round of RL and, unless it is the last one, what prepares the next."""
    if phase.is_last:
        return (_improve(config, phase),)
    following = rounds(config)[phase.number]
    return (_improve(config, phase), *_pace(config, phase), _gate(following))


def stage_names(config: RunConfig) -> tuple[str, ...]:
    """All stages of a run whose gates pass, in order."""
    later = (stage for each in rounds(config) for stage in stages_after_gate(config, each))
    return (*(stage.name for stage in (*preparation(config), *later)), "evaluate")


STAGE_NAMES = stage_names(RunConfig())  # of a run with as many rounds as is usual


def run_loop(config: RunConfig, folder: Path, force: bool = False, until: str | None = None) -> dict[str, Any] | None:
    """Runs or resumes the whole loop in `folder` and returns report.json (schema 1); None if it stopped after `until`.

    `force` lets RL start although a gate did not pass. Raises UserError if the folder belongs to another configuration,
    if there is no stage `until`, or if it needs RL in imagination that a gate refused.
    """
    names = stage_names(config)
    if until not in (None, *names):
        raise UserError(f"unknown stage {until!r}; stages: {', '.join(names)}")
    run, improved = open_run(folder, config, force), None
    if _done(run, preparation(config), until):
        return None
    for phase in rounds(config):
        if not may_improve(run, phase):
            break
        if _done(run, stages_after_gate(config, phase), until):
            return None
        improved = Improved(phase.improved, phase.refreshed if phase.is_last else phase.refined)
    if until not in (None, "evaluate"):
        raise UserError(
            f"{until} needs RL in imagination, which the gate refused ({run.path(phase.verdict)}); --force overrules it"
        )
    run_stages(run, [evaluate_stage(improved)])
    write_report_json(run)
    return read_json(run.path(REPORT))


def _done(run: Run, stages: Sequence[Stage], until: str | None) -> bool:
    """Runs these stages, up to `until` if it is one of them; True if it was."""
    names = [stage.name for stage in stages]
    run_stages(run, stages[: names.index(until) + 1] if until in names else stages)
    return until in names
