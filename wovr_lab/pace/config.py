"""What a run is: each part of the loop with its counts, schedules and mechanisms, in one frozen object.

Mechanisms are objects (context, mask, normaliser, starts by their share), so that an ablation is one setting:
`rl.keyframe_share=0` is "without KIR". `presets` holds whole configurations; the defaults here are the demo's.
"""

from __future__ import annotations

import math
from dataclasses import field
from pathlib import Path
from typing import Annotated

from wovr_lab.errors import UserError
from wovr_lab.fields import Count, Distinct, Natural, NonNegative, Range, Share, Size, configuration
from wovr_lab.grpo.formulas import DualClip, MeanAndStd, NoDualClip, NoMask, Normaliser, SuccessMask
from wovr_lab.grpo.trainer import GRPOConfig
from wovr_lab.measure.gate import GateBounds
from wovr_lab.pace.settings import from_dict, read_config
from wovr_lab.policy.imitation import ImitationConfig
from wovr_lab.real.domain import Domain
from wovr_lab.real.domains import domain_of
from wovr_lab.real.tabletop.tasks import TASKS
from wovr_lab.reward.training import RewardTrainingConfig
from wovr_lab.training import FitConfig
from wovr_lab.types import CHUNK
from wovr_lab.world.context import ContextBuilder
from wovr_lab.world.pixel_model import NOISE
from wovr_lab.world.pixel_training import PixelTrainingConfig
from wovr_lab.world.state_training import StateTrainingConfig
from wovr_lab.world.training import CodecTrainingConfig, WorldTrainingConfig
from wovr_lab.world.transformer import WHOLE_WINDOW

SCALES = ("smoke", "demo", "full")
GATE_NOISES = (0.0, 0.4, 0.8)  # of the expert's in the gate
MUON = "blocks matrix"  # what it moves in pixels: the transformer's blocks and the convolutions' kernels


@configuration
class DataConfig:
    """Real episodes, a task unless said otherwise."""

    demonstrations: Count = 1
    demonstration_noise: NonNegative = 0.15
    # of the task done and nearly done: for reward, world model and RL's starts, never imitated
    examples: Annotated[int, Range(2)] = 32
    rollouts: Count = 60
    rollout_temperatures: Annotated[tuple[NonNegative, ...], Distinct()] = (1.0, 1.2)
    gate_episodes: Count = 10  # of each of the gate's policies
    gate_groups: Count = 4  # starts from each of which the base explores as often as in a group of GRPO
    play: Natural = 200  # episodes of task-agnostic play in all, so that fine-tuning does not forget
    imagined_actions: Natural = 0  # rollouts that the base imagines and that are executed for real
    imagined_actions_weight: NonNegative = 2.5  # of one of those against an episode of play, in world-model training
    hold_after_success: Natural = 4
    budget: Count = 600  # real episodes, demonstrations aside


@configuration
class PolicyConfig:
    """Width and depth of the VLA."""

    hidden_size: Size = 128
    num_hidden_layers: Size = 4
    num_attention_heads: Size = 4


@configuration
class SFTConfig:
    """The base policy: its size, and how it imitates the demonstrations."""

    policy: PolicyConfig = field(default_factory=PolicyConfig)
    training: ImitationConfig = field(default_factory=lambda: ImitationConfig(FitConfig(450, 1e-3, weight_decay=0.05)))


