"""What a run is: every count, schedule and mechanism of the loop in one frozen object, at three scales.

Mechanisms are objects (context, mask, normaliser, starts by their share), so that an ablation is one argument:
`scale_config("demo", seed=0, keyframe_share=0.0)` is "without KIR".
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from wovr_lab.errors import UserError
from wovr_lab.grpo.formulas import DualClip, Mask, MeanAndStd, NoDualClip, Normaliser, SuccessMask
from wovr_lab.grpo.trainer import GRPOConfig
from wovr_lab.measure.gate import GateBounds
from wovr_lab.policy.imitation import ImitationConfig
from wovr_lab.real.tasks import TASKS
from wovr_lab.real.world import LIBERO, TABLETOP, RealWorld, is_libero, official_limit, real_world, tasks_of
from wovr_lab.reward.training import RewardTraining
from wovr_lab.runs import read_json
from wovr_lab.training import FitConfig
from wovr_lab.types import CHUNK
from wovr_lab.world.context import ContextBuilder
from wovr_lab.world.training import CodecTraining, WorldTraining
from wovr_lab.world.transformer import WHOLE_WINDOW

SCALES = ("smoke", "demo", "full")


@dataclass(frozen=True)
class PolicySize:
    """Width and depth of the VLA."""

    hidden_size: int = 128
    num_hidden_layers: int = 4
    num_attention_heads: int = 4


@dataclass(frozen=True)
class WorldSize:
    """Width and depth of a world model trained from scratch; a backbone brings its own."""

    num_attention_heads: int = 6
    attention_head_dim: int = 32
    ffn_dim: int = 768
    num_layers: int = 6
    codec_width: int = 128
    latent_channels: int = 32
    patch_size: tuple[int, int, int] = WHOLE_WINDOW


@dataclass(frozen=True)
class LoopConfig:
    """The whole loop. Counts are per task unless they say otherwise; the defaults are the demo scale."""

    scale: str = "demo"
    seed: int = 0
    tasks: tuple[str, ...] = tuple(TASKS)
    resolution: int = 32
    max_steps: int = 48
    backbone: str | None = "backbone"  # a name in data/ or a folder; None trains from scratch
    # real data
    demonstrations: int = 1
    demonstration_noise: float = 0.15
    examples: int = 32  # of the task done and nearly done: for reward, world model and RL's starts, never imitated
    example_noise: float = 0.4
    example_ahead: int = 3  # every second one is broken off at most so many actions before its success
    rollouts: int = 60
    rollout_temperatures: tuple[float, ...] = (1.0, 1.2)
    gate_episodes: int = 10  # of each of the gate's six policies
    gate_noises: tuple[float, ...] = (0.0, 0.4, 0.8)  # of the expert
    fresh: int = 30
    play: int = 200  # episodes of task-agnostic play in all, so that fine-tuning does not forget
    rollout_weight: float = 2.5  # of a policy rollout against an episode of play, in world-model training
    fresh_weight: float = 5.0  # of a fresh rollout
    monitored_weight: float = 0.0  # of what the monitor executed before PACE; 0: the refinement learns nothing from it
    hold: int = 4
    budget: int = 600  # real episodes, demonstrations aside
    # learning
    policy: PolicySize = field(default_factory=PolicySize)
    imitation: ImitationConfig = field(default_factory=lambda: ImitationConfig(FitConfig(450, 1e-3, weight_decay=0.05)))
    reward: RewardTraining = field(default_factory=lambda: RewardTraining(FitConfig(600, 2e-3)))
    world_size: WorldSize = field(default_factory=WorldSize)
    codec: CodecTraining = field(
        default_factory=lambda: CodecTraining(FitConfig(1500, 2e-3, ema_decay=0.995), batch=32)
    )
    world: WorldTraining = field(default_factory=lambda: WorldTraining(FitConfig(400, 3e-4, ema_decay=0.99)))
    refine: WorldTraining = field(default_factory=lambda: WorldTraining(FitConfig(200, 2e-4, ema_decay=0.98)))
    context: ContextBuilder = field(default_factory=ContextBuilder)
    sampler_steps: int = 1
    # interaction
    grpo: GRPOConfig = field(default_factory=lambda: GRPOConfig(most_draws=4))  # imagined groups cost nothing real
    mask: Mask = field(default_factory=SuccessMask)
    normaliser: Normaliser = field(default_factory=MeanAndStd)
    dual_clip: DualClip | NoDualClip = field(default_factory=DualClip)
    anchor_coefficient: float = 0.0  # of the KL to the policy that a phase begins with; 0, the paper's, lets it go
    iterations: tuple[int, int] = (8, 8)  # before and after PACE
    monitor_every: tuple[int, int] = (4, 4)  # iterations between looks at whether imagined success is real
    monitor_starts: int = 32  # a look, paid for; the looks choose the checkpoint
    keyframe_share: float = 0.5
    keyframe_steps: int = 24  # actions imagined from a keyframe, at most
    # judging
    gate: GateBounds = field(default_factory=GateBounds)
    evaluation_starts: int = 200
    evaluation_first_seed: int = 10_000
    check_every: int = 4  # iterations between looks at real success, for the report only
    check_starts: int = 25
    confusion_rollouts: int = 50
    imagined_rows: int = 64  # imagined at once outside GRPO; fixed, as the last bits depend on it

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise UserError(f"unknown scale {self.scale!r}; scales: {', '.join(SCALES)}")
        _ = self.real  # knows all tasks, or says which it does not
        counts = (
            self.demonstrations, self.rollouts, self.gate_episodes, self.fresh, self.evaluation_starts,
            *self.monitor_every, self.monitor_starts,
        )  # fmt: skip
        if not self.tasks or min(counts) < 1 or self.examples < 2:
            raise UserError(
                f"a run needs tasks, positive counts and two examples or more, not {self.tasks}, {counts} and "
                f"{self.examples}"
            )
        if self.max_steps % CHUNK or self.keyframe_steps % CHUNK:
            raise UserError(f"max_steps and keyframe_steps must be multiples of {CHUNK}")
        if not 0 <= self.keyframe_share <= 1 or self.anchor_coefficient < 0:
            raise UserError(
                f"keyframe_share {self.keyframe_share} must be between 0 and 1, anchor_coefficient "
                f"{self.anchor_coefficient} not negative"
            )
        allowed = self.budget * len(self.tasks)
        if self.real_episodes > allowed:
            raise UserError(
                f"this run would use {self.real_episodes} real episodes, its budget is {allowed} "
                f"({self.budget} a task); collect fewer or raise the budget"
            )

    @property
    def real(self) -> RealWorld:
        """The real world in which the tasks are."""
        return real_world(self.tasks, self.resolution, self.max_steps)

    @property
    def gate_policies(self) -> int:
        """The base at its temperatures, the half-trained base, the expert at its noises."""
        return len(self.rollout_temperatures) + 1 + len(self.gate_noises)

    @property
    def keyframe_lead(self) -> int:
        """Actions before the usual success at which keyframes are cut: half of those that may be imagined from there,
        so that a policy slower than what it starts from can still succeed."""
        return self.keyframe_steps // 2

    def looks(self, number: int) -> int:
        """How often the monitor looks during `improve_NUMBER`, at most."""
        return 1 + math.ceil(self.iterations[number - 1] / self.monitor_every[number - 1])

    @property
    def real_episodes(self) -> int:
        """Real episodes that the whole run will use beside the demonstrations, at most."""
        monitored = (self.looks(1) + self.looks(2)) * self.monitor_starts
        judged = self.gate_policies * self.gate_episodes
        return len(self.tasks) * (self.examples + self.rollouts + self.fresh + judged + monitored)


def scale_config(scale: str, seed: int = 0, **changes: Any) -> LoopConfig:
    """The configuration of a scale, with changes by field name; LIBERO's tasks bring their own sizes and limits.

    Raises UserError on an unknown scale or field.
    """
    names = {entry.name for entry in fields(LoopConfig)}
    unknown = sorted(set(changes) - names)
    if unknown:
        raise UserError(f"unknown setting {unknown[0]!r}; settings: {', '.join(sorted(names))}")
    if scale == "smoke":
        base = _smoke()
    elif scale == "full":
        base = _full()
    else:
        base = LoopConfig(scale=scale)
    tasks = changes.get("tasks", ())
    return replace(_on_libero(base, tasks) if is_libero(tasks) else base, seed=seed, **changes)


def config_in(environment: str, scale: str, seed: int = 0) -> LoopConfig:
    """A scale's configuration in an environment as people name it. Raises UserError on unknown names."""
    return scale_config(scale, seed, **({} if environment == TABLETOP else {"tasks": tasks_of(environment)}))


