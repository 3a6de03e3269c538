"""What a preset is: all of a run but its seed, as one row of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wovr_lab.pace.config import (
    DataConfig,
    EvaluationConfig,
    GateConfig,
    LatentWorldConfig,
    PixelWorldConfig,
    RewardConfig,
    RLConfig,
    SFTConfig,
)
from wovr_lab.real.libero.sizes import official_limit
from wovr_lab.real.tabletop.tasks import TASKS
from wovr_lab.types import CHUNK

LATENT, PIXELS = WORLDS = ("latent", "pixels")  # world models as people name them
WorldConfigs = Mapping[str, LatentWorldConfig | PixelWorldConfig]


@dataclass(frozen=True)
class OfficialLimit:
    """LIBERO's own limit of steps divided by `divisor`, in whole chunks, `most` of them at most."""

    divisor: int = 1
    most: int | None = None

    def of(self, tasks: tuple[str, ...]) -> int:
        """The limit for these tasks."""
        steps = official_limit(tasks) // self.divisor
        return min(steps + -steps % CHUNK, self.most or steps + CHUNK)


@dataclass(frozen=True)
class Preset:
    """All of a run but its seed; the defaults are the tabletop's at the demo scale."""

    tasks: tuple[str, ...] = tuple(TASKS)  # unless others are asked for
    resolution: int = 32
    max_steps: int | OfficialLimit = 48
    data: DataConfig = field(default_factory=DataConfig)
    imitation: SFTConfig = field(default_factory=SFTConfig)
    reward: RewardConfig = field(default_factory=RewardConfig)
    gate: GateConfig = field(default_factory=GateConfig)
    rl: RLConfig = field(default_factory=RLConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    world: str = LATENT  # of `worlds`, unless another is asked for
    worlds: WorldConfigs = field(default_factory=dict)
