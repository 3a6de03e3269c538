"""The pretrained backbone: codec and transformer on task-agnostic play; the paper starts from Wan2.2, not from noise.

In: nothing but a real world and a seed. Out: a world model folder with its provenance (`backbone.json`). A second call
on the same folder goes on from the weights that are there.
"""

from __future__ import annotations

import platform
import time
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from tqdm import tqdm

from wovr_lab.episodes import EpisodeStore, write_episodes
from wovr_lab.errors import UserError
from wovr_lab.real.domain import Domain as RealWorld
from wovr_lab.real.names import environment_of
from wovr_lab.runs import Metrics, current_commit, read_json, write_json
from wovr_lab.training import FitConfig
from wovr_lab.world.codec import LATENT_SIDE, FrameGroupCodec
from wovr_lab.world.model import WorldModel
from wovr_lab.world.pixel_model import PixelWorldModel
from wovr_lab.world.protocol import load_world_model
from wovr_lab.world.training import CodecTraining, WorldTraining, train_codec, train_world
from wovr_lab.world.transformer import WHOLE_WINDOW, ActionWanTransformer
from wovr_lab.world.windows import FrameTable, LatentTable

BATCH = 250  # episodes a file


@dataclass(frozen=True)
class Pretraining:
    """How much play, and how long the codec and the transformer learn from it."""

    episodes: int = 6000
    latent_channels: int = 32
    codec: CodecTraining = field(
        default_factory=lambda: CodecTraining(FitConfig(3500, 2e-3, ema_decay=0.998), batch=32)
    )
    world: WorldTraining = field(default_factory=lambda: WorldTraining(FitConfig(6000, 2e-3, 200, ema_decay=0.998)))


def collect_play(real: RealWorld, folder: Path, episodes: int, run_seed: int) -> EpisodeStore:
    """Play in files of 250 episodes; files that are there already are kept."""
    files = {first: folder / f"play-{first:05d}.hdf5" for first in range(0, episodes, BATCH)}
    for first, path in tqdm(files.items(), desc="play", mininterval=1.0, dynamic_ncols=True):
        if not path.exists():
            write_episodes(path, real.play(min(BATCH, episodes - first), run_seed, first))
    return EpisodeStore(list(files.values()))


def pretrain(
    real: RealWorld, out: Path, run: Path, config: Pretraining, run_seed: int, from_scratch: bool = False
) -> WorldModel:  # fmt: skip
    """Trains (or goes on training) the backbone in `out` on play of this world; `run` keeps the play, the metrics and
    what a resume needs."""
    begin = time.monotonic()
    store = collect_play(real, run / "play", config.episodes, run_seed)
    table, metrics = FrameTable.of(store), Metrics(run)
    codec_folder = run / "codec"
    if out.exists() and not from_scratch:
        world, earlier = WorldModel.load(out), _pretraining_of(out / "backbone.json")
    else:
        earlier = []
        if not codec_folder.exists():
            torch.manual_seed(run_seed)  # initial weights
            codec = FrameGroupCodec(real.resolution, real.resolution // LATENT_SIDE, config.latent_channels)
            train_codec(codec, table, config.codec, run_seed, run, metrics).save(codec_folder)
        torch.manual_seed(run_seed)
        channels = {"in_channels": config.latent_channels, "out_channels": config.latent_channels}
        world = WorldModel(FrameGroupCodec.load(codec_folder), ActionWanTransformer(WHOLE_WINDOW, **channels))
    latents = LatentTable.of(table, world.codec, world.context)
    train_world(world, latents, config.world, run_seed, run, metrics)
    deepcopy(world).half().save(out)
    provenance = {
        "command": f"wovr-lab pretrain --env {environment_of(real.tasks)} --out {out} --seed {run_seed} "
        f"--episodes {config.episodes} --codec-steps {config.codec.fit.steps} --steps {config.world.fit.steps} "
        f"--learning-rate {config.world.fit.learning_rate}{' --muon' if config.world.fit.muon else ''}",
        "commit": current_commit(),
        "earlier": earlier,
        "real": {**real.card, "tasks": real.tasks, "resolution": real.resolution},
        "config": asdict(config),
        "play_episodes": len(store),
        "play_frames": len(table.frames),
        "seconds": round(time.monotonic() - begin, 1),
        "torch": torch.__version__,
        "machine": platform.processor() or platform.machine(),
        "curve": [row for row in metrics.rows() if row["step"] % 200 == 0],
    }
    write_json(out / "backbone.json", provenance)
    (run / "world.training.safetensors").unlink(missing_ok=True)
    return world


def _pretraining_of(path: Path) -> list[dict[str, str]]:
    """The commands and commits that made a backbone, first to last, by its provenance."""
    found = read_json(path)
    return [*found.get("earlier", []), {"command": found["command"], "commit": found["commit"]}]


def load_backbone(name: str) -> WorldModel | PixelWorldModel:
    """The backbone shipped as `data/NAME`, or in a folder of that path. Raises UserError if there is none."""
    shipped = Path(__file__).parents[2] / "data" / name
    folder = shipped if shipped.exists() else Path(name)
    if not folder.exists():
        raise UserError(
            f"there is no backbone {name!r} in data/ and no folder of that name; run wovr-lab pretrain first"
        )
    return load_world_model(folder)
