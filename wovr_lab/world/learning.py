"""A world model of either kind learns from a table of real frames, as the training given to it says.

In: a world model, a `FrameTable`, `WorldTrainingConfig` or `PixelTrainingConfig`. Out: the same model, trained.
"""

from __future__ import annotations

from pathlib import Path

from wovr_lab.errors import UserError
from wovr_lab.runs import Metrics
from wovr_lab.world.model import WorldModel
from wovr_lab.world.pixel_model import PixelWorldModel
from wovr_lab.world.pixel_training import PixelTrainingConfig, train_pixel_world
from wovr_lab.world.state_training import train_state_head
from wovr_lab.world.training import WorldTrainingConfig, train_world
from wovr_lab.world.windows import FrameTable, LatentTable


def learn_world(
    world: WorldModel | PixelWorldModel, table: FrameTable,
    training: WorldTrainingConfig | PixelTrainingConfig, run_seed: int,
    folder: Path | None = None, metrics: Metrics | None = None, name: str = "world",
) -> WorldModel | PixelWorldModel:  # fmt: skip
    """Trains it in place; a model in pixels first where its hand goes, if the training says so. Raises UserError if the
    training is one for models of the other kind."""
    if isinstance(world, PixelWorldModel) and isinstance(training, PixelTrainingConfig):
        if training.states is not None:
            train_state_head(world, table, training.states, run_seed, folder, metrics, f"{name}/states")
        return train_pixel_world(world, table, training, run_seed, folder, metrics, name)
    if isinstance(world, WorldModel) and isinstance(training, WorldTrainingConfig):
        latents = LatentTable.of(table, world.codec, world.context)
        return train_world(world, latents, training, run_seed, folder, metrics, name)
    raise UserError(
        f"a {type(world).__name__} cannot learn by {type(training).__name__}: choose backbone and training of one kind"
    )
