"""The contracts that real and imagined worlds, policies and people at the inspector all keep.

A `ChunkEnv` is a gymnasium VectorEnv whose one action is a chunk of K actions a row:
- `reset(seed=..., options={"starts": [Start, ...], "reset_mask": bool [N]})` -> (observation, info). Rows outside the
  mask go on as they were. Without starts the environment draws its own from the seed.
- `step(float32 [N, K, 7])` -> (observation, reward, terminated, truncated, info). The whole chunk is executed; a row ends
  at a chunk border. Reward is 1.0 in the chunk in which success is first reached, else 0. There is no autoreset: a row
  that has ended ignores its action, repeats its frame and earns 0; its flags stay up.
- observation: {"frame": uint8 [N, H, W, 3]}.
- step info: "frames" uint8 [N, K, H, W, 3], "success" bool [N, K] (latched), "executed" bool [N] (row was alive);
  real environments add "states" float64 [N, K, S] (reset: [N, S]), imagined ones "success_probability" float32 [N, K].
`checks.check_chunk_env` states the same as a test.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from wovr_lab.errors import UserError
from wovr_lab.types import ACTION_DIM, CHUNK, ActionChunk

Observation = dict[str, np.ndarray]


class ChunkEnv(VectorEnv):
    """Base of every vectorised environment here; subclasses implement `reset` and `step` as the module says."""

    def __init__(self, num_envs: int, resolution: int, max_steps: int, chunk: int = CHUNK, hold_after_success: int = 0):
        if num_envs < 1 or max_steps < 1 or max_steps % chunk or hold_after_success < 0:
            raise UserError(
                f"cannot build {num_envs} environments of {max_steps} steps in chunks of {chunk} holding "
                f"{hold_after_success} frames: counts must be positive and max_steps a multiple of the chunk"
            )
        self.num_envs, self.max_steps, self.chunk = num_envs, max_steps, chunk
        self.hold_after_success = hold_after_success
        frame = gym.spaces.Box(0, 255, (resolution, resolution, 3), np.uint8)
        self.single_observation_space = gym.spaces.Dict({"frame": frame})
        self.single_action_space = gym.spaces.Box(-1.0, 1.0, (chunk, ACTION_DIM), np.float32)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.instructions: tuple[str, ...] = ("",) * num_envs
        self.metadata = {"autoreset_mode": gym.vector.AutoresetMode.DISABLED}

    @property
    def resolution(self) -> int:
        return self.single_observation_space["frame"].shape[0]

    def check_actions(self, actions: np.ndarray) -> np.ndarray:
        """`actions` as float32 [N, K, 7]. Raises UserError on a wrong shape, NaN or a value outside [-1, 1]."""
        actions = np.asarray(actions, np.float32)
        if actions.shape != self.action_space.shape:
            raise UserError(f"actions have shape {actions.shape}, this environment takes {self.action_space.shape}")
        if not np.isfinite(actions).all():
            raise UserError("actions contain NaN or infinity; check the policy that produced them")
        if np.abs(actions).max() > 1.0 + 1e-6:
            raise UserError(f"actions reach {np.abs(actions).max():.3g}, the range is [-1, 1]; clip or rescale them")
        return actions

    @abstractmethod
    def reset(
        self, *, seed: int | list[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]: ...

    @abstractmethod
    def step(
        self, actions: np.ndarray
    ) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]: ...


class Actor(Protocol):
    """Whatever chooses actions: policy, expert, random, a person."""

    def act(
        self, observation: Observation, instructions: tuple[str, ...], generator: torch.Generator, temperature: float
    ) -> ActionChunk:
        """One chunk a row; temperature 0 is greedy."""
        ...


class TrainablePolicy(Actor, Protocol):
    """An actor whose choices have probabilities that can be raised or lowered."""

    def log_prob(
        self, observation: Observation, instructions: tuple[str, ...], tokens: Tensor, temperature: float
    ) -> Tensor:
        """Log-probabilities float32 [N, K, 7] of `tokens` int64 [N, K, 7] at that temperature, differentiable."""
        ...
