"""The whole loop, as an explicit list of stages (paper section 4), and the report's numbers at its end.

demonstrate -> sft -> collect -> train_world -> confront -> train_reward -> gate_1 -> improve_1 -> collect_again ->
refine -> gate_2 -> improve_2 -> evaluate -> report. Where a gate does not pass, what needs RL in imagination is left
out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wovr_lab.errors import UserError
from wovr_lab.pace.config import LoopConfig
from wovr_lab.pace.data import STARTS, TRAINING, collect, collect_again, confront, demonstrate
from wovr_lab.pace.improving import gate, improve, may_improve
from wovr_lab.pace.judging import Improved, evaluate_stage
from wovr_lab.pace.learning import refine, sft, train_reward_stage, train_world_stage
from wovr_lab.pace.reporting import write_report_json
from wovr_lab.pace.stages import Run, Stage, open_run, run_stages
from wovr_lab.runs import read_json

BASE, HALF, IMPROVED = "checkpoints/base", "checkpoints/half", "checkpoints/improved_1"
WORLD, REWARD = "checkpoints/world", "checkpoints/reward"
KEPT_UP, EVOLVED, FINAL = (
    (f"checkpoints/world_{name}", f"checkpoints/reward_{name}") for name in ("improved", "evolved", "final")
)
LEARNT_FROM, FRESH = tuple(f"episodes/{name}.hdf5" for name in TRAINING), "episodes/fresh.hdf5"
DEMONSTRATIONS, *COLLECTED = LEARNT_FROM
HELD_OUT, GROUPS, PLAY = "episodes/gate", "episodes/gate_groups.hdf5", "episodes/play.hdf5"
CONFRONTED, MONITORED = "episodes/confronted", ("episodes/monitored_1", "episodes/imagined_1")

PREPARE = (
    Stage("demonstrate", demonstrate, (), (DEMONSTRATIONS,)),
    Stage("sft", sft, (DEMONSTRATIONS,), (BASE, HALF)),
    Stage("collect", collect, (BASE, HALF), (*COLLECTED, HELD_OUT, GROUPS)),
    Stage("train_world", train_world_stage, LEARNT_FROM, (WORLD, PLAY)),
    Stage("confront", confront, (BASE, WORLD), (CONFRONTED,)),
    Stage("train_reward", train_reward_stage, (*LEARNT_FROM, CONFRONTED, HELD_OUT), (REWARD, "reward.json")),
    Stage("gate_1", gate(1, "world", "reward"), (WORLD, REWARD, HELD_OUT, GROUPS), ("gate_1.json",)),
)
FIRST = (
    Stage(
        "improve_1",
        improve(1, "base", "world", "reward", STARTS, "improved_1", "improved"),
        (BASE, WORLD, REWARD, PLAY, *LEARNT_FROM, CONFRONTED, HELD_OUT),
        (IMPROVED, *KEPT_UP, "monitor_1.json", *MONITORED),
    ),
    Stage("collect_again", collect_again, (IMPROVED,), (FRESH,)),
    Stage(
        "refine",
        refine,
        (*KEPT_UP, PLAY, *LEARNT_FROM, CONFRONTED, *MONITORED, FRESH, HELD_OUT),
        (*EVOLVED, "reward_evolved.json"),
    ),
    Stage("gate_2", gate(2, "world_evolved", "reward_evolved"), (*EVOLVED, HELD_OUT, GROUPS), ("gate_2.json",)),
)
SECOND = (
    Stage(
        "improve_2",
        improve(2, "improved_1", "world_evolved", "reward_evolved", (*STARTS, "fresh"), "improved_2", "final"),
        (IMPROVED, *EVOLVED, PLAY, *LEARNT_FROM, CONFRONTED, HELD_OUT, *MONITORED, FRESH),
        ("checkpoints/improved_2", *FINAL, "monitor_2.json"),
    ),
)

STAGE_NAMES = (*(stage.name for stage in (*PREPARE, *FIRST, *SECOND)), "evaluate")


def run_loop(config: LoopConfig, folder: Path, force: bool = False, until: str | None = None) -> dict[str, Any] | None:
    """Runs or resumes the whole loop in `folder` and returns report.json (schema 1); None if it stopped after `until`.

    `force` lets RL start although a gate did not pass. Raises UserError if the folder belongs to another configuration,
    if there is no stage `until`, or if it needs RL in imagination that a gate refused.
    """
    if until not in (None, *STAGE_NAMES):
        raise UserError(f"unknown stage {until!r}; stages: {', '.join(STAGE_NAMES)}")
    run, improved = open_run(folder, config, force), None
    if _done(run, PREPARE, until):
        return None
    if may_improve(run, 1):
        if _done(run, FIRST, until):
            return None
        improved = Improved("improved_1", "world_evolved", "reward_evolved")
        if may_improve(run, 2):
            if _done(run, SECOND, until):
                return None
            improved = Improved("improved_2", "world_final", "reward_final")
    if until not in (None, "evaluate"):
        refused = "gate_2" if improved else "gate_1"
        raise UserError(
            f"{until} needs RL in imagination, which the gate refused ({run.path(refused)}.json); --force overrules it"
        )
    run_stages(run, [evaluate_stage(improved)])
    write_report_json(run)
    return read_json(run.path("report.json"))


def _done(run: Run, stages: tuple[Stage, ...], until: str | None) -> bool:
    """Runs these stages, up to `until` if it is one of them; True if it was."""
    names = [stage.name for stage in stages]
    run_stages(run, stages[: names.index(until) + 1] if until in names else stages)
    return until in names
