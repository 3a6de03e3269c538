"""The pixel world model's mechanisms taken away one at a time, and what each is worth at equal steps from noise.

In: play, held-out rollouts with simulator states. Out: one row a variant and seed: picture error where something moves,
the task's cube, the imagined hand, cubes that vanish. All variants see the same batches. Weights are kept in `out`, so
that a stopped ablation goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from wovr_lab.errors import UserError
from wovr_lab.measure.tabletop.closed_loop import closed_loop
from wovr_lab.measure.tabletop.probes import StateProbe
from wovr_lab.pace.config import LoopConfig, PixelSizeConfig
from wovr_lab.pace.learning import new_pixel_world
from wovr_lab.runs import Metrics, write_json
from wovr_lab.seeding import seed_of, stream
from wovr_lab.types import Episode
from wovr_lab.world.context import ContextBuilder
from wovr_lab.world.learning import learn_world
from wovr_lab.world.pixel_model import NOISE, PixelWorldModel
from wovr_lab.world.pixel_training import PixelTrainingConfig
from wovr_lab.world.windows import FrameTable

DEPTHS = (1, 8, 16, 24, 48)


@dataclass(frozen=True)
class PixelVariant:
    """What differs from the whole model: its network, what it is told, how it learns."""

    size: dict[str, Any] = field(default_factory=dict)
    context: ContextBuilder = field(default_factory=lambda: ContextBuilder(noise=NOISE))
    training: dict[str, Any] = field(default_factory=dict)


PIXEL_VARIANTS = {
    "full": PixelVariant(),
    "no_state": PixelVariant({"states": False}),
    "no_warping": PixelVariant({"warping": False}),
    "no_histogram": PixelVariant(training={"histogram_share": 0.0}),
    "histogram_in_tiles": PixelVariant(training={"histogram_regions": (1, 2, 4)}),
    "two_hypotheses": PixelVariant({"hypotheses": 2}),
    "no_reference": PixelVariant(context=ContextBuilder(anchor=False, noise=NOISE)),
    "memory_1": PixelVariant(context=ContextBuilder(memory=1, noise=NOISE)),
    "no_noisy_context": PixelVariant(context=ContextBuilder(noise=0.0)),
    "no_self_forcing": PixelVariant(training={"self_forcing": (1.0,)}),
    "modulation_only": PixelVariant({"action_channels": "modulation"}),
    "attention_only": PixelVariant({"action_channels": "attention"}),
}


def ablate_pixels(
    config: LoopConfig, play: Sequence[Episode], held_out: Sequence[Episode], training: PixelTrainingConfig, out: Path,
    probe: StateProbe, names: Sequence[str] = tuple(PIXEL_VARIANTS), seeds: Sequence[int] = (0,),
) -> list[dict[str, Any]]:  # fmt: skip
    """Trains the variants that are not in `out` yet and judges all of them; the rows are left in `out/rows.json`, too.

    Raises UserError on an unknown variant, or if `config` is of a latent world model.
    """
    unknown = sorted(set(names) - PIXEL_VARIANTS.keys())
    if unknown or not isinstance(config.world_size, PixelSizeConfig):
        raise UserError(f"cannot ablate {unknown or 'a latent model'}: variants in pixels: {', '.join(PIXEL_VARIANTS)}")
    table = FrameTable.of(config.real.with_proprio(play))
    rows = []
    for seed in seeds:
        for name in names:
            world = _learnt(config, PIXEL_VARIANTS[name], table, training, seed, out / f"{name}-{seed}")
            found = closed_loop(world, held_out, probe, seed)
            depths = [depth for depth in DEPTHS if depth <= len(found.psnr)]
            rows.append(
                {
                    "variant": name, "seed": seed, "n": len(held_out), "steps": training.fit.steps, "depths": depths,
                    "psnr_db": [round(float(found.psnr[depth - 1]), 2) for depth in depths],
                    "object_cm": _medians(found.object_cm, depths), "state_hand_cm": _medians(found.hand_cm, depths),
                    "vanished": round(float(found.vanished.mean()), 3),
                }
            )  # fmt: skip
    write_json(out / "rows.json", rows)
    return rows


def _learnt(
    config: LoopConfig, variant: PixelVariant, table: FrameTable, training: PixelTrainingConfig, seed: int, folder: Path
) -> PixelWorldModel:
    """The variant from its folder, or trained now."""
    if (folder / "world").exists():
        return PixelWorldModel.load(folder / "world")
    size = replace(config.world_size, **variant.size)
    world = new_pixel_world(replace(config, world_size=size, context=variant.context, seed=seed))
    world.network.background.copy_(table.background(stream(seed, "background")))
    # one stream for all variants, so that they differ in nothing but what was taken away
    learn_world(
        world, table, replace(training, **variant.training), seed_of(seed, "ablation"), folder / "training",
        Metrics(folder),
    )  # fmt: skip
    world.save(folder / "world")
    for path in folder.rglob("*.training.safetensors"):
        path.unlink()
    return world


def _medians(values: np.ndarray | None, depths: Sequence[int]) -> list[float] | None:
    return None if values is None else [round(float(np.median(values[:, depth - 1])), 2) for depth in depths]
