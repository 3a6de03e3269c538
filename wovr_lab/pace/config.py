"""What a run is: every count, schedule and mechanism of the loop in one frozen object (scales.py has three of them).

Mechanisms are objects (context, mask, normaliser, starts by their share), so that an ablation is one argument:
`scale_config("demo", seed=0, keyframe_share=0.0)` is "without KIR".
"""

from __future__ import annotations

import math
from dataclasses import field
from typing import Annotated

from wovr_lab.errors import UserError
from wovr_lab.fields import Count, Distinct, Natural, NonNegative, Positive, Range, Share, Size, configuration
from wovr_lab.grpo.formulas import DualClip, MeanAndStd, NoDualClip, NoMask, Normaliser, SuccessMask
from wovr_lab.grpo.trainer import GRPOConfig
from wovr_lab.measure.gate import GateBounds
from wovr_lab.policy.imitation import ImitationConfig
from wovr_lab.real.domain import Domain
from wovr_lab.real.domains import domain_of
from wovr_lab.real.tabletop.tasks import TASKS
from wovr_lab.reward.training import RewardTrainingConfig
from wovr_lab.training import FitConfig
from wovr_lab.types import CHUNK
from wovr_lab.world.context import ContextBuilder
from wovr_lab.world.pixel_training import PixelTrainingConfig
from wovr_lab.world.training import CodecTrainingConfig, WorldTrainingConfig
from wovr_lab.world.transformer import WHOLE_WINDOW

SCALES = ("smoke", "demo", "full")


@configuration
class PolicySizeConfig:
    """Width and depth of the VLA."""

    hidden_size: Size = 128
    num_hidden_layers: Size = 4
    num_attention_heads: Size = 4


@configuration
class WorldSizeConfig:
    """Width and depth of a world model trained from scratch; a backbone brings its own."""

    num_attention_heads: Size = 6
    attention_head_dim: Size = 32
    ffn_dim: Size = 768
    num_layers: Size = 6
    codec_width: Size = 128
    latent_channels: Size = 32
    patch_size: tuple[Size, Size, Size] = WHOLE_WINDOW


@configuration
class PixelSizeConfig:
    """Width and depth of a world model in pixels; its frames' side is the run's."""

    grid: Size = 16
    width: Size = 64
    num_attention_heads: Size = 4
    attention_head_dim: Size = 32
    num_layers: Size = 3
    hidden: Size = 48
    states: bool = True  # told the robot's, where the domain describes one
    warping: bool = True
    action_channels: str = "both"
    hypotheses: Size = 1


