"""The pretrained backbone: codec and transformer on task-agnostic play; the paper starts from Wan2.2, not from noise.

In: nothing but the tabletop and a seed. Out: a world model folder with its provenance (`backbone.json`). A second
call on the same folder goes on from the weights that are there.
"""

from __future__ import annotations

import platform
import time
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path

import torch

from wovr_lab.episodes import EpisodeStore, write_episodes
from wovr_lab.errors import UserError
from wovr_lab.real.play import play_episodes
from wovr_lab.runs import Metrics, current_commit, read_json, write_json
from wovr_lab.training import FitConfig
from wovr_lab.world.codec import FrameGroupCodec
from wovr_lab.world.model import WorldModel
from wovr_lab.world.training import CodecTraining, WorldTraining, train_codec, train_world
from wovr_lab.world.transformer import WHOLE_WINDOW, ActionWanTransformer
from wovr_lab.world.windows import FrameTable, LatentTable

BATCH = 250  # episodes a file


@dataclass(frozen=True)
class Pretraining:
    """How much play, and how long the codec and the transformer learn from it."""

    episodes: int = 6000
    resolution: int = 32
    codec: CodecTraining = field(
        default_factory=lambda: CodecTraining(FitConfig(3500, 2e-3, ema_decay=0.998), batch=32)
    )
    world: WorldTraining = field(default_factory=lambda: WorldTraining(FitConfig(6000, 2e-3, 200, ema_decay=0.998)))


def collect_play(folder: Path, episodes: int, resolution: int, run_seed: int, processes: int = 2) -> EpisodeStore:
    """Play in files of 250 episodes, made by two processes; files that are there already are kept."""
    jobs = [
        (folder / f"play-{first:05d}.hdf5", first, min(BATCH, episodes - first), resolution, run_seed)
        for first in range(0, episodes, BATCH)
    ]
    with get_context("spawn").Pool(processes) as pool:
        pool.starmap(_collect_file, jobs, chunksize=1)
    return EpisodeStore([job[0] for job in jobs])


def _collect_file(path: Path, first: int, count: int, resolution: int, run_seed: int) -> None:
    if not path.exists():
        write_episodes(path, play_episodes(count, run_seed, first, resolution))


def pretrain(out: Path, run: Path, config: Pretraining, run_seed: int, from_scratch: bool = False) -> WorldModel:
    """Trains (or goes on training) the backbone in `out`; `run` keeps the play, the metrics and what a resume needs."""
    begin = time.monotonic()
    store = collect_play(run / "play", config.episodes, config.resolution, run_seed)
    table, metrics = FrameTable.of(store), Metrics(run)
    codec_folder = run / "codec"
    if out.exists() and not from_scratch:
        world, earlier = WorldModel.load(out), _pretraining_of(out / "backbone.json")
    else:
        earlier = []
        if not codec_folder.exists():
            torch.manual_seed(run_seed)  # initial weights
            codec = FrameGroupCodec(resolution=config.resolution)
            train_codec(codec, table, config.codec, run_seed, run, metrics).save(codec_folder)
        torch.manual_seed(run_seed)
        world = WorldModel(FrameGroupCodec.load(codec_folder), ActionWanTransformer(WHOLE_WINDOW))
    latents = LatentTable.of(table, world.codec, world.context)
    train_world(world, latents, config.world, run_seed, run, metrics)
    deepcopy(world).half().save(out)
    provenance = {
        "command": f"wovr-lab pretrain --out {out} --seed {run_seed} --episodes {config.episodes} "
        f"--codec-steps {config.codec.fit.steps} --steps {config.world.fit.steps} "
        f"--learning-rate {config.world.fit.learning_rate}",
        "commit": current_commit(),
        "earlier": earlier,
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


def load_backbone(name: str) -> WorldModel:
    """The backbone shipped as `data/NAME`, or in a folder of that path. Raises UserError if there is none."""
    shipped = Path(__file__).parents[2] / "data" / name
    folder = shipped if shipped.exists() else Path(name)
    if not folder.exists():
        raise UserError(
            f"there is no backbone {name!r} in data/ and no folder of that name; run wovr-lab pretrain first"
        )
    return WorldModel.load(folder)
