"""The pretrained backbone: codec and transformer on task-agnostic play; the paper starts from Wan2.2, not from noise.

In: nothing but a real world and a seed. Out: a world model folder with its provenance (`backbone.json`). A second call
on the same folder goes on from the weights that are there.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import asdict, field
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from wovr_lab.episodes import EpisodeStore, write_episodes
from wovr_lab.errors import UserError
from wovr_lab.fields import Count, Size, configuration
from wovr_lab.machine import current_commit
from wovr_lab.outputs import claim_folder, claim_work_folder, replacing
from wovr_lab.real.domain import Domain
from wovr_lab.real.names import environment_of
from wovr_lab.runs import Metrics, read_object, write_json
from wovr_lab.training import FitConfig
from wovr_lab.types import Episode
from wovr_lab.world.codec import LATENT_SIDE, FrameGroupCodec
from wovr_lab.world.model import WorldModel
from wovr_lab.world.pixel_model import PixelWorldModel
from wovr_lab.world.protocol import load_world_model
from wovr_lab.world.training import CodecTrainingConfig, WorldTrainingConfig, train_codec, train_world
from wovr_lab.world.transformer import WHOLE_WINDOW, ActionWanTransformer
from wovr_lab.world.windows import FrameTable, LatentTable

BATCH = 250  # episodes a file
PRETRAINING_FILES = (
    "play", "driven", "codec", "state_head", "metrics.jsonl", "tensorboard", "codec.*", "world.*", "states.*",
)  # fmt: skip


@configuration
class PretrainingConfig:
    """How much play, and how long the codec and the transformer learn from it."""

    episodes: Count = 6000
    latent_channels: Size = 32
    codec: CodecTrainingConfig = field(
        default_factory=lambda: CodecTrainingConfig(FitConfig(3500, 2e-3, ema_decay=0.998), batch=32)
    )
    world: WorldTrainingConfig = field(
        default_factory=lambda: WorldTrainingConfig(FitConfig(6000, 2e-3, 200, ema_decay=0.998))
    )


def collect_in_batches(
    folder: Path, episodes: int, run_seed: int, make: Callable[[int, int, int], Iterable[Episode]]
) -> EpisodeStore:
    """What `make` gives of a count, a seed and the first number, in files of 250 episodes named after the folder; files
    that are there already are kept."""
    name = folder.name
    files = {first: folder / f"{name}-{first:05d}.hdf5" for first in range(0, episodes, BATCH)}
    for first, path in tqdm(files.items(), desc=name, mininterval=1.0, dynamic_ncols=True):
        if not path.exists():
            write_episodes(path, make(min(BATCH, episodes - first), run_seed, first))
    return EpisodeStore(list(files.values()))


def pretrain(
    real: Domain, out: Path, run: Path, config: PretrainingConfig, run_seed: int, from_scratch: bool = False
) -> WorldModel:  # fmt: skip
    """Trains (or goes on training) the backbone in `out` on play of this world; `run` keeps the play, the metrics and
    what a resume needs.

    Raises UserError, before anything is collected, if `out` is no backbone or `run` no pretraining.
    """
    begin = time.monotonic()
    out, goes_on = claim_backbone(out, WorldModel.folder_kind, run)
    goes_on = goes_on and not from_scratch
    world = WorldModel.load(out) if goes_on else None
    earlier = earlier_commands(out) if goes_on else []
    store = collect_in_batches(run / "play", config.episodes, run_seed, real.play)
    table, metrics = FrameTable.of(store), Metrics(run)
    codec_folder = run / "codec"
    if world is None:
        if not codec_folder.exists():
            torch.manual_seed(run_seed)  # initial weights
            codec = FrameGroupCodec(real.resolution, real.resolution // LATENT_SIDE, config.latent_channels)
            train_codec(codec, table, config.codec, run_seed, run, metrics).save(codec_folder)
        torch.manual_seed(run_seed)
        channels = {"in_channels": config.latent_channels, "out_channels": config.latent_channels}
        world = WorldModel(FrameGroupCodec.load(codec_folder), ActionWanTransformer(WHOLE_WINDOW, **channels))
    latents = LatentTable.of(table, world.codec, world.context)
    train_world(world, latents, config.world, run_seed, run, metrics)
    command = (
        f"pretrain --env {environment_of(real.tasks)} --out {out} --seed {run_seed} "
        f"--episodes {config.episodes} --codec-steps {config.codec.fit.steps} --steps {config.world.fit.steps} "
        f"--learning-rate {config.world.fit.learning_rate}{' --muon' if config.world.fit.muon else ''}"
    )
    counts = {"play_episodes": len(store), "play_frames": len(table.frames)}
    provenance = provenance_of(real, config, command, metrics) | {"earlier": earlier} | counts
    save_backbone(world, out, provenance | {"seconds": round(time.monotonic() - begin, 1)})
    (run / "world.training.safetensors").unlink(missing_ok=True)
    return world


def claim_backbone(out: Path, kind: str, run: Path) -> tuple[Path, bool]:
    """Where a backbone goes, and whether one is there already. Raises UserError if something else is, or if `run` holds
    anything but a pretraining."""
    out = claim_folder(out, kind)
    claim_work_folder(run, "pretraining", PRETRAINING_FILES)
    return out, (out / "world.json").exists()


def provenance_of(real: Domain, config: Any, command: str, metrics: Metrics) -> dict[str, Any]:
    """Where a backbone for this world comes from that a dataclass configures: command, commit, machine, curve."""
    return {
        "command": f"wovr-lab {command}",
        "commit": current_commit(),
        "real": {**real.protocol, "tasks": real.tasks, "resolution": real.resolution},
        "config": asdict(config),
        "torch": torch.__version__,
        "machine": platform.processor() or platform.machine(),
        "curve": [row for row in metrics.rows() if row["step"] % 200 == 0],
    }


def save_backbone(world: WorldModel | PixelWorldModel, out: Path, provenance: dict[str, Any]) -> None:
    """Weights at half precision and where they come from, in one piece."""
    with replacing(out, world.folder_kind) as partial:
        deepcopy(world).half().save(partial)
        write_json(partial / "backbone.json", provenance)


def earlier_commands(out: Path) -> list[dict[str, str]]:
    """The commands and commits that made a backbone, first to last, where it says so."""
    if not (out / "backbone.json").exists():
        return []
    found = read_object(out / "backbone.json", command=str, commit=str)
    return [*found.get("earlier", []), {"command": found["command"], "commit": found["commit"]}]


def load_backbone(name: str) -> WorldModel | PixelWorldModel:
    """The backbone shipped as `data/NAME`, or in a folder of that path. Raises UserError if there is none."""
    shipped = Path(__file__).parents[2] / "data" / name
    folder = shipped if shipped.exists() else Path(name)
    if not folder.exists():
        raise UserError(
            f"there is no backbone {name!r} in {shipped.parent} and no folder of that name; it comes with the "
            "repository (clone it and install it from there), or make one with wovr-lab pretrain (hours)"
        )
    return load_world_model(folder)