@configuration
class LoopConfig:
    """The whole loop. Counts are per task unless they say otherwise; the defaults are the demo scale."""

    scale: str = "demo"
    seed: Natural = 0
    tasks: Annotated[tuple[str, ...], Distinct()] = tuple(TASKS)
    resolution: Annotated[int, Range(8, 4096)] = 32
    max_steps: Count = 48
    backbone: str | None = "backbone"  # a name in data/ or a folder; None trains from scratch
    # real data
    demonstrations: Count = 1
    demonstration_noise: NonNegative = 0.15
    examples: Annotated[int, Range(2)] = (
        32  # of the task done and nearly done: for reward, world model and RL's starts, never imitated
    )
    example_noise: NonNegative = 0.4
    example_ahead: Count = 3  # every second one is broken off at most so many actions before its success
    rollouts: Count = 60
    rollout_temperatures: Annotated[tuple[NonNegative, ...], Distinct()] = (1.0, 1.2)
    gate_episodes: Count = 10  # of each of the gate's six policies
    gate_noises: Annotated[tuple[NonNegative, ...], Distinct(0)] = (0.0, 0.4, 0.8)  # of the expert
    gate_groups: Count = 4  # starts from each of which the base explores as often as in a group of GRPO
    fresh: Count = 30
    play: Natural = 200  # episodes of task-agnostic play in all, so that fine-tuning does not forget
    rollout_weight: Positive = 2.5  # of a policy rollout against an episode of play, in world-model training
    fresh_weight: Positive = 5.0  # of a fresh rollout
    monitored_weight: NonNegative = (
        2.5  # of what the monitor executed before PACE; 0: the refinement learns nothing from it
    )
    confronted: Natural = (
        0  # rollouts that the base imagines and that are executed for real, for the reward to learn from
    )
    hold: Natural = 4
    budget: Count = 600  # real episodes, demonstrations aside
    # learning
    policy: PolicySizeConfig = field(default_factory=PolicySizeConfig)
    imitation: ImitationConfig = field(default_factory=lambda: ImitationConfig(FitConfig(450, 1e-3, weight_decay=0.05)))
    reward: RewardTrainingConfig = field(default_factory=lambda: RewardTrainingConfig(FitConfig(600, 2e-3)))
    reward_refresh: RewardTrainingConfig | None = field(  # on what the monitor executed, after each of its checks
        default_factory=lambda: RewardTrainingConfig(FitConfig(150, 1e-3, 20))
    )
    world_refresh: WorldTrainingConfig | PixelTrainingConfig | None = field(  # the same of the world model
        default_factory=lambda: WorldTrainingConfig(FitConfig(60, 2e-4, 20, ema_decay=0.95))
    )
    world_size: WorldSizeConfig | PixelSizeConfig = field(default_factory=WorldSizeConfig)
    codec: CodecTrainingConfig = field(
        default_factory=lambda: CodecTrainingConfig(FitConfig(1500, 2e-3, ema_decay=0.995), batch=32)
    )
    world: WorldTrainingConfig | PixelTrainingConfig = field(
        default_factory=lambda: WorldTrainingConfig(FitConfig(400, 3e-4, ema_decay=0.99))
    )
    refine: WorldTrainingConfig | PixelTrainingConfig = field(
        default_factory=lambda: WorldTrainingConfig(FitConfig(200, 2e-4, ema_decay=0.98))
    )
    context: ContextBuilder = field(default_factory=ContextBuilder)
    sampler_steps: Count = 1
    # interaction
    imitate_successes: ImitationConfig | None = None  # of demonstrations and own real ones, before each phase of RL
    imitate_imagined: bool = False  # these also in imagined pictures
    imitate_last: bool = False  # once more after the second phase; no check judges what comes of it
    grpo: GRPOConfig = field(default_factory=lambda: GRPOConfig(max_resamples=4))  # imagined groups cost nothing real
    mask: SuccessMask | NoMask = field(default_factory=SuccessMask)
    normaliser: Normaliser = field(default_factory=MeanAndStd)
    dual_clip: DualClip | NoDualClip = field(default_factory=DualClip)
    kl_coef: NonNegative = 0.0  # of the KL to the policy that a phase begins with; 0, the paper's, lets it go
    iterations: tuple[Natural, Natural] = (8, 8)  # before and after PACE
    monitor_every: tuple[Count, Count] = (4, 4)  # iterations between looks at whether imagined success is real
    monitor_starts: Count = 32  # a check, paid for; the checks choose the checkpoint
    monitor_acts: bool = False  # checks see the policy act for real, instead of executing what it imagines
    keyframe_share: Share = 0.5
    keyframe_steps: Count = 24  # actions imagined from a keyframe, at most
    # judging
    gate: GateBounds = field(default_factory=GateBounds)
    evaluation_starts: Count = 200
    evaluation_first_seed: Natural = 10_000
    check_every: Count = 4  # iterations between looks at real success, for the report only
    check_starts: Count = 25
    confusion_rollouts: Count = 50
    imagined_rows: Count = 64  # imagined at once outside GRPO; fixed, as the last bits depend on it

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise UserError(f"unknown scale {self.scale!r}; scales: {', '.join(SCALES)}")
        _ = self.real  # knows all tasks, or says which it does not
        if self.max_steps % CHUNK or self.keyframe_steps % CHUNK:
            raise UserError(f"max_steps and keyframe_steps must be multiples of {CHUNK}")
        if len({type(each) for each in (self.world, self.refine, self.world_refresh) if each is not None}) > 1:
            raise UserError(
                "world, refine and world_refresh train one model: "
                "give all a WorldTrainingConfig or all a PixelTrainingConfig"
            )
        allowed = self.budget * len(self.tasks)
        if self.real_episodes > allowed:
            raise UserError(
                f"this run would use {self.real_episodes} real episodes, its budget is {allowed} "
                f"({self.budget} a task); collect fewer or raise the budget"
            )

    @property
    def real(self) -> Domain:
        """The real world in which the tasks are."""
        return domain_of(self.tasks, self.resolution, self.max_steps)

    @property
    def gate_policies(self) -> int:
        """The base at its temperatures, the half-trained base, the expert at its noises."""
        return len(self.rollout_temperatures) + 1 + len(self.gate_noises)

    @property
    def keyframe_lead(self) -> int:
        """Actions before the usual success at which keyframes are cut: half of those that may be imagined from there,
        so that a policy slower than what it starts from can still succeed."""
        return self.keyframe_steps // 2

    def checks_initial_policy(self, number: int) -> bool:
        """Whether `improve_NUMBER` first looks at the policy that it is given: the best so far should not be lost by
        imitation. The base is no such policy, and what it can do is known."""
        return number == 2 and self.imitate_successes is not None

    def checks(self, number: int) -> int:
        """How often the monitor checks during `improve_NUMBER`, at most."""
        during = math.ceil(self.iterations[number - 1] / self.monitor_every[number - 1])
        return self.checks_initial_policy(number) + 1 + during

    @property
    def real_episodes(self) -> int:
        """Real episodes that the whole run will use beside the demonstrations, at most."""
        monitored = (self.checks(1) + self.checks(2)) * self.monitor_starts
        judged = self.gate_policies * self.gate_episodes + self.gate_groups * self.grpo.group_size
        return len(self.tasks) * (self.examples + self.rollouts + self.confronted + self.fresh + judged + monitored)
