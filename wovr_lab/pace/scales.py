"""The scales of the loop: smoke, demo and full on the tabletop, and what they are on LIBERO.

In: a scale's name, an environment as people name it, or a run folder. Out: its `LoopConfig`.
"""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from wovr_lab.errors import UserError
from wovr_lab.grpo.trainer import GRPOConfig
from wovr_lab.pace.config import LoopConfig, PolicySizeConfig, WorldSizeConfig
from wovr_lab.pace.pixels import in_pixels
from wovr_lab.pace.settings import parsed, read_config
from wovr_lab.policy.exploration import IndependentNoise
from wovr_lab.policy.imitation import ImitationConfig
from wovr_lab.real.domains import tasks_of
from wovr_lab.real.libero.sizes import official_limit, on_table
from wovr_lab.real.names import TABLETOP, is_libero
from wovr_lab.reward.training import RewardTrainingConfig
from wovr_lab.training import FitConfig
from wovr_lab.types import CHUNK
from wovr_lab.world.training import CodecTrainingConfig, WorldTrainingConfig

LATENT, PIXELS = WORLDS = ("latent", "pixels")  # world models as people name them


def scale_config(scale: str, seed: int = 0, imagined_in: str | None = None, **changes: Any) -> LoopConfig:
    """The configuration of a scale, with changes by field name; LIBERO's tasks bring their own sizes and limits.

    `imagined_in` is latent or pixels; unless told, a tabletop run of any size imagines in pixels, smoke and LIBERO in
    latents. Raises UserError on an unknown scale, world model or field.
    """
    names = {entry.name for entry in fields(LoopConfig)}
    unknown = sorted(set(changes) - names)
    if unknown:
        raise UserError(f"unknown setting {unknown[0]!r}; settings: {', '.join(sorted(names))}")
    if imagined_in not in (None, *WORLDS):
        raise UserError(f"unknown world model {imagined_in!r}; there are {' and '.join(WORLDS)}")
    if scale == "smoke":
        base = _smoke()
    elif scale == "full":
        base = _full()
    else:
        base = LoopConfig(scale=scale)
    tasks, is_small = changes.get("tasks", ()), scale == "smoke"
    on_libero = is_libero(tasks)
    base = _on_libero(base, tasks) if on_libero else base
    if imagined_in == PIXELS or (imagined_in is None and not is_small and not on_libero):
        base = replace(base, **in_pixels(scale, None if is_small or on_libero else "pixel_backbone"))
    return replace(base, seed=seed, **changes)


def config_in(environment: str, scale: str, seed: int = 0, world: str | None = None) -> LoopConfig:
    """A scale's configuration in an environment as people name it, imagined in the latents of a codec or in pixels.
    Raises UserError on unknown names."""
    tasks = {} if environment == TABLETOP else {"tasks": tasks_of(environment)}
    return scale_config(scale, seed, world, **tasks)


def config_of(folder: Path) -> LoopConfig:
    """The configuration a run was made with, however it was chosen. Raises UserError if there is none, or if it is of
    another version that had settings which this one does not know."""
    return parsed(LoopConfig, read_config(folder), f"{folder}/config.json")


def _smoke() -> LoopConfig:
    """Every stage in seconds: for tests. Nothing is learnt at this scale."""
    fast = FitConfig(6, 1e-3, 2, ema_decay=0.9, checkpoint_every=2, log_every=2)
    return LoopConfig(
        scale="smoke",
        tasks=("push_red", "red_on_plate"),
        backbone=None,
        demonstrations=2,
        examples=2,
        rollouts=3,
        gate_episodes=1,
        gate_groups=2,
        confronted=1,
        fresh=2,
        play=2,
        policy=PolicySizeConfig(32, 1, 2),
        imitation=ImitationConfig(FitConfig(20, 1e-3, 4, checkpoint_every=6, log_every=5), batch=16),
        reward=RewardTrainingConfig(FitConfig(20, 2e-3, 4, checkpoint_every=6, log_every=5), batch=30),
        reward_refresh=RewardTrainingConfig(FitConfig(4, 1e-3, 2), batch=12),
        world_size=WorldSizeConfig(2, 16, 64, 1, 32, 8),
        codec=CodecTrainingConfig(fast, batch=8),
        world=WorldTrainingConfig(fast, batch=8),
        refine=WorldTrainingConfig(fast, batch=8),
        world_refresh=WorldTrainingConfig(FitConfig(2, 1e-3, 2), batch=8),
        sampler_steps=1,
        grpo=GRPOConfig(groups=2, group_size=2, max_resamples=2, minibatch=8),
        iterations=(2, 2),
        monitor_every=(1, 1),
        monitor_starts=2,
        monitored_weight=1.0,
        imitate_successes=ImitationConfig(FitConfig(3, 1e-3, 1), batch=4),
        imitate_imagined=True,
        imitate_last=True,
        evaluation_starts=4,
        check_every=2,
        check_starts=2,
        confusion_rollouts=2,
        imagined_rows=4,
    )


