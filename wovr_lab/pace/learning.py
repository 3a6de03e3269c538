"""The loop's learning stages: base policy, reward, world model, and the PACE refinement of both (paper section 4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import torch
from torch import nn

from wovr_lab.episodes import write_episodes
from wovr_lab.pace.config import LoopConfig, PixelSizeConfig
from wovr_lab.pace.data import (
    TRAINING,
    confronted_store,
    counted,
    executed_for_reward,
    gate_stores,
    kept,
    monitored_store,
    reward_episodes,
    store,
)
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
    config = run.config
    episodes = list(store(run, "demonstrations"))
    tokenizer = build_tokenizer([config.real.instruction(task) for task in config.tasks])
    size = policy_size(config, len(tokenizer))
    for name, share in (("half", 0.5), ("base", 1.0)):
        fit = config.imitation.fit
        schedule = replace(config.imitation, fit=replace(fit, steps=max(1, round(fit.steps * share))))
        policy = VLAPolicy.create(size, tokenizer, config.seed)
        imitate(policy, episodes, schedule, config.seed, run.scratch, run.metrics, f"sft/{name}")
        save_policy(policy, run.path(f"checkpoints/{name}"))


def policy_size(config: LoopConfig, vocabulary: int) -> VLAConfig:
    """The policy's sizes: 16 image tokens and about as many operations at 64 pixels as at 32."""
    zoom = max(1, config.resolution // VLAConfig().resolution)
    return VLAConfig(
        resolution=config.resolution, view=config.real.view, vocab_size=vocabulary,
        pixels_per_token=8 * zoom, stem_width=32 // zoom, **vars(config.policy),
    )  # fmt: skip


def train_reward_stage(run: Run) -> None:
    """The success classifier, from all that is paid so far; judged on the gate's held-out episodes."""
    instructions = [run.config.real.instruction(task) for task in run.config.tasks]
    classifier = _new(lambda: SuccessClassifier(instructions, run.config.resolution), run.config, "reward")
    _learn_reward(run, classifier, reward_episodes(run, 1), [], "reward")


def train_world_stage(run: Run) -> None:
    """The world model, from the backbone (or from noise), on play and base rollouts."""
    config = run.config
    play = kept(run, "play", lambda: counted(config.real.play(config.play, config.seed), "play", config.play))
    run.debit("pretraining", play)
    write_episodes(run.path("episodes/play.hdf5"), play)
    rollouts = list(store(run, *TRAINING))
    weights = [1.0] * len(play) + [config.rollout_weight] * len(rollouts)
    table = FrameTable.of(config.real.with_proprio(play + rollouts), weights)
    if config.backbone is None:
        world = _world_from_noise(run, table)
    else:
        world = load_backbone(config.backbone)
        world.context = config.context
    _learn_world(run, world, table, config.world, "world")


def refine(run: Run) -> None:
    """PACE: world model and reward learn from the improved policy's fresh rollouts, once; where the run says so, from
    what the monitor executed for real as well."""
    config = run.config
    episodes, weights = zip(*world_episodes(run, 2), strict=True)
    table = FrameTable.of(episodes, weights)
    _learn_world(run, load_world_model(run.path("checkpoints/world_improved")), table, config.refine, "world_evolved")
    classifier = SuccessClassifier.load(run.path("checkpoints/reward_improved"))
    known = [*reward_episodes(run, 1), *executed_for_reward(run)]
    _learn_reward(run, classifier, known, list(store(run, "fresh")), "reward_evolved")


def world_episodes(run: Run, number: int) -> list[tuple[Episode, float]]:
    """What a world model may have learnt from when phase `number` of RL begins, each with its weight."""
    config = run.config
    parts = [
        (store(run, "play"), 1.0),
        (store(run, *TRAINING), config.rollout_weight),
        (confronted_store(run), config.monitored_weight),
    ]
    if number > 1:
        parts += [(monitored_store(run), config.monitored_weight), (store(run, "fresh"), config.fresh_weight)]
    return [(episode, weight) for episodes, weight in parts for episode in config.real.with_proprio(episodes)]


def _learn_reward(
    run: Run, classifier: SuccessClassifier, known: list[Episode], newest: list[Episode], name: str
) -> None:
    """Trains, calibrates on episodes left out, judges on the gate's; the newest have a share of their own."""
    config, instructions = run.config, list(classifier.config.instructions)
    (learning, calibrating), (fresh, fresh_calibrating) = split(known), split(newest)
    frames, own = (LabelledFrames.of(part, instructions) if part else None for part in (learning, fresh))
    seed = seed_of(config.seed, name)
    train_reward(classifier, frames, config.reward, seed, run.scratch, run.metrics, name, newest=own)
    calibrate(classifier, calibrating + fresh_calibrating)
    held_out = [episode for episodes in gate_stores(run).values() for episode in episodes]
    quality = {task: _quality(classifier, [e for e in held_out if e.task == task]) for task in config.tasks}
    write_json(run.path(f"{name}.json"), {"threshold": float(classifier.threshold), "held_out": quality})
    classifier.save(run.path(f"checkpoints/{name}"))


def _quality(classifier: SuccessClassifier, episodes: list[Episode]) -> dict[str, float]:
    found = evaluate_classifier(classifier, episodes)
    return {"episodes": len(episodes), "precision": found.precision, "recall": found.recall}


def _learn_world(
    run: Run,
    world: WorldModel | PixelWorldModel,
    table: FrameTable,
    training: WorldTrainingConfig | PixelTrainingConfig,
    name: str,
) -> None:
    world.sampler = FlowSampler(run.config.sampler_steps)
    learn_world(world, table, training, seed_of(run.config.seed, name), run.scratch, run.metrics, name)
    world.save(run.path(f"checkpoints/{name}"))


def _world_from_noise(run: Run, table: FrameTable) -> WorldModel | PixelWorldModel:
    config, folder = run.config, run.scratch / "codec"
    if isinstance(config.world_size, PixelSizeConfig):
        world = new_pixel_world(config)
        world.network.background.copy_(table.background(stream(config.seed, "background")))
        return world
    if not folder.exists():
        train_codec(new_codec(config), table, config.codec, config.seed, run.scratch, run.metrics).save(folder)
    return WorldModel(FrameGroupCodec.load(folder), new_transformer(config), config.context)


def new_pixel_world(config: LoopConfig) -> PixelWorldModel:
    """An untrained world model in pixels of the run's size; it is told the robot's state where the domain has one."""
    size = {name: value for name, value in vars(config.world_size).items() if name != "states"}
    robot = config.real.robot.to_dict() if config.real.robot and config.world_size.states else None
    network = _new(lambda: PixelNetwork(resolution=config.resolution, robot=robot, **size), config, "network")
    head = _new(lambda: StateHead(robot), config, "states") if robot else None
    return PixelWorldModel(network, head, config.context)


def new_codec(config: LoopConfig) -> FrameGroupCodec:
    """An untrained codec of the run's size."""
    size = config.world_size
    return _new(
        lambda: FrameGroupCodec(
            config.resolution, config.resolution // LATENT_SIDE, size.latent_channels, size.codec_width
        ),
        config, "codec",
    )  # fmt: skip


def new_transformer(config: LoopConfig) -> ActionWanTransformer:
    """An untrained transformer of the run's size."""
    size = config.world_size
    return _new(
        lambda: ActionWanTransformer(
            num_attention_heads=size.num_attention_heads, attention_head_dim=size.attention_head_dim,
            in_channels=size.latent_channels, out_channels=size.latent_channels,
            ffn_dim=size.ffn_dim, num_layers=size.num_layers, patch_size=size.patch_size,
        ),
        config, "transformer",
    )  # fmt: skip


def _new(make: Callable[[], Module], config: LoopConfig, name: str) -> Module:
    """A module whose initial weights depend on the run's seed and its name alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(config.seed, name))
        return make()
