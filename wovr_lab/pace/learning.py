"""The loop's learning stages: base policy, reward, world model, and the PACE refinement of both (paper section 4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from wovr_lab.episodes import write_episodes
from wovr_lab.pace.config import LatentWorldConfig, PixelWorldConfig, RunConfig
from wovr_lab.pace.data import (
    cached_episodes,
    gate_stores,
    reward_episodes,
    store,
    with_progress,
    world_episodes,
)
from wovr_lab.pace.layout import BASE, DEMONSTRATIONS, HALF, PLAY, TRAINING
from wovr_lab.pace.rounds import ROLLOUT_WEIGHT, Round, Simulator, monitored_for_reward
from wovr_lab.pace.stages import Run
from wovr_lab.policy.checkpoints import save_policy
from wovr_lab.policy.imitation import imitate
from wovr_lab.policy.language import build_tokenizer
from wovr_lab.policy.vla import VLAConfig, VLAPolicy
from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.reward.frames import LabelledFrames
from wovr_lab.reward.refresh import split
from wovr_lab.reward.training import calibrate, evaluate_classifier, train_reward
from wovr_lab.runs import write_json
from wovr_lab.seeding import seed_of, stream
from wovr_lab.types import Episode
from wovr_lab.world.codec import LATENT_SIDE, FrameGroupCodec
from wovr_lab.world.learning import learn_world
from wovr_lab.world.model import WorldModel
from wovr_lab.world.pixel_model import PixelWorldModel
from wovr_lab.world.pixel_network import PixelNetwork
from wovr_lab.world.pixel_training import PixelTrainingConfig
from wovr_lab.world.pretraining import load_backbone
from wovr_lab.world.protocol import load_world_model
from wovr_lab.world.sampler import FlowSampler
from wovr_lab.world.state_head import StateHead
from wovr_lab.world.training import WorldTrainingConfig, train_codec
from wovr_lab.world.transformer import ActionWanTransformer
from wovr_lab.world.windows import FrameTable

Module = TypeVar("Module", bound=nn.Module)


def sft(run: Run) -> None:
    """The base policy, and one trained half as long for the gate."""
    config, training = run.config, run.config.imitation.training
    episodes = list(store(run, DEMONSTRATIONS))
    tokenizer = build_tokenizer([config.real.instruction(task) for task in config.tasks])
    size = policy_size(config, len(tokenizer))
    for path, share in ((HALF, 0.5), (BASE, 1.0)):
        fit = training.fit
        schedule = replace(training, fit=replace(fit, steps=max(1, round(fit.steps * share))))
        policy = VLAPolicy.create(size, tokenizer, config.seed)
        name = f"sft/{Path(path).name}"
        imitate(policy, episodes, schedule, config.seed, run.scratch, run.metrics, name)
        save_policy(policy, run.path(path))


def policy_size(config: RunConfig, vocabulary: int) -> VLAConfig:
    """The policy's sizes: 16 image tokens and about as many operations at 64 pixels as at 32."""
    zoom = max(1, config.resolution // VLAConfig().resolution)
    return VLAConfig(
        resolution=config.resolution, view=config.real.view, vocab_size=vocabulary,
        pixels_per_token=8 * zoom, stem_width=32 // zoom, **vars(config.imitation.policy),
    )  # fmt: skip


def train_reward_stage(run: Run) -> None:
    """The success classifier, from all that is paid so far; judged on the gate's held-out episodes."""
    instructions = [run.config.real.instruction(task) for task in run.config.tasks]
    classifier = _new(lambda: SuccessClassifier(instructions, run.config.resolution), run.config, "reward")
    _learn_reward(run, classifier, reward_episodes(run, 1), [], Simulator.of())


def train_world_stage(run: Run) -> None:
    """The world model, from the backbone (or from noise), on play and base rollouts."""
    config, count = run.config, run.config.data.play
    play = cached_episodes(run, "play", lambda: with_progress(config.real.play(count, config.seed), "play", count))
    run.debit("pretraining", play)
    write_episodes(run.path(PLAY), play)
    rollouts = list(store(run, *TRAINING))
    weights = [1.0] * len(play) + [ROLLOUT_WEIGHT] * len(rollouts)
    table = FrameTable.of(config.real.with_proprio(play + rollouts), weights)
    if config.world.backbone is None:
        world = _world_from_noise(run, table)
    else:
        world = load_backbone(config.world.backbone)
        world.context = config.world.context
    _learn_world(run, world, table, config.world.training, Simulator.of().world)


def refine(phase: Round) -> Callable[[Run], None]:
    """The stage between two rounds, PACE: world model and reward learn from the improved policy's new rollouts, once;
    where the run says so, from what the monitor executed for real as well."""

    def work(run: Run) -> None:
        config, given = run.config, phase.refreshed
        episodes, weights = zip(*world_episodes(run, phase.number + 1), strict=True)
        table = FrameTable.of(episodes, weights)
        _learn_world(run, load_world_model(run.path(given.world)), table, config.world.refinement, phase.refined.world)
        classifier = SuccessClassifier.load(run.path(given.reward))
        known = [*reward_episodes(run, phase.number), *store(run, *monitored_for_reward(config, phase))]
        _learn_reward(run, classifier, known, list(store(run, phase.rollouts)), phase.refined)

    return work


def _learn_reward(
    run: Run, classifier: SuccessClassifier, known: list[Episode], newest: list[Episode], made: Simulator
) -> None:
    """Trains, calibrates on episodes left out, judges on the gate's; the newest have a share of their own."""
    config, instructions, name = run.config, list(classifier.config.instructions), Path(made.reward).name
    (learning, calibrating), (fresh, fresh_calibrating) = split(known), split(newest)
    frames, own = (LabelledFrames.of(part, instructions) if part else None for part in (learning, fresh))
    seed = seed_of(config.seed, name)
    train_reward(classifier, frames, config.reward.training, seed, run.scratch, run.metrics, name, newest=own)
    calibrate(classifier, calibrating + fresh_calibrating)
    held_out = [episode for episodes in gate_stores(run).values() for episode in episodes]
    quality = {task: _quality(classifier, [e for e in held_out if e.task == task]) for task in config.tasks}
    write_json(run.path(made.quality), {"threshold": float(classifier.threshold), "held_out": quality})
    classifier.save(run.path(made.reward))


def _quality(classifier: SuccessClassifier, episodes: list[Episode]) -> dict[str, float]:
    found = evaluate_classifier(classifier, episodes)
    return {"episodes": len(episodes), "precision": found.precision, "recall": found.recall}


def _learn_world(
    run: Run,
    world: WorldModel | PixelWorldModel,
    table: FrameTable,
    training: WorldTrainingConfig | PixelTrainingConfig,
    path: str,
) -> None:
    world.sampler, name = FlowSampler(run.config.world.sampler_steps), Path(path).name
    learn_world(world, table, training, seed_of(run.config.seed, name), run.scratch, run.metrics, name)
    world.save(run.path(path))


def _world_from_noise(run: Run, table: FrameTable) -> WorldModel | PixelWorldModel:
    config, folder = run.config, run.scratch / "codec"
    if isinstance(config.world, PixelWorldConfig):
        world = new_pixel_world(config, config.world)
        world.network.background.copy_(table.background(stream(config.seed, "background")))
        return world
    if not folder.exists():
        codec = new_codec(config, config.world)
        train_codec(codec, table, config.world.codec, config.seed, run.scratch, run.metrics).save(folder)
    return WorldModel(FrameGroupCodec.load(folder), new_transformer(config, config.world), config.world.context)


def new_pixel_world(config: RunConfig, world: PixelWorldConfig) -> PixelWorldModel:
    """An untrained world model in pixels for the run; it is told the robot's state where the domain has one."""
    size = {name: value for name, value in vars(world.size).items() if name != "states"}
    robot = config.real.robot.to_dict() if config.real.robot and world.size.states else None
    network = _new(lambda: PixelNetwork(resolution=config.resolution, robot=robot, **size), config, "network")
    head = _new(lambda: StateHead(robot), config, "states") if robot else None
    return PixelWorldModel(network, head, world.context)


def new_codec(config: RunConfig, world: LatentWorldConfig) -> FrameGroupCodec:
    """An untrained codec for the run."""
    size = world.size
    return _new(
        lambda: FrameGroupCodec(
            config.resolution, config.resolution // LATENT_SIDE, size.latent_channels, size.codec_width
        ),
        config, "codec",
    )  # fmt: skip


def new_transformer(config: RunConfig, world: LatentWorldConfig) -> ActionWanTransformer:
    """An untrained transformer for the run."""
    size = world.size
    return _new(
        lambda: ActionWanTransformer(
            num_attention_heads=size.num_attention_heads, attention_head_dim=size.attention_head_dim,
            in_channels=size.latent_channels, out_channels=size.latent_channels,
            ffn_dim=size.ffn_dim, num_layers=size.num_layers, patch_size=size.patch_size,
        ),
        config, "transformer",
    )  # fmt: skip


def _new(make: Callable[[], Module], config: RunConfig, name: str) -> Module:
    """A module whose initial weights depend on the run's seed and its name alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(config.seed, name))
        return make()