def _full() -> LoopConfig:
    """Eighty minutes on two cores: the headline numbers."""
    return LoopConfig(
        scale="full", rollouts=150, gate_episodes=15, fresh=80,
        world=WorldTrainingConfig(FitConfig(4000, 5e-4, ema_decay=0.998)),
        refine=WorldTrainingConfig(FitConfig(1500, 3e-4, ema_decay=0.998)),
        reward=RewardTrainingConfig(FitConfig(1500, 2e-3)), grpo=GRPOConfig(groups=32, max_resamples=4),
        iterations=(12, 12), monitor_every=(3, 3), monitor_starts=20,
    )  # fmt: skip


def _on_libero(base: LoopConfig, tasks: tuple[str, ...]) -> LoopConfig:
    """A scale's sizes for LIBERO: 64 pixels, the official limit, the paper's 250 real trajectories a task, a backbone
    of their own for tasks on the table.

    At smoke scale the limit just leaves the expert time, and less is judged: a step costs 100 of the tabletop's.
    """
    sizes = replace(
        base, tasks=tasks, resolution=64, max_steps=official_limit(tasks), evaluation_starts=50,
        backbone="libero_backbone" if base.backbone and on_table(tasks) else None,
        examples=min(base.examples, 24), gate_episodes=min(base.gate_episodes, 6), fresh=min(base.fresh, 40),
        rollouts=min(base.rollouts, 60), monitor_starts=min(base.monitor_starts, 8), play=min(base.play, 60),
        keyframe_steps=64, budget=250, gate_groups=1, reward_refresh=None, world_refresh=None,
        grpo=replace(base.grpo, noise=IndependentNoise()),  # neither is measured there yet
    )  # fmt: skip
    if base.scale == "demo":
        return _together(_demo_on_libero(sizes)) if len(tasks) > 1 else _demo_on_libero(sizes)
    if base.scale == "full":
        return sizes
    return replace(
        sizes, max_steps=128, rollouts=2, play=1, evaluation_starts=2, iterations=(1, 1), monitor_starts=1,
        check_starts=1, confusion_rollouts=1, keyframe_steps=16,
    )  # fmt: skip


def _demo_on_libero(sizes: LoopConfig) -> LoopConfig:
    """Half the official limit holds for training and evaluation alike; it is about twice what the expert takes on the
    tasks measured. A world model without a backbone has more to learn."""
    half = sizes.max_steps // 2
    if sizes.backbone:
        play, world = 40, FitConfig(800, 1e-3, 100, ema_decay=0.99, muon="blocks")
        refine = FitConfig(600, 6e-4, ema_decay=0.99, muon="blocks")
    else:
        play, world, refine = 120, FitConfig(2400, 2e-3, 100, ema_decay=0.995), FitConfig(800, 1e-3, ema_decay=0.99)
    return replace(
        sizes, max_steps=half + -half % CHUNK, demonstrations=16, demonstration_noise=0.25, rollouts=90,
        rollout_temperatures=(0.5, 0.8), gate_episodes=7, fresh=22, play=play,
        imitation=ImitationConfig(FitConfig(900, 1e-3, weight_decay=0.05), batch=32),
        world_size=WorldSizeConfig(latent_channels=64),
        codec=CodecTrainingConfig(FitConfig(400, 2e-3, ema_decay=0.99), batch=32),
        world=WorldTrainingConfig(world), refine=WorldTrainingConfig(refine),
        grpo=replace(sizes.grpo, groups=12, temperature=0.8, max_resamples=3), keyframe_steps=48, iterations=(8, 8),
        monitor_every=(8, 8), monitor_starts=16, monitored_weight=2.5, check_every=8, check_starts=16,
        confusion_rollouts=32, imagined_rows=32,
    )  # fmt: skip


def _together(sizes: LoopConfig) -> LoopConfig:
    """One policy for several tasks of LIBERO: more play beside their rollouts, which a world model soon knows by heart,
    larger updates, and more of them from keyframes, since imagination of this picture is sound for some sixty frames.
    The base learns its few demonstrations to the end, so that what is gained later is not longer imitation of them
    (LOG.md: 15,000 steps more changed nothing; after 3,000 they still did).
    """
    deep = (0.4, 0.25, 0.15, 0.12, 0.08)
    fit = sizes.imitation.fit
    return replace(
        sizes, max_steps=min(sizes.max_steps, 120), demonstrations=4, rollouts=60, confronted=24, fresh=32,
        play=max(sizes.play, 120), imitation=replace(sizes.imitation, fit=replace(fit, steps=8000)),
        imitate_successes=replace(sizes.imitation, fit=replace(fit, steps=5000, learning_rate=5e-4)),
        imitate_imagined=True, imitate_last=True,
        world=replace(sizes.world, self_forcing=deep), refine=replace(sizes.refine, self_forcing=deep),
        grpo=replace(sizes.grpo, groups=24, max_resamples=2, warmup_iterations=2), keyframe_steps=64,
        keyframe_share=0.75, iterations=(4, 4), monitor_every=(4, 4), monitor_starts=12, monitor_acts=True,
        check_every=8, check_starts=4, confusion_rollouts=12,
    )  # fmt: skip
