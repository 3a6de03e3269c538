"""The loop in pixels: what a scale changes to imagine in the pixel world model instead of the latent one.

In: a scale's name. Out: settings for `scale_config`, as `scale_config("demo", **in_pixels("demo"))`: a whole table, of
which a user may change entries.
"""

from __future__ import annotations

from typing import Any

from wovr_lab.errors import UserError
from wovr_lab.pace.config import PixelSizeConfig
from wovr_lab.training import FitConfig
from wovr_lab.world.context import ContextBuilder
from wovr_lab.world.pixel_model import NOISE
from wovr_lab.world.pixel_training import PixelTrainingConfig
from wovr_lab.world.state_training import StateTrainingConfig

MATRICES = "blocks matrix"  # what Muon moves: the transformer's blocks and the convolutions' kernels


def in_pixels(scale: str, backbone: str | None = None) -> dict[str, Any]:
    """Settings by name; without a backbone (a name in data/ or a folder) the world model learns from noise. Raises
    UserError on an unknown scale."""
    if scale not in TRAININGS:
        raise UserError(f"unknown scale {scale!r}; scales: {', '.join(TRAININGS)}")
    world, refine, refresh = TRAININGS[scale]
    size = PixelSizeConfig() if scale != "smoke" else PixelSizeConfig(16, 16, 2, 16, 1, 16)
    context = ContextBuilder(noise=NOISE)
    return {
        "backbone": backbone, "world_size": size, "context": context,
        "world": world, "refine": refine, "world_refresh": refresh,
    }  # fmt: skip


def _tuning(steps: int, rate: float, states: int) -> PixelTrainingConfig:
    """From weights that know play: deep at once, the colours' share at its full height."""
    return PixelTrainingConfig(
        FitConfig(steps, rate, 20, ema_decay=0.99, muon=MATRICES),
        ramp=0.001,
        histogram_share=4.0,
        states=StateTrainingConfig(FitConfig(states, 1.5e-3, weight_decay=1e-4, final_fraction=0.02)),
    )


_SMOKE = PixelTrainingConfig(
    FitConfig(4, 1e-3, 2, ema_decay=0.9, checkpoint_every=2, log_every=2), batch=4,
    states=StateTrainingConfig(FitConfig(4, 1e-3, 2, checkpoint_every=2, log_every=2), batch=16),
)  # fmt: skip
_REFRESH = _tuning(120, 6e-4, 80)
TRAININGS = {  # at first, by PACE, after each check of the monitor
    "smoke": (_SMOKE, _SMOKE, _SMOKE),
    "demo": (_tuning(500, 8e-4, 300), _tuning(250, 6e-4, 150), _REFRESH),
    "full": (_tuning(3000, 8e-4, 600), _tuning(1200, 6e-4, 300), _REFRESH),
}