@configuration
class RewardConfig:
    """The success classifier: at first and after PACE, and after each of the monitor's checks."""

    training: RewardTrainingConfig = field(default_factory=lambda: RewardTrainingConfig(FitConfig(600, 2e-3)))
    refresh: RewardTrainingConfig | None = field(default_factory=lambda: RewardTrainingConfig(FitConfig(150, 1e-3, 20)))


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
class LatentWorldConfig:
    """The world model in a codec's latents: at first, by PACE, after each of the monitor's checks."""

    backbone: str | None = "backbone"  # a name in data/ or a folder; None trains from scratch
    size: WorldSizeConfig = field(default_factory=WorldSizeConfig)
    codec: CodecTrainingConfig = field(
        default_factory=lambda: CodecTrainingConfig(FitConfig(1500, 2e-3, ema_decay=0.995), batch=32)
    )
    training: WorldTrainingConfig = field(
        default_factory=lambda: WorldTrainingConfig(FitConfig(400, 3e-4, ema_decay=0.99))
    )
    refinement: WorldTrainingConfig = field(
        default_factory=lambda: WorldTrainingConfig(FitConfig(200, 2e-4, ema_decay=0.98))
    )
    refresh: WorldTrainingConfig | None = field(
        default_factory=lambda: WorldTrainingConfig(FitConfig(60, 2e-4, 20, ema_decay=0.95))
    )
    context: ContextBuilder = field(default_factory=ContextBuilder)
    sampler_steps: Count = 1
    imagined_rows: Count = 64  # imagined at once outside GRPO; fixed, as the last bits depend on it


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


def pixel_tuning(steps: int, learning_rate: float, state_steps: int) -> PixelTrainingConfig:
    """From weights that know play: deep at once, the colours' share at its full height."""
    return PixelTrainingConfig(
        FitConfig(steps, learning_rate, 20, ema_decay=0.99, muon=MUON),
        ramp=0.001,
        histogram_share=4.0,
        states=StateTrainingConfig(FitConfig(state_steps, 1.5e-3, weight_decay=1e-4, final_fraction=0.02)),
    )


@configuration
class PixelWorldConfig:
    """The world model in pixels: at first, by PACE, after each of the monitor's checks."""

    backbone: str | None = "pixel_backbone"  # a name in data/ or a folder; None trains from scratch
    size: PixelSizeConfig = field(default_factory=PixelSizeConfig)
    training: PixelTrainingConfig = field(default_factory=lambda: pixel_tuning(500, 8e-4, 300))
    refinement: PixelTrainingConfig = field(default_factory=lambda: pixel_tuning(250, 6e-4, 150))
    refresh: PixelTrainingConfig | None = field(default_factory=lambda: pixel_tuning(120, 6e-4, 80))
    context: ContextBuilder = field(default_factory=lambda: ContextBuilder(noise=NOISE))
    sampler_steps: Count = 1
    imagined_rows: Count = 64  # imagined at once outside GRPO; fixed, as the last bits depend on it


@configuration
class GateConfig(GateBounds):
    """What RL in imagination needs of its simulator."""

    only_reports: bool = False  # RL starts whatever it says


@configuration
class MonitorConfig:
    """How often RL is checked against reality, at the budget's expense; the checks choose the policy that is kept."""

    every: Count = 4  # iterations
    starts: Count = 32  # a task and check
    act_in_real: bool = False  # the policy acts for real, instead of what it imagines being executed
    weight: NonNegative = 2.5  # of an episode in world-model training afterwards; 0: nothing learns from these
    only_reports: bool = False  # RL goes on whatever it says


@configuration
class FilteredBCConfig:
    """Imitation of what really succeeded, the demonstrations and the policies' own, before each round of RL."""

    training: ImitationConfig
    in_imagination: bool = False  # in imagined pictures, too
    after_last_round: bool = False  # once more at the end; no check sees what comes of it


