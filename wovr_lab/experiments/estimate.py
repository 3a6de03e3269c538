"""What a run will cost on this machine, said before it starts: training steps, an imagined chunk and real episodes are
timed and multiplied out. In: a configuration. Out: seconds by stage and the peak of memory.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from wovr_lab.pace.config import PixelWorldConfig, RunConfig
from wovr_lab.pace.data import real_env, starts
from wovr_lab.pace.learning import new_codec, new_pixel_world, new_transformer, policy_size
from wovr_lab.pace.rounds import Round, rounds
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


def estimate(config: RunConfig) -> tuple[dict[str, float], float]:
    """(seconds by stage, peak memory in GB). A first guess within a factor of two, not a promise."""
    world, rows = _world(config), config.world.training.batch
    learn, imagine = _work_in_pixels(world, config) if isinstance(world, PixelWorldModel) else _work(world, config)
    imagined_before = sum(depth * share for depth, share in enumerate(config.world.training.self_forcing))
    costs = _Costs(
        step=(1 + imagined_before / 3) * _seconds(learn),  # what was imagined before is forward only
        judging=_reward_step(config),
        imitating=_imitation_step(config),
        imagined=OVERHEAD * _seconds(imagine) * config.world.sampler_steps / world.sampler.steps / (rows * CHUNK),
        real=_real_frame(config),
    )
    length, tasks, data = config.max_steps, len(config.tasks), config.data
    collected = data.rollouts + data.demonstrations + (len(rounds(config)) - 1) * config.rl.refinement_rollouts
    frames = length * (tasks * collected + data.play)
    latent = 0 if isinstance(world, PixelWorldModel) else 2 * int(np.prod(world.codec.latent_shape))
    bytes_a_frame = 3 * config.resolution**2 + latent
    parameters = sum(parameter.numel() for parameter in world.parameters())
    return _by_stage(config, costs), (1.0e9 + 2 * frames * bytes_a_frame + 30 * parameters) / 1e9


@dataclass(frozen=True)
class _Costs:
    """Seconds of a training step of world model, reward and policy, and of an imagined and a real frame."""

    step: float
    judging: float
    imitating: float
    imagined: float
    real: float


def _by_stage(config: RunConfig, costs: _Costs) -> dict[str, float]:
    data, real, imagined = config.data, costs.real, costs.imagined
    frames = config.max_steps * len(config.tasks)  # of an episode of every task
    reward, gate = costs.judging * config.reward.training.fit.steps, imagined * frames * _gate_episodes(config)
    seconds = {
        "sft": 1.5 * costs.imitating * config.imitation.training.fit.steps,
        "collect": real * frames * (data.rollouts + _gate_episodes(config)),
        "train_world": costs.step * config.world.training.fit.steps,
        "confront": (imagined + real) * frames * data.imagined_actions,
        "train_reward": reward,
    }
    for phase in rounds(config):
        seconds |= {phase.gate: gate, phase.name: _improve(config, costs, phase)}
        if not phase.is_last:
            seconds[phase.collect] = real * frames * config.rl.refinement_rollouts
            seconds[phase.refine] = costs.step * config.world.refinement.fit.steps + reward
    return seconds | {"evaluate": real * frames * config.evaluation.starts * 4}


def _gate_episodes(config: RunConfig) -> int:
    """A task."""
    return config.gate_policies * config.data.gate_episodes


def _improve(config: RunConfig, costs: _Costs, phase: Round) -> float:
    """Seconds of a round of RL."""
    rl, frames = config.rl, config.max_steps * len(config.tasks)
    draws = (1 + rl.max_resamples) / 2  # on average, more or less
    rollouts = draws * rl.groups * rl.group_size * rl.keyframe_steps
    imitation = 0.0
    if rl.filtered_bc:
        imitation = costs.imitating * rl.filtered_bc.training.fit.steps
        if rl.filtered_bc.in_imagination:  # twice of what succeeds, half of the rollouts or so
            imitation += costs.imagined * frames * config.data.rollouts
        imitation *= 1 + (phase.is_last and rl.filtered_bc.after_last_round)
    checks = frames * (costs.imagined + costs.real) * (rl.monitor.starts + config.evaluation.check_starts)
    updates = costs.imagined * rl.iterations[phase.number - 1] * rollouts * 1.3
    return updates + rl.most_checks(phase.number) * checks + imitation + _refreshes(config, costs, phase)


def _refreshes(config: RunConfig, costs: _Costs, phase: Round) -> float:
    """Seconds in which the simulator learns during a round: after every check but the last."""
    steps = ((config.world.refresh, costs.step), (config.reward.refresh, costs.judging))
    once = sum(seconds * training.fit.steps for training, seconds in steps if training is not None)
    return math.ceil(config.rl.iterations[phase.number - 1] / config.rl.monitor.every) * once


def _world(config: RunConfig) -> WorldModel | PixelWorldModel:
    if config.world.backbone is not None:
        return load_backbone(config.world.backbone)
    if isinstance(config.world, PixelWorldConfig):
        return new_pixel_world(config, config.world)
    return WorldModel(new_codec(config, config.world), new_transformer(config, config.world))


def _work(world: WorldModel, config: RunConfig) -> tuple[Callable[[], object], Callable[[], object]]:
    """A training step of the latent world model, and what imagines a batch of chunks."""
    batch = _random_batch(world, config.world.training.batch)
    learner = FlowMatchingLoss(world, config.world.training.motion_weight, config.world.training.self_forcing_steps)
    context = Context(batch["anchor"], batch["memory"], batch["memory_actions"])
    return (
        lambda: learner(batch)[0].backward(),
        lambda: world.imagine_latents(context, batch["actions"][:, 0], batch["noise"][:, 0]),
    )


def _work_in_pixels(world: PixelWorldModel, config: RunConfig) -> tuple[Callable[[], object], Callable[[], object]]:
    """A training step of the world model in pixels, and what imagines a batch of chunks, from initial states."""
    rows = config.world.training.batch
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


def _imitation_step(config: RunConfig) -> float:
    instructions = [config.real.instruction(task) for task in config.tasks]
    tokenizer = build_tokenizer(instructions)
    policy = VLAPolicy.create(policy_size(config, len(tokenizer)), tokenizer, config.seed)
    rows = config.imitation.training.batch
    words, mask = policy.instructions.batch([instructions[0]] * rows)
    pictures = torch.zeros(rows, 3, config.resolution, config.resolution)
    chunks = torch.as_tensor(NOOP).expand(rows, CHUNK, -1)
    batch = {"pictures": pictures, "words": words, "word_mask": mask, "chunks": chunks}
    learner = ImitationLoss(policy)
    return _seconds(lambda: learner(batch)[0].backward())


def _reward_step(config: RunConfig) -> float:
    instructions = [config.real.instruction(task) for task in config.tasks]
    learner = SuccessLoss(SuccessClassifier(instructions, config.resolution))
    rows = config.reward.training.batch
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


def _real_frame(config: RunConfig) -> float:
    first = starts(config, [0])
    env = real_env(config, len(first), every_frame=True)
    actions = np.tile(NOOP, (len(first), 1, CHUNK, 1)).astype(np.float32)
    begin = time.monotonic()
    replay(env, first, actions, 0, "estimate")
    return (time.monotonic() - begin) / (len(first) * config.max_steps)