def config_of(folder: Path) -> LoopConfig:
    """The configuration a run was made with. Raises UserError if there is none, or if it was changed from Python."""
    found = read_json(folder / "config.json")
    if not isinstance(found, dict) or not {"scale", "seed"} <= found.keys():
        raise UserError(f"{folder} is no run folder (its config.json names no scale and seed); choose another folder")
    tasks = found.get("tasks")
    names = ",".join(map(str, tasks)) if isinstance(tasks, list) else ""
    config = config_in(LIBERO + names if "/" in names else TABLETOP, found["scale"], found["seed"])
    if described(config) != found:
        raise UserError(
            f"{folder} was made with other settings than today's {found['scale']} scale: from Python (resume it there "
            "with wovr_lab.pace.run_loop) or by another version (use that one, or run it anew)"
        )
    return config


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
        fresh=2,
        play=2,
        policy=PolicySize(32, 1, 2),
        imitation=ImitationConfig(FitConfig(20, 1e-3, 4, checkpoint_every=6, log_every=5), batch=16),
        reward=RewardTraining(FitConfig(20, 2e-3, 4, checkpoint_every=6, log_every=5), batch=30),
        world_size=WorldSize(2, 16, 64, 1, 32, 8),
        codec=CodecTraining(fast, batch=8),
        world=WorldTraining(fast, batch=8),
        refine=WorldTraining(fast, batch=8),
        sampler_steps=1,
        grpo=GRPOConfig(groups=2, group_size=2, most_draws=2, minibatch=8),
        iterations=(2, 2),
        monitor_every=(1, 1),
        monitor_starts=2,
        monitored_weight=1.0,
        evaluation_starts=4,
        check_every=2,
        check_starts=2,
        confusion_rollouts=2,
        imagined_rows=4,
    )


