"""The tabletop's presets: smoke, demo and full. Nothing here changes an entry of another one."""

from __future__ import annotations

from wovr_lab.pace.config import (
    DataConfig,
    EvaluationConfig,
    FilteredBCConfig,
    GateConfig,
    LatentWorldConfig,
    MonitorConfig,
    PixelSizeConfig,
    PixelWorldConfig,
    PolicyConfig,
    RewardConfig,
    RLConfig,
    SFTConfig,
    WorldSizeConfig,
    pixel_tuning,
)
from wovr_lab.pace.presets.table import LATENT, PIXELS, Preset
from wovr_lab.policy.imitation import ImitationConfig
from wovr_lab.reward.training import RewardTrainingConfig
from wovr_lab.training import FitConfig
from wovr_lab.world.pixel_training import PixelTrainingConfig
from wovr_lab.world.state_training import StateTrainingConfig
from wovr_lab.world.training import CodecTrainingConfig, WorldTrainingConfig

FAST = FitConfig(6, 1e-3, 2, ema_decay=0.9, checkpoint_every=2, log_every=2)
SMOKE_SIZE = WorldSizeConfig(2, 16, 64, 1, 32, 8)
SMOKE_SFT = SFTConfig(
    PolicyConfig(32, 1, 2), ImitationConfig(FitConfig(20, 1e-3, 4, checkpoint_every=6, log_every=5), batch=16)
)
SMOKE_REWARD = RewardTrainingConfig(FitConfig(20, 2e-3, 4, checkpoint_every=6, log_every=5), batch=30)
SMOKE_CODEC, SMOKE_WORLD = CodecTrainingConfig(FAST, batch=8), WorldTrainingConfig(FAST, batch=8)
SMOKE_PIXELS = PixelTrainingConfig(
    FitConfig(4, 1e-3, 2, ema_decay=0.9, checkpoint_every=2, log_every=2),
    batch=4,
    states=StateTrainingConfig(FitConfig(4, 1e-3, 2, checkpoint_every=2, log_every=2), batch=16),
)
SMOKE_BC = FilteredBCConfig(ImitationConfig(FitConfig(3, 1e-3, 1), batch=4), in_imagination=True, after_last_round=True)
SMOKE_PIXEL_WORLD = PixelWorldConfig(
    None, PixelSizeConfig(16, 16, 2, 16, 1, 16), SMOKE_PIXELS, SMOKE_PIXELS, SMOKE_PIXELS, imagined_rows=4
)
FULL_REWARD = RewardTrainingConfig(FitConfig(1500, 2e-3))
FULL_WORLD = WorldTrainingConfig(FitConfig(4000, 5e-4, ema_decay=0.998))
FULL_REFINEMENT = WorldTrainingConfig(FitConfig(1500, 3e-4, ema_decay=0.998))
FULL_PIXELS, FULL_PIXEL_REFINEMENT = pixel_tuning(3000, 8e-4, 600), pixel_tuning(1200, 6e-4, 300)

TABLETOP = {
    "smoke": Preset(  # every stage in seconds, for tests; nothing is learnt
        tasks=("push_red", "red_on_plate"),
        data=DataConfig(
            demonstrations=2,
            examples=2,
            rollouts=3,
            gate_episodes=1,
            gate_groups=2,
            play=2,
            imagined_actions=1,
            imagined_actions_weight=1.0,
        ),
        imitation=SMOKE_SFT,
        reward=RewardConfig(SMOKE_REWARD, RewardTrainingConfig(FitConfig(4, 1e-3, 2), batch=12)),
        gate=GateConfig(only_reports=True),
        rl=RLConfig(
            groups=2,
            group_size=2,
            max_resamples=2,
            minibatch=8,
            iterations=(2, 2),
            filtered_bc=SMOKE_BC,
            monitor=MonitorConfig(every=1, starts=2, weight=1.0, only_reports=True),
            refinement_rollouts=2,
        ),
        evaluation=EvaluationConfig(starts=4, check_every=2, check_starts=2, confusion_rollouts=2),
        worlds={
            LATENT: LatentWorldConfig(
                None,
                SMOKE_SIZE,
                SMOKE_CODEC,
                SMOKE_WORLD,
                SMOKE_WORLD,
                refresh=WorldTrainingConfig(FitConfig(2, 1e-3, 2), batch=8),
                imagined_rows=4,
            ),
            PIXELS: SMOKE_PIXEL_WORLD,
        },
    ),
    "demo": Preset(world=PIXELS, worlds={LATENT: LatentWorldConfig(), PIXELS: PixelWorldConfig()}),
    "full": Preset(  # eighty minutes on two cores: the headline numbers
        data=DataConfig(rollouts=150, gate_episodes=15),
        reward=RewardConfig(FULL_REWARD),
        rl=RLConfig(groups=32, iterations=(12, 12), monitor=MonitorConfig(every=3, starts=20), refinement_rollouts=80),
        world=PIXELS,
        worlds={
            LATENT: LatentWorldConfig(training=FULL_WORLD, refinement=FULL_REFINEMENT),
            PIXELS: PixelWorldConfig(training=FULL_PIXELS, refinement=FULL_PIXEL_REFINEMENT),
        },
    ),
}