@configuration
class RLConfig(GRPOConfig):
    """Masked GRPO in imagination: its rounds, where they start, what they are checked by; between them PACE."""

    max_resamples: Count = 4  # imagined groups cost nothing real
    iterations: tuple[Natural, ...] = (8, 8)  # of each round; between two rounds PACE refines the simulator
    mask: SuccessMask | NoMask = field(default_factory=SuccessMask)
    normaliser: Normaliser = field(default_factory=MeanAndStd)
    dual_clip: DualClip | NoDualClip = field(default_factory=DualClip)
    kl_coef: NonNegative = 0.0  # of the KL to the policy that a round begins with; 0, the paper's, lets it go
    keyframe_share: Share = 0.5
    keyframe_steps: Count = 24  # actions imagined from a keyframe, at most
    filtered_bc: FilteredBCConfig | None = None
    monitor: MonitorConfig = field(default_factory=MonitorConfig)
    refinement_rollouts: Count = 30  # a task, of the improved policy, from which PACE refines the simulator

    def __post_init__(self) -> None:
        if not self.iterations:
            raise UserError("rl.iterations is (); give the number of updates of one round or more, such as [8, 8]")
        if self.keyframe_steps % CHUNK:
            raise UserError(f"rl.keyframe_steps is {self.keyframe_steps}; it must be a multiple of {CHUNK}")

    @property
    def keyframe_lead(self) -> int:
        """Actions before the usual success at which keyframes are cut: half of those that may be imagined from there,
        so that a policy slower than what it starts from can still succeed."""
        return self.keyframe_steps // 2

    def checks_initial_policy(self, number: int) -> bool:
        """Whether round `number` first checks the policy that it is given: the best so far should not be lost by
        imitation. The base is no such policy, and what it can do is known."""
        return number > 1 and self.filtered_bc is not None

    def most_checks(self, number: int) -> int:
        """How often the monitor checks during round `number`, at most."""
        during = math.ceil(self.iterations[number - 1] / self.monitor.every)
        return self.checks_initial_policy(number) + 1 + during


@configuration
class EvaluationConfig:
    """Held-out starts a task, and what is looked at for the report alone: nothing is chosen by it."""

    starts: Count = 200
    check_every: Count = 4  # iterations between measurements of real success
    check_starts: Count = 25
    confusion_rollouts: Count = 50  # imagined, then executed for real


@configuration
class RunConfig:
    """The whole loop."""

    scale: str = "demo"  # of the preset that it was made from, by which results are pooled
    seed: Natural = 0
    tasks: Annotated[tuple[str, ...], Distinct()] = tuple(TASKS)
    resolution: Annotated[int, Range(8, 4096)] = 32
    max_steps: Count = 48
    data: DataConfig = field(default_factory=DataConfig)
    imitation: SFTConfig = field(default_factory=SFTConfig)
    reward: RewardConfig = field(default_factory=RewardConfig)
    world: LatentWorldConfig | PixelWorldConfig = field(default_factory=LatentWorldConfig)
    gate: GateConfig = field(default_factory=GateConfig)
    rl: RLConfig = field(default_factory=RLConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise UserError(f"unknown scale {self.scale!r}; scales: {', '.join(SCALES)}")
        _ = self.real  # knows all tasks, or says which it does not
        if self.max_steps % CHUNK:
            raise UserError(f"max_steps is {self.max_steps}; it must be a multiple of {CHUNK}")
        allowed = self.data.budget * len(self.tasks)
        if self.real_episodes > allowed:
            raise UserError(
                f"this run would use {self.real_episodes} real episodes, its budget is {allowed} "
                f"({self.data.budget} a task); collect fewer or raise the budget"
            )

    @property
    def real(self) -> Domain:
        """The real world in which the tasks are."""
        return domain_of(self.tasks, self.resolution, self.max_steps)

    @property
    def gate_policies(self) -> int:
        """The base at its temperatures, the half-trained base, the expert at its noises."""
        return len(self.data.rollout_temperatures) + 1 + len(GATE_NOISES)

    @property
    def real_episodes(self) -> int:
        """Real episodes that the whole run will use beside the demonstrations, at most."""
        data, rl = self.data, self.rl
        rounds = range(1, len(rl.iterations) + 1)
        collected = data.examples + data.rollouts + data.imagined_actions + (len(rounds) - 1) * rl.refinement_rollouts
        gate = self.gate_policies * data.gate_episodes + data.gate_groups * rl.group_size
        checks = sum(map(rl.most_checks, rounds)) * rl.monitor.starts
        return len(self.tasks) * (collected + gate + checks)


def load_config(folder: Path) -> RunConfig:
    """The configuration a run was made with, however it was chosen. Raises UserError if there is none, or if it is of
    another version that had settings which this one does not know."""
    return from_dict(RunConfig, read_config(folder), f"{folder}/config.json")
