"""LIBERO's presets, by scale, number of tasks and backbone. Nothing here changes an entry of another one.

64 pixels, the paper's 250 real trajectories a task. What keeps the simulator up with the policy, and noise shared by a
chunk's tokens, are not measured there yet.
"""

from __future__ import annotations

from wovr_lab.pace.config import (
    DataConfig,
    EvaluationConfig,
    FilteredBCConfig,
    GateConfig,
    LatentWorldConfig,
    MonitorConfig,
    PixelWorldConfig,
    RewardConfig,
    RLConfig,
    SFTConfig,
    WorldSizeConfig,
)
from wovr_lab.pace.presets.table import LATENT, PIXELS, OfficialLimit, Preset, WorldConfigs
from wovr_lab.pace.presets.tabletop import (
    FULL_PIXEL_REFINEMENT,
    FULL_PIXELS,
    FULL_REFINEMENT,
    FULL_REWARD,
    FULL_WORLD,
    SMOKE_BC,
    SMOKE_CODEC,
    SMOKE_PIXEL_WORLD,
    SMOKE_REWARD,
    SMOKE_SFT,
    SMOKE_SIZE,
    SMOKE_WORLD,
)
from wovr_lab.policy.exploration import IndependentNoise
from wovr_lab.policy.imitation import ImitationConfig
from wovr_lab.training import FitConfig
from wovr_lab.world.training import CodecTrainingConfig, WorldTrainingConfig

LIBERO_BACKBONE = "libero_backbone"
LIBERO_SIZE = WorldSizeConfig(latent_channels=64)
LIBERO_CODEC = CodecTrainingConfig(FitConfig(400, 2e-3, ema_decay=0.99), batch=32)
KNOWS_PLAY = (  # fine-tuning and refinement of a backbone
    FitConfig(800, 1e-3, 100, ema_decay=0.99, muon="blocks"),
    FitConfig(600, 6e-4, ema_decay=0.99, muon="blocks"),
)
FROM_NOISE = (FitConfig(2400, 2e-3, 100, ema_decay=0.995), FitConfig(800, 1e-3, ema_decay=0.99))  # has more to learn
DEEP = (0.4, 0.25, 0.15, 0.12, 0.08)  # shares of batches that go on from 0 to 4 imagined chunks
LIBERO_PIXELS = PixelWorldConfig(None, imagined_rows=32)
LIBERO_FULL_PIXELS = PixelWorldConfig(None, training=FULL_PIXELS, refinement=FULL_PIXEL_REFINEMENT)
LIBERO_SMOKE = Preset(
    resolution=64,
    max_steps=128,  # just leaves the expert time: a step costs 100 of the tabletop's
    data=DataConfig(
        demonstrations=2,
        examples=2,
        rollouts=2,
        gate_episodes=1,
        gate_groups=1,
        play=1,
        imagined_actions=1,
        imagined_actions_weight=1.0,
        budget=250,
    ),
    imitation=SMOKE_SFT,
    reward=RewardConfig(SMOKE_REWARD, refresh=None),
    gate=GateConfig(only_reports=True),
    rl=RLConfig(
        groups=2,
        group_size=2,
        max_resamples=2,
        noise=IndependentNoise(),
        minibatch=8,
        iterations=(1, 1),
        keyframe_steps=16,
        filtered_bc=SMOKE_BC,
        refinement_rollouts=2,
        monitor=MonitorConfig(every=1, starts=1, weight=1.0, only_reports=True),
    ),
    evaluation=EvaluationConfig(starts=2, check_every=2, check_starts=1, confusion_rollouts=1),
    worlds={
        LATENT: LatentWorldConfig(
            None, SMOKE_SIZE, SMOKE_CODEC, SMOKE_WORLD, SMOKE_WORLD, refresh=None, imagined_rows=4
        ),
        PIXELS: SMOKE_PIXEL_WORLD,
    },
)
ONE_DATA, ONE_DATA_FROM_NOISE = (
    DataConfig(
        demonstrations=16,
        demonstration_noise=0.25,
        examples=24,
        rollouts=90,
        rollout_temperatures=(0.5, 0.8),
        gate_episodes=7,
        gate_groups=1,
        play=play,
        budget=250,
    )
    for play in (40, 120)
)
ONE_SFT = SFTConfig(training=ImitationConfig(FitConfig(900, 1e-3, weight_decay=0.05), batch=32))
ONE_RL = RLConfig(
    groups=12,
    max_resamples=3,
    temperature=0.8,
    noise=IndependentNoise(),
    iterations=(8, 8),
    keyframe_steps=48,
    monitor=MonitorConfig(every=8, starts=16),
    refinement_rollouts=22,
)
ONE_EVALUATION = EvaluationConfig(starts=50, check_every=8, check_starts=16, confusion_rollouts=32)
# several tasks: more play beside their rollouts, which a world model soon knows by heart, larger updates, and more of
# them from keyframes, since imagination of this picture is sound for some sixty frames; the base learns its few
# demonstrations to the end, so that what is gained later is not longer imitation of them (LOG.md: 15,000 steps more
# changed nothing; after 3,000 they still did)
SEVERAL_DATA = DataConfig(
    demonstrations=4,
    demonstration_noise=0.25,
    examples=24,
    rollouts=60,
    rollout_temperatures=(0.5, 0.8),
    gate_episodes=7,
    gate_groups=1,
    play=120,
    imagined_actions=24,
    budget=250,
)
SEVERAL_SFT = SFTConfig(training=ImitationConfig(FitConfig(8000, 1e-3, weight_decay=0.05), batch=32))
SEVERAL_RL = RLConfig(
    groups=24,
    max_resamples=2,
    temperature=0.8,
    noise=IndependentNoise(),
    warmup_iterations=2,
    iterations=(4, 4),
    keyframe_steps=64,
    keyframe_share=0.75,
    refinement_rollouts=32,
    filtered_bc=FilteredBCConfig(
        ImitationConfig(FitConfig(5000, 5e-4, weight_decay=0.05), batch=32), in_imagination=True, after_last_round=True
    ),
    monitor=MonitorConfig(every=4, starts=12, act_in_real=True),
)
SEVERAL_EVALUATION = EvaluationConfig(starts=50, check_every=8, check_starts=4, confusion_rollouts=12)
FULL_DATA = DataConfig(examples=24, gate_episodes=6, gate_groups=1, play=60, budget=250)
FULL_RL = RLConfig(
    groups=32,
    noise=IndependentNoise(),
    iterations=(12, 12),
    keyframe_steps=64,
    monitor=MonitorConfig(every=3, starts=8),
    refinement_rollouts=40,
)
FULL_EVALUATION = EvaluationConfig(starts=50)
NO_REFRESH = RewardConfig(refresh=None)


