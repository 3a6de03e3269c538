"""Whole configurations by environment and scale.

In: a scale, an environment as people name it, or tasks. Out: a run's `RunConfig`. On LIBERO the limit of steps and the
backbone follow from the tasks: several tasks share one policy, and those on the table share a backbone.
"""

from __future__ import annotations

from wovr_lab.errors import UserError
from wovr_lab.pace.config import SCALES, RunConfig
from wovr_lab.pace.presets import libero, tabletop
from wovr_lab.pace.presets.table import WORLDS, OfficialLimit
from wovr_lab.real.domains import tasks_of
from wovr_lab.real.libero.sizes import on_table
from wovr_lab.real.names import TABLETOP, is_libero


def preset(scale: str, seed: int = 0, world: str | None = None, tasks: tuple[str, ...] | None = None) -> RunConfig:
    """The configuration of a scale, on the tasks of its preset or on others.

    `world` is latent or pixels; unless told, a tabletop run of any size imagines in pixels, smoke and LIBERO in
    latents. Raises UserError on an unknown scale, world model or task.
    """
    if scale not in SCALES:
        raise UserError(f"unknown scale {scale!r}; scales: {', '.join(SCALES)}")
    if world not in (None, *WORLDS):
        raise UserError(f"unknown world model {world!r}; there are {' and '.join(WORLDS)}")
    on_libero = tasks is not None and is_libero(tasks)
    row = libero.LIBERO[scale, len(tasks) > 1, on_table(tasks)] if on_libero else tabletop.TABLETOP[scale]
    chosen = row.tasks if tasks is None else tasks
    limit = row.max_steps.of(chosen) if isinstance(row.max_steps, OfficialLimit) else row.max_steps
    return RunConfig(
        scale=scale,
        seed=seed,
        tasks=chosen,
        resolution=row.resolution,
        max_steps=limit,
        data=row.data,
        imitation=row.imitation,
        reward=row.reward,
        world=row.worlds[world or row.world],
        gate=row.gate,
        rl=row.rl,
        evaluation=row.evaluation,
    )


def config_for(environment: str, scale: str, seed: int = 0, world: str | None = None) -> RunConfig:
    """A scale's configuration in an environment as people name it, imagined in the latents of a codec or in pixels.
    Raises UserError on unknown names."""
    return preset(scale, seed, world, None if environment == TABLETOP else tasks_of(environment))
