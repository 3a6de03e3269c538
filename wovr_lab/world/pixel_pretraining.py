"""The pretrained backbone in pixels: state head and network on task-agnostic play, half of it driven as policies drive.

In: nothing but a real world and a seed. Out: a world model folder with its provenance (`backbone.json`). A call that is
killed goes on where it was, to the step; one on a finished folder trains its weights further.
"""

from __future__ import annotations

import time
from dataclasses import field
from pathlib import Path

import torch

from wovr_lab.fields import Count, Size, configuration
from wovr_lab.real.domain import Domain
from wovr_lab.real.names import environment_of
from wovr_lab.runs import Metrics
from wovr_lab.seeding import stream
from wovr_lab.training import FitConfig
from wovr_lab.world.pixel_model import PixelWorldModel
from wovr_lab.world.pixel_network import PixelNetwork
from wovr_lab.world.pixel_training import PixelTrainingConfig, train_pixel_world
from wovr_lab.world.pretraining import (
    claim_backbone,
    collect_in_batches,
    earlier_commands,
    provenance_of,
    save_backbone,
)
from wovr_lab.world.state_head import StateHead
from wovr_lab.world.state_training import StateTrainingConfig, train_state_head
from wovr_lab.world.windows import FrameTable

DRIVEN_WEIGHT = 1.2  # of a driven episode's windows against those of play


@configuration
class PixelPretrainingConfig:
    """How much play and driving, the network's depth, how long both parts learn."""

    episodes: Count = 10_000
    driven: Count = 10_000
    num_layers: Size = 3
    states: StateTrainingConfig = field(
        default_factory=lambda: StateTrainingConfig(FitConfig(1500, 3e-3, weight_decay=1e-4, final_fraction=0.02))
    )
    world: PixelTrainingConfig = field(
        default_factory=lambda: PixelTrainingConfig(
            FitConfig(8000, 2e-3, 300, ema_decay=0.998, muon="blocks matrix"), ramp=0.3
        )
    )


def pretrain_in_pixels(
    real: Domain, out: Path, run: Path, config: PixelPretrainingConfig, run_seed: int
) -> PixelWorldModel:  # fmt: skip
    """Trains (or goes on training) the backbone in `out`; `run` keeps episodes, metrics and what a resume needs.

    Raises UserError, before anything is collected, if `out` is no such backbone or `run` no pretraining.
    """
    begin = time.monotonic()
    out, goes_on = claim_backbone(out, PixelWorldModel.folder_kind, run)
    world = PixelWorldModel.load(out).float() if goes_on else None
    earlier = earlier_commands(out)
    play = collect_in_batches(run / "play", config.episodes, run_seed, real.play)
    driven = collect_in_batches(run / "driven", config.driven, run_seed, real.driven)
    weights = [1.0] * len(play) + [DRIVEN_WEIGHT] * len(driven)
    table = FrameTable.of(real.with_proprio([*play, *driven]), weights)
    metrics = Metrics(run)
    if world is None:
        world = new_backbone(real, table, config, run_seed)
    _learn(world, table, config, run_seed, run, metrics)
    command = (
        f"pretrain-pixels --env {environment_of(real.tasks)} --out {out} --seed {run_seed} "
        f"--episodes {config.episodes} --driven {config.driven} --steps {config.world.fit.steps}"
    )
    counts = {"play_episodes": len(play), "driven_episodes": len(driven), "play_frames": len(table.frames)}
    provenance = provenance_of(real, config, command, metrics) | {"earlier": earlier} | counts
    save_backbone(world, out, provenance | {"seconds": round(time.monotonic() - begin, 1)})
    for path in run.glob("*.training.safetensors"):
        path.unlink()
    return world


def _learn(
    world: PixelWorldModel,
    table: FrameTable,
    config: PixelPretrainingConfig,
    run_seed: int,
    run: Path,
    metrics: Metrics,
) -> None:
    """Both parts, one after the other. The first leaves itself beside the run's metrics, so that a resume of the second
    goes on with the same one."""
    learnt = run / "state_head"
    if world.state_head is not None and not (run / "world.training.safetensors").exists():
        train_state_head(world, table, config.states, run_seed, run, metrics)
        world.state_head.save(learnt)
    elif world.state_head is not None:
        world.state_head.load_state_dict(StateHead.load(learnt).state_dict())
    train_pixel_world(world, table, config.world, run_seed, run, metrics)


def new_backbone(real: Domain, table: FrameTable, config: PixelPretrainingConfig, run_seed: int) -> PixelWorldModel:
    """An untrained one for this world, which is told the robot's state where the world describes it."""
    robot = real.robot.to_dict() if real.robot else None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run_seed)
        network = PixelNetwork(resolution=real.resolution, num_layers=config.num_layers, robot=robot)
        head = StateHead(robot) if robot else None
    network.background.copy_(table.background(stream(run_seed, "background")))
    return PixelWorldModel(network, head)