def _demo_worlds(backbone: str | None, fits: tuple[FitConfig, FitConfig], **deep: tuple[float, ...]) -> WorldConfigs:
    """A latent world model from a backbone or from noise, and one in pixels from noise."""
    training, refinement = (WorldTrainingConfig(fit, **deep) for fit in fits)
    latent = LatentWorldConfig(
        backbone, LIBERO_SIZE, LIBERO_CODEC, training, refinement, refresh=None, imagined_rows=32
    )
    return {LATENT: latent, PIXELS: LIBERO_PIXELS}


def _full_worlds(backbone: str | None) -> WorldConfigs:
    latent = LatentWorldConfig(backbone, training=FULL_WORLD, refinement=FULL_REFINEMENT, refresh=None)
    return {LATENT: latent, PIXELS: LIBERO_FULL_PIXELS}


# half the official limit, in training and evaluation alike, is about twice what the expert takes on the tasks measured
HALF, SHORT, WHOLE = OfficialLimit(2), OfficialLimit(2, most=120), OfficialLimit()
ONE_FROM_NOISE = Preset(
    resolution=64,
    max_steps=HALF,
    data=ONE_DATA_FROM_NOISE,
    imitation=ONE_SFT,
    reward=NO_REFRESH,
    rl=ONE_RL,
    evaluation=ONE_EVALUATION,
    worlds=_demo_worlds(None, FROM_NOISE),
)
ONE_ON_TABLE = Preset(
    resolution=64,
    max_steps=HALF,
    data=ONE_DATA,
    imitation=ONE_SFT,
    reward=NO_REFRESH,
    rl=ONE_RL,
    evaluation=ONE_EVALUATION,
    worlds=_demo_worlds(LIBERO_BACKBONE, KNOWS_PLAY),
)
SEVERAL_FROM_NOISE = Preset(
    resolution=64,
    max_steps=SHORT,
    data=SEVERAL_DATA,
    imitation=SEVERAL_SFT,
    reward=NO_REFRESH,
    rl=SEVERAL_RL,
    evaluation=SEVERAL_EVALUATION,
    worlds=_demo_worlds(None, FROM_NOISE, self_forcing=DEEP),
)
SEVERAL_ON_TABLE = Preset(
    resolution=64,
    max_steps=SHORT,
    data=SEVERAL_DATA,
    imitation=SEVERAL_SFT,
    reward=NO_REFRESH,
    rl=SEVERAL_RL,
    evaluation=SEVERAL_EVALUATION,
    worlds=_demo_worlds(LIBERO_BACKBONE, KNOWS_PLAY, self_forcing=DEEP),
)
FULL_FROM_NOISE = Preset(
    resolution=64,
    max_steps=WHOLE,
    data=FULL_DATA,
    reward=RewardConfig(FULL_REWARD, None),
    rl=FULL_RL,
    evaluation=FULL_EVALUATION,
    worlds=_full_worlds(None),
)
FULL_ON_TABLE = Preset(
    resolution=64,
    max_steps=WHOLE,
    data=FULL_DATA,
    reward=RewardConfig(FULL_REWARD, None),
    rl=FULL_RL,
    evaluation=FULL_EVALUATION,
    worlds=_full_worlds(LIBERO_BACKBONE),
)
LIBERO = {  # by scale, whether the tasks are several, and whether all are on the table
    ("smoke", False, False): LIBERO_SMOKE,
    ("smoke", False, True): LIBERO_SMOKE,
    ("smoke", True, False): LIBERO_SMOKE,
    ("smoke", True, True): LIBERO_SMOKE,
    ("demo", False, False): ONE_FROM_NOISE,
    ("demo", False, True): ONE_ON_TABLE,
    ("demo", True, False): SEVERAL_FROM_NOISE,
    ("demo", True, True): SEVERAL_ON_TABLE,
    ("full", False, False): FULL_FROM_NOISE,
    ("full", False, True): FULL_ON_TABLE,
    ("full", True, False): FULL_FROM_NOISE,
    ("full", True, True): FULL_ON_TABLE,
}
