"""The world model's mechanisms taken away one at a time (paper Table 4), at the demo scale, and what that costs.

In: a run folder with base rollouts and policies. Out: variants fine-tuned from the run's backbone with one budget and
the same batches, judged on the same held-out deep rollouts, as data/results/video.json. Each (variant, seed) is kept in
`out`, so that a stopped run goes on. Deviation from the paper: the shared backbone was pretrained with every mechanism.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from tqdm import tqdm

from wovr_lab.episodes import EpisodeStore, write_episodes
from wovr_lab.errors import UserError
from wovr_lab.fields import Count, Distinct, Natural, NonNegative, Range, configuration
from wovr_lab.measure.video.feature_networks import FeatureNetworks
from wovr_lab.measure.video.quality import VideoMetrics
from wovr_lab.measure.video.rollouts import imagine_videos, long_episodes
from wovr_lab.outputs import claim_work_folder, replacing
from wovr_lab.pace.config import LoopConfig
from wovr_lab.pace.data import TRAINING
from wovr_lab.pace.settings import described
from wovr_lab.pace.stages import digest
from wovr_lab.policy.checkpoints import load_policy
from wovr_lab.real.env import TRAINING_SEEDS
from wovr_lab.real.tabletop.play import play_episodes
from wovr_lab.runs import Metrics, read_json, write_json
from wovr_lab.seeding import seed_of
from wovr_lab.training import FitConfig
from wovr_lab.types import MEMORY, Episode
from wovr_lab.world.context import ContextBuilder
from wovr_lab.world.model import WorldModel
from wovr_lab.world.pretraining import load_backbone
from wovr_lab.world.protocol import load_world_model
from wovr_lab.world.sampler import FlowSampler
from wovr_lab.world.training import WorldTrainingConfig, train_world
from wovr_lab.world.transformer import ActionWanTransformer
from wovr_lab.world.windows import FrameTable, LatentTable


@dataclass(frozen=True)
class Variant:
    """How the context is built, and by which channels actions come in."""

    context: ContextBuilder = field(default_factory=ContextBuilder)
    channels: str = "both"


VARIANTS = {
    "full": Variant(),
    "no_reference": Variant(ContextBuilder(anchor=False)),
    "memory_1": Variant(ContextBuilder(memory=1)),
    "no_noisy_context": Variant(ContextBuilder(noise=0.0)),
    "modulation_only": Variant(channels="modulation"),
    "attention_only": Variant(channels="attention"),
}
WITHOUT_A_MODEL = ("codec_alone.json", "copied_first_frame.json")
ABLATION_FILES = ("config.json", "held_out", *WITHOUT_A_MODEL, *(f"{name}-*" for name in VARIANTS))
SHIFTED = "improved"  # rollouts of a policy that no variant has learnt from


@configuration
class AblationConfig:
    """The budget of each variant and what all are judged by. `full` is judged with all `sampler_steps`, others with the
    first."""

    training: WorldTrainingConfig = field(
        default_factory=lambda: WorldTrainingConfig(FitConfig(100, 3e-4, 20, ema_decay=0.98))
    )
    seeds: Annotated[tuple[Natural, ...], Distinct()] = (0, 1, 2)
    rollouts: Annotated[int, Range(2)] = 50  # of play, and of each policy
    horizons: Annotated[tuple[Count, ...], Distinct()] = (32, 64, 128)
    sampler_steps: Annotated[tuple[Count, ...], Distinct()] = (1, 3, 5, 10)
    temperature: NonNegative = 1.2


def ablate(run: Path, config: LoopConfig, out: Path, ablation: AblationConfig, networks: FeatureNetworks) -> Path:
    """Trains and judges what is not in `out` yet; one JSON file of qualities a (setting, seed) is left there.

    Raises UserError if `out` was made with other settings or another backbone, or if the run has no base policy yet.
    """
    settings = {
        "ablation": described(ablation), "run": described(config), "networks": networks.source,
        "backbone": _weights_hash(_backbone(run, config)), "base": digest(run / "checkpoints/base"),
    }  # fmt: skip
    out = claim_work_folder(out, "ablation", ABLATION_FILES, inputs=[run])
    if (out / "config.json").exists() and read_json(out / "config.json") != settings:
        raise UserError(f"{out} was made with other settings or weights; choose another folder, or delete it")
    write_json(out / "config.json", settings)
    held_out = {name: list(EpisodeStore([path])) for name, path in held_out_files(run, config, out, ablation).items()}
    seen = [episode for name, episodes in held_out.items() if name != SHIFTED for episode in episodes]
    metrics_of = cache(lambda name: _metrics(held_out[SHIFTED] if name == SHIFTED else seen, ablation, networks))
    tables = cache(lambda memory: _table(run, config, ContextBuilder(memory=memory)))
    jobs = [(name, seed) for seed in ablation.seeds for name in VARIANTS]
    for name, seed in tqdm(jobs, desc="ablations", dynamic_ncols=True):
        folder = out / f"{name}-{seed}"
        todo = _todo(folder, name, ablation, SHIFTED in held_out)
        if not todo:
            continue
        world = _learnt(folder, config, run, VARIANTS[name], seed, ablation, tables)
        for file, steps, source in todo:
            world.sampler = FlowSampler(steps)
            imagined = imagine_videos(world, held_out[SHIFTED] if source == SHIFTED else seen, seed)
            if file == "all":
                _keep_films(folder / "films.npy", imagined, len(held_out["play"]))
            write_json(folder / f"{file}.json", asdict(metrics_of(source).evaluate(imagined)))
    for name, videos in _references(run, config, seen).items():
        if not (out / f"{name}.json").exists():
            write_json(out / f"{name}.json", asdict(metrics_of("all").evaluate(videos())))
    return out


def _todo(folder: Path, name: str, ablation: AblationConfig, shifted: bool) -> list[tuple[str, int, str]]:
    """(file, sampler steps, rollouts) that this variant has not been judged by yet."""
    first, *others = ablation.sampler_steps
    wanted = [("all", first, "all")]
    if name == "full":
        wanted += [(f"steps_{steps}", steps, "all") for steps in others]
        wanted += [(SHIFTED, first, SHIFTED)] if shifted else []
    return [entry for entry in wanted if not (folder / f"{entry[0]}.json").exists()]


def held_out_files(run: Path, config: LoopConfig, out: Path, ablation: AblationConfig) -> dict[str, Path]:
    """Deep real rollouts of play, the base policy and, where there is one, the improved policy: made once."""
    horizon, size, count = max(ablation.horizons), config.resolution, ablation.rollouts
    makers: dict[str, Callable[[], Any]] = {
        "play": partial(play_episodes, count, seed_of(0, "held-out play"), 0, size, horizon, held_out=True)
    }
    improved = [name for name in ("improved_2", "improved_1") if (run / "checkpoints" / name).exists()]
    for name, checkpoint in (("base", "base"), *((SHIFTED, name) for name in improved[:1])):
        policy = load_policy(run / "checkpoints" / checkpoint)
        makers[name] = partial(
            long_episodes, policy, config.tasks, count, horizon, size, ablation.temperature, TRAINING_SEEDS
        )
    paths = {name: out / "held_out" / f"{name}.hdf5" for name in makers}
    for name, path in paths.items():
        if not path.exists():
            write_episodes(path, makers[name]())
    return paths


def _table(run: Path, config: LoopConfig, context: ContextBuilder) -> LatentTable:
    """What `train_world` learns from in the loop: play and the rollouts that were paid for."""
    play = list(play_episodes(config.play, config.seed, 0, config.resolution))
    rollouts = list(EpisodeStore([run / f"episodes/{name}.hdf5" for name in TRAINING]))
    frames = FrameTable.of(play + rollouts, [1.0] * len(play) + [config.rollout_weight] * len(rollouts))
    return LatentTable.of(frames, _backbone(run, config).codec, context)


def _backbone(run: Path, config: LoopConfig) -> WorldModel:
    world = load_backbone(config.backbone) if config.backbone else load_world_model(run / "checkpoints/world")
    if not isinstance(world, WorldModel):
        raise UserError(
            f"{run} imagines in pixels; these ablations are of the latent world model: give it a run that was made "
            "with --world latent"
        )
    return world


def _weights_hash(world: WorldModel) -> str:
    total = hashlib.sha256()
    for tensor in world.state_dict().values():
        total.update(tensor.numpy().tobytes())
    return total.hexdigest()[:12]


def _learnt(
    folder: Path, config: LoopConfig, run: Path, variant: Variant, seed: int, ablation: AblationConfig,
    tables: Callable[[int], LatentTable],
) -> WorldModel:  # fmt: skip
    """The variant, fine-tuned: from its folder, or now."""
    if (folder / "world").exists():
        return WorldModel.load(folder / "world")
    world = _backbone(run, config)
    world.context = variant.context
    world.transformer = with_channels(world.transformer, variant.channels)
    # one stream for all variants, so that they differ in nothing but what was taken away
    stream = seed_of(seed, "ablation")
    train_world(world, tables(variant.context.memory), ablation.training, stream, folder, Metrics(folder), folder.name)
    world.save(folder / "world")
    (folder / f"{folder.name}.training.safetensors").unlink(missing_ok=True)
    return world


def with_channels(transformer: ActionWanTransformer, channels: str) -> ActionWanTransformer:
    """A copy with its weights, in which actions come in by these channels (both, modulation, attention)."""
    # without diffusers' note of which values were defaults, which it would set back to them
    config = {name: value for name, value in transformer.config.items() if name != "_use_default_values"}
    changed = ActionWanTransformer.from_config(config | {"action_channels": channels})
    changed.load_state_dict(transformer.state_dict())
    return changed.eval()


def _metrics(episodes: list[Episode], ablation: AblationConfig, networks: FeatureNetworks) -> VideoMetrics:
    return VideoMetrics(np.stack([episode.frames for episode in episodes]), ablation.horizons, networks)


def _references(run: Path, config: LoopConfig, seen: list[Episode]) -> dict[str, Callable[[], np.ndarray]]:
    """What no model is needed for, to read the numbers by: the first frame copied, and the codec's reconstruction."""

    def copied() -> np.ndarray:
        return np.stack([np.repeat(episode.frames[:1], len(episode.frames), 0) for episode in seen])

    def coded() -> np.ndarray:
        codec = _backbone(run, config).codec
        groups = [episode.frames[1:].reshape(-1, MEMORY, *episode.frames.shape[1:]) for episode in seen]
        decoded = [codec.decode(codec.encode(group)).reshape(-1, *group.shape[2:]) for group in groups]
        return np.stack([np.concatenate([e.frames[:1], d]) for e, d in zip(seen, decoded, strict=True)])

    return {"copied_first_frame": copied, "codec_alone": coded}


def _keep_films(path: Path, imagined: np.ndarray, second: int) -> None:
    """One rollout of play and one of the base policy, for the picture."""
    with replacing(path) as partial_path, partial_path.open("wb") as file:
        np.save(file, imagined[[0, min(second, len(imagined) - 1)]])