def _full() -> LoopConfig:
    """Eighty minutes on two cores: the headline numbers."""
    return LoopConfig(
        scale="full", rollouts=150, gate_episodes=15, fresh=80, monitored_weight=2.5,
        world=WorldTraining(FitConfig(4000, 5e-4, ema_decay=0.998)),
        refine=WorldTraining(FitConfig(1500, 3e-4, ema_decay=0.998)),
        reward=RewardTraining(FitConfig(1500, 2e-3)), grpo=GRPOConfig(groups=32, most_draws=4),
        iterations=(12, 12), monitor_every=(3, 3), monitor_starts=24,
    )  # fmt: skip


def _on_libero(base: LoopConfig, tasks: tuple[str, ...]) -> LoopConfig:
    """A scale's sizes for LIBERO: 64 pixels, the official limit, the paper's 250 real trajectories a task, no backbone.

    At smoke scale the limit just leaves the expert time, and less is judged: a step costs 100 of the tabletop's.
    """
    sizes = replace(
        base, tasks=tasks, resolution=64, max_steps=official_limit(tasks), backbone=None, evaluation_starts=50,
        examples=min(base.examples, 24), gate_episodes=min(base.gate_episodes, 6), fresh=min(base.fresh, 40),
        rollouts=min(base.rollouts, 60), monitor_starts=min(base.monitor_starts, 8), play=min(base.play, 60),
        keyframe_steps=64, budget=250,
    )  # fmt: skip
    if base.scale == "demo":
        return _demo_on_libero(sizes)
    if base.scale == "full":
        return sizes
    return replace(
        sizes, max_steps=128, rollouts=2, play=1, evaluation_starts=2, iterations=(1, 1), monitor_starts=1,
        check_starts=1, confusion_rollouts=1, keyframe_steps=16,
    )  # fmt: skip


def _demo_on_libero(sizes: LoopConfig) -> LoopConfig:
    """One task in, by estimate, about five hours of one core, most of them for the world model. Half the official limit
    holds for training and evaluation alike; it is about twice what the expert takes on the task measured."""
    half = sizes.max_steps // 2
    return replace(
        sizes, max_steps=half + -half % CHUNK, demonstrations=16, demonstration_noise=0.25, rollouts=90,
        rollout_temperatures=(0.5, 0.8), gate_episodes=7, fresh=30, play=120,
        imitation=ImitationConfig(FitConfig(900, 1e-3, weight_decay=0.05), batch=32),
        world_size=WorldSize(latent_channels=64),
        codec=CodecTraining(FitConfig(400, 2e-3, ema_decay=0.99), batch=32),
        world=WorldTraining(FitConfig(2400, 2e-3, 100, ema_decay=0.995)),
        refine=WorldTraining(FitConfig(500, 5e-4, ema_decay=0.98)),
        grpo=GRPOConfig(groups=12, temperature=0.8, most_draws=3), keyframe_steps=48, iterations=(8, 8),
        monitor_every=(8, 8), monitor_starts=16, check_every=8, check_starts=16, confusion_rollouts=32,
        imagined_rows=32,
    )  # fmt: skip


def described(value: Any) -> Any:
    """A configuration as JSON, mechanisms by their class names."""
    if is_dataclass(value) and not isinstance(value, type):
        entries = {entry.name: described(getattr(value, entry.name)) for entry in fields(value)}
        return {"kind": type(value).__name__} | entries
    if isinstance(value, list | tuple):
        return [described(entry) for entry in value]
    return value
