"""Commands of the world model in pixels. Registered by `cli`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from wovr_lab.cli.real import Environment, Folder, Seed
from wovr_lab.pace.scales import config_in
from wovr_lab.real.names import TABLETOP
from wovr_lab.world.pixel_pretraining import PixelPretrainingConfig, pretrain_in_pixels

BACKBONE = PixelPretrainingConfig()


def pretrain_pixels(
    out: Annotated[Path, typer.Option(help="where the backbone goes, or is and is trained on")] = Path(
        "data/pixel_backbone"
    ),
    folder: Folder = Path("runs/pretrain_pixels"), env: Environment = TABLETOP, seed: Seed = 0,
    episodes: Annotated[int, typer.Option(min=1, help="episodes of task-agnostic play")] = BACKBONE.episodes,
    driven: Annotated[int, typer.Option(min=1, help="episodes driven as a policy drives")] = BACKBONE.driven,
    steps: Annotated[int, typer.Option(min=1, help="training steps of the network")] = BACKBONE.world.fit.steps,
    state_steps: Annotated[int, typer.Option(min=1, help="training steps of the state head")] = (
        BACKBONE.states.fit.steps
    ),
    learning_rate: Annotated[float, typer.Option(help="of the network")] = BACKBONE.world.fit.learning_rate,
) -> None:  # fmt: skip
    """Pretrain the world model in pixels on play (hours); a second call goes on from the saved weights."""
    world = replace(BACKBONE.world, fit=replace(BACKBONE.world.fit, steps=steps, learning_rate=learning_rate))
    states = replace(BACKBONE.states, fit=replace(BACKBONE.states.fit, steps=state_steps))
    config = replace(BACKBONE, episodes=episodes, driven=driven, states=states, world=world)
    pretrain_in_pixels(config_in(env, "demo").real, out, folder, config, seed)
