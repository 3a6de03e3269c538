"""What a run will cost on this machine, said before it starts: training steps, an imagined chunk and real episodes are
timed and multiplied out. In: a configuration. Out: seconds by stage and the peak of memory.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
import torch

from wovr_lab.pace.config import LoopConfig, PixelSizeConfig
from wovr_lab.pace.data import real_env, starts
from wovr_lab.pace.learning import new_codec, new_pixel_world, new_transformer, policy_size
from wovr_lab.policy.imitation import ImitationLoss
from wovr_lab.policy.language import build_tokenizer
from wovr_lab.policy.vla import VLAPolicy
from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.reward.training import SuccessLoss
from wovr_lab.rollout import replay
from wovr_lab.types import CHUNK, MEMORY, NOOP
from wovr_lab.world.context import Context
from wovr_lab.world.model import FUTURE, WorldModel
from wovr_lab.world.pixel_model import PixelWorldModel
from wovr_lab.world.pretraining import load_backbone
from wovr_lab.world.training import FlowMatchingLoss, flow_noise

OVERHEAD = 1.4  # policy, reward, decoding and bookkeeping beside the transformer's share of an imagined chunk


def estimate(config: LoopConfig) -> tuple[dict[str, float], float]:
    """(seconds by stage, peak memory in GB). A first guess within a factor of two, not a promise."""
    world = _world(config)
    rows = config.world.batch
    learn, imagine = _work_in_pixels(world, config) if isinstance(world, PixelWorldModel) else _work(world, config)
    imagined_before = sum(depth * share for depth, share in enumerate(config.world.self_forcing))  # forward only
    step = (1 + imagined_before / 3) * _seconds(learn)
    judging = _reward_step(config)
    reward = judging * config.reward.fit.steps
    imagined = OVERHEAD * _seconds(imagine) * config.sampler_steps / world.sampler.steps / (rows * CHUNK)  # a frame
    real = _real_frame(config)
    length, tasks = config.max_steps, len(config.tasks)
    gate = imagined * config.gate_policies * config.gate_episodes * tasks * length
    draws = (1 + config.grpo.max_resamples) / 2  # on average, more or less
    rollouts = draws * config.grpo.groups * config.grpo.group_size * config.keyframe_steps
    again = config.imitate_successes
    imitation = _imitation_step(config) * again.fit.steps if again else 0.0
    if again and config.imitate_imagined:  # twice of what succeeds, half of the rollouts or so
        imitation += imagined * length * tasks * config.rollouts
    last = imitation if config.imitate_last else 0.0
    checks = tasks * length * (imagined + real) * (config.monitor_starts + config.check_starts)
    improve = [
        imagined * config.iterations[number - 1] * rollouts * 1.3 + config.checks(number) * checks + imitation
        + _refreshes(config, number, step, judging)
        for number in (1, 2)
    ]  # fmt: skip
    seconds = {
        "sft": 1.5 * _imitation_step(config) * config.imitation.fit.steps,
        "collect": real * length * tasks * (config.rollouts + config.gate_policies * config.gate_episodes),
        "train_world": step * config.world.fit.steps,
        "confront": (imagined + real) * length * tasks * config.confronted,
        "train_reward": reward,
        "gate_1": gate,
        "improve_1": improve[0],
        "collect_again": real * length * tasks * config.fresh,
        "refine": step * config.refine.fit.steps + reward,
        "gate_2": gate,
        "improve_2": improve[1] + last,
        "evaluate": real * length * tasks * config.evaluation_starts * 4,
    }
    frames = length * (tasks * (config.rollouts + config.fresh + config.demonstrations) + config.play)
    latent = 0 if isinstance(world, PixelWorldModel) else 2 * int(np.prod(world.codec.latent_shape))
    bytes_a_frame = 3 * config.resolution**2 + latent
    parameters = sum(parameter.numel() for parameter in world.parameters())
    return seconds, (1.0e9 + 2 * frames * bytes_a_frame + 30 * parameters) / 1e9


def _refreshes(config: LoopConfig, number: int, step: float, judging: float) -> float:
    """Seconds in which the simulator learns during phase `number`, from a step of each part: after every check but the
    last."""
    steps = ((config.world_refresh, step), (config.reward_refresh, judging))
    once = sum(seconds * training.fit.steps for training, seconds in steps if training is not None)
    return math.ceil(config.iterations[number - 1] / config.monitor_every[number - 1]) * once


def _world(config: LoopConfig) -> WorldModel | PixelWorldModel:
    if config.backbone is not None:
        return load_backbone(config.backbone)
    if isinstance(config.world_size, PixelSizeConfig):
        return new_pixel_world(config)
    return WorldModel(new_codec(config), new_transformer(config))


def _work(world: WorldModel, config: LoopConfig) -> tuple[Callable[[], object], Callable[[], object]]:
    """A training step of the latent world model, and what imagines a batch of chunks."""
    batch = _random_batch(world, config.world.batch)
    learner = FlowMatchingLoss(world, config.world.motion_weight, config.world.self_forcing_steps)
    context = Context(batch["anchor"], batch["memory"], batch["memory_actions"])
    return (
        lambda: learner(batch)[0].backward(),
        lambda: world.imagine_latents(context, batch["actions"][:, 0], batch["noise"][:, 0]),
    )


def _work_in_pixels(world: PixelWorldModel, config: LoopConfig) -> tuple[Callable[[], object], Callable[[], object]]:
    """A training step of the world model in pixels, and what imagines a batch of chunks, from initial states."""
    rows = config.world.batch
    first = [start for start in starts(config, [0]) for _ in range(rows)][:rows]
    context, chunk = world.initial_context(first), torch.as_tensor(NOOP).expand(rows, CHUNK, -1)
    noise = torch.randn(rows, *world.noise_shape, generator=torch.Generator().manual_seed(0))
    states = world.imagine_states(context, chunk).detach()

    def learn() -> None:
        heard = world.hear(context, noise, torch.ones(rows), chunk, states)
        world.network.draw(heard, heard.prior.argmax(1)).square().mean().backward()

    return learn, lambda: world.answer(context, chunk, noise)


def _random_batch(world: WorldModel, rows: int) -> dict[str, torch.Tensor]:
    shape = world.codec.latent_shape
    actions = torch.as_tensor(NOOP).expand(rows, 1, CHUNK, -1)
    batch = {
        "anchor": torch.zeros(rows, *shape),
        "memory": torch.zeros(rows, *shape),
        "memory_actions": actions[:, 0, :MEMORY],
        "future": torch.zeros(rows, 1, shape[0], FUTURE, *shape[1:]),
        "actions": actions,
    }
    return batch | flow_noise(batch, torch.Generator().manual_seed(0))


def _imitation_step(config: LoopConfig) -> float:
    instructions = [config.real.instruction(task) for task in config.tasks]
    tokenizer = build_tokenizer(instructions)
    policy = VLAPolicy.create(policy_size(config, len(tokenizer)), tokenizer, config.seed)
    rows = config.imitation.batch
    words, mask = policy.instructions.batch([instructions[0]] * rows)
    pictures = torch.zeros(rows, 3, config.resolution, config.resolution)
    chunks = torch.as_tensor(NOOP).expand(rows, CHUNK, -1)
    batch = {"pictures": pictures, "words": words, "word_mask": mask, "chunks": chunks}
    learner = ImitationLoss(policy)
    return _seconds(lambda: learner(batch)[0].backward())


def _reward_step(config: LoopConfig) -> float:
    instructions = [config.real.instruction(task) for task in config.tasks]
    learner = SuccessLoss(SuccessClassifier(instructions, config.resolution))
    rows = config.reward.batch
    batch = {
        "pictures": torch.zeros(rows, 3, config.resolution, config.resolution),
        "columns": torch.zeros(rows, dtype=torch.int64),
        "labels": torch.zeros(rows),
    }
    return _seconds(lambda: learner(batch)[0].backward())


def _seconds(work: Callable[[], object]) -> float:
    work()
    begin = time.monotonic()
    work()
    return time.monotonic() - begin


def _real_frame(config: LoopConfig) -> float:
    first = starts(config, [0])
    env = real_env(config, len(first), every_frame=True)
    actions = np.tile(NOOP, (len(first), 1, CHUNK, 1)).astype(np.float32)
    begin = time.monotonic()
    replay(env, first, actions, 0, "estimate")
    return (time.monotonic() - begin) / (len(first) * config.max_steps)
