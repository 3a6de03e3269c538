"""What GRPO adds to imagination and policy network: drawing, stacking, judging, selecting. Goal: at most a tenth."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import torch
from roofline import TASK, actors
from timing import Figure

from wovr_lab.grpo.trainer import GRPOConfig, GRPOTrainer
from wovr_lab.imagined.environment import ImaginedEnv
from wovr_lab.real.tabletop.chunk_env import initial_start
from wovr_lab.starts import InitialStarts
from wovr_lab.world.model import WorldModel


class Stopwatch:
    """Adds up the seconds spent in the functions that it wraps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            begin = time.perf_counter()
            try:
                return work(*arguments, **named)
            finally:
                self.seconds += time.perf_counter() - begin

        return wrapped


def bookkeeping(world: WorldModel, groups: int, turns: int) -> list[Figure]:
    """(a whole iteration - networks) / networks, where the networks are imagination, reward and policy."""
    policy, reward = actors(world)
    starts = InitialStarts(tuple(initial_start(TASK, seed, world.codec.config.resolution) for seed in range(groups)))
    config = GRPOConfig(groups=groups)
    env = ImaginedEnv(world, reward, groups * config.group_size, max_steps=48)
    trainer, shares = GRPOTrainer(policy, env, starts, config, run_seed=0), []
    # an untrained reward is about as sure of every frame; this threshold gives groups with both outcomes
    frames = env.reset(seed=0, options={"starts": starts.starts * config.group_size})[0]["frame"][:, None]
    reward.threshold.fill_(float(reward.probability(frames, env.instructions).mean()))
    for turn in range(turns + 1):
        watch = Stopwatch()
        with ExitStack() as stack:
            for owner, name in (
                (world, "imagine"), (world, "initial_context"), (reward, "probability"), (policy, "act"),
                (trainer.loss, "forward"), (torch.Tensor, "backward"), (trainer.optimizer, "step"),
            ):  # fmt: skip
                stack.enter_context(patch.object(owner, name, watch.timed(getattr(owner, name))))
            begin = time.perf_counter()
            values = trainer.iterate()
            whole = time.perf_counter() - begin
        if turn and values["mixed_groups"] > 0:
            shares.append(whole / watch.seconds - 1)
    return [Figure(f"batch_{groups * config.group_size}", "grpo_bookkeeping_share", tuple(shares))] if shares else []
