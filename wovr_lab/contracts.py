"""The contracts that real and imagined worlds, policies and people at the inspector all keep.

A `ChunkEnv` is a gymnasium VectorEnv whose one action is a chunk of K actions a row:
- `reset(seed=..., options={"starts": [Start, ...], "reset_mask": bool [N]})` -> (observation, info). Rows outside the
  mask go on as they were. Without starts the environment draws its own from the seed, or each row from its own of a
  list of seeds. Other options are refused.
- `step(float32 [N, K, 7])` -> (observation, reward, terminated, truncated, info). The whole chunk is executed; a row
  ends at a chunk border. Reward is 1.0 in the chunk in which success is first reached, else 0. There is no autoreset: a
  row that has ended ignores its action, repeats its frame and earns 0; its flags stay up.
- observation: {"frame": uint8 [N, H, W, 3]}, and where the world has a robot's state, "state": float32 [N, D], named
  entries in the domain's own units (`env.robot`, see robot.py).
- step info: "frames" uint8 [N, K, H, W, 3], "success" bool [N, K] (latched), "executed" bool [N] (row was alive);
  worlds with a robot add "proprio" float32 [N, K, D] (reset: [N, D]), its state after each action; real environments
  add "states" float64 [N, K, S] (reset: [N, S]), the simulator's, imagined ones "success_probability" float32 [N, K].
`checks.check_chunk_env` states the same as a test.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from wovr_lab.borders import as_actions, as_array
from wovr_lab.errors import UserError
from wovr_lab.robot import Robot
from wovr_lab.start_checks import check_start, reset_options, seeds_of
from wovr_lab.types import ACTION_DIM, CHUNK, ActionChunk, Start

Observation = dict[str, np.ndarray]


@dataclass(frozen=True)
class ChunkFrames:
    """What one chunk led to in the rows that were still alive, n of them."""

    frames: np.ndarray  # uint8 [n, K, H, W, 3]; [n, 1, H, W, 3] where only the last frame of a chunk is rendered
    success: np.ndarray  # bool [n, K], after each action; need not be latched
    extra: dict[str, np.ndarray] = field(default_factory=dict)  # [n, K, ...], goes to info under its name


class ChunkEnv(VectorEnv):
    """Base of every vectorised environment here. It keeps the books (who is alive, latching, rewards, limits);
    a world implements `draw_starts`, `reset_rows` and `step_rows`.

    `hold_after_success` frames delay termination; `keyframe_steps` limits rollouts that start at a keyframe. A world
    with a `robot` says its state as "proprio" in what `reset_rows` and `step_rows` return.
    """

    def __init__(
        self, num_envs: int, resolution: int, max_steps: int, chunk: int = CHUNK,
        hold_after_success: int = 0, keyframe_steps: int | None = None, robot: Robot | None = None,
    ):  # fmt: skip
        limits = (max_steps, keyframe_steps or chunk)
        if num_envs < 1 or hold_after_success < 0 or any(limit < 1 or limit % chunk for limit in limits):
            raise UserError(
                f"cannot build {num_envs} environments of {max_steps} steps ({keyframe_steps} from keyframes) in "
                f"chunks of {chunk} holding {hold_after_success} frames: limits must be positive multiples of the chunk"
            )
        self.num_envs, self.max_steps, self.chunk = num_envs, max_steps, chunk
        self.hold_after_success, self.keyframe_steps = hold_after_success, keyframe_steps
        self.robot = robot
        spaces = {"frame": gym.spaces.Box(0, 255, (resolution, resolution, 3), np.uint8)}
        if robot is not None:
            spaces["state"] = robot.space
        self.single_observation_space = gym.spaces.Dict(spaces)
        self.single_action_space = gym.spaces.Box(-1.0, 1.0, (chunk, ACTION_DIM), np.float32)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.instructions: tuple[str, ...] = ("",) * num_envs
        self.metadata = {"autoreset_mode": gym.vector.AutoresetMode.DISABLED}
        self._frame = np.zeros((num_envs, resolution, resolution, 3), np.uint8)
        self._state = np.zeros((num_envs, len(robot.entries) if robot else 0), np.float32)
        self._succeeded, self._terminated, self._truncated = np.zeros((3, num_envs), bool)
        self._left, self._held = np.zeros((2, num_envs), np.int64)

    @property
    def resolution(self) -> int:
        """Side of a frame in pixels."""
        return self.single_observation_space["frame"].shape[0]

    @abstractmethod
    def draw_starts(self, count: int, seed: int) -> list[Start]:
        """The starts that a reset without starts uses."""

    @abstractmethod
    def reset_rows(self, rows: np.ndarray, starts: Sequence[Start], seed: int) -> dict[str, np.ndarray]:
        """Puts `rows` (indices) at these starts; returns extra reset info [len(rows), ...]."""

    @abstractmethod
    def step_rows(self, rows: np.ndarray, actions: np.ndarray) -> ChunkFrames:
        """Executes actions float32 [len(rows), K, 7] in these rows."""

    def reset(
        self, *, seed: int | Sequence[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """See the module. Raises UserError if the number or the size of the starts does not fit."""
        given = reset_options(options, ("starts", "reset_mask"))
        mask = as_array(given.get("reset_mask", np.ones(self.num_envs, bool)), "reset_mask", "b")
        seed, seeds = seeds_of(seed)
        if "starts" in given:
            starts = list(given["starts"])
        elif seeds:
            starts = [start for each in seeds for start in self.draw_starts(1, each)]
        else:
            starts = self.draw_starts(self.num_envs, seed)
        if len(starts) != self.num_envs or mask.shape != (self.num_envs,):
            raise UserError(f"{len(starts)} starts, a mask of {mask.shape}, {self.num_envs} rows: give one each")
        for start in starts:
            check_start(start, self._frame.shape[1:])
        rows = np.flatnonzero(mask)
        extra = self.reset_rows(rows, [starts[row] for row in rows], seed)
        if self.robot is not None and len(rows):
            self._state[rows] = extra["proprio"]
        for row in rows:
            self._frame[row] = starts[row].memory[-1]
            self._left[row] = self._steps_left(starts[row])
        for flags in (self._succeeded, self._terminated, self._truncated, self._held):
            flags[rows] = 0
        self.instructions = tuple(
            starts[row].instruction if mask[row] else old for row, old in enumerate(self.instructions)
        )
        info = {name: _spread(value, rows, self.num_envs) for name, value in extra.items()}
        return self._observation(), info | ({} if self.robot is None else {"proprio": self._state.copy()})

    def step(self, actions: np.ndarray) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """See the module. Raises UserError on actions that do not fit the action space."""
        actions = self.check_actions(actions)
        alive = ~(self._terminated | self._truncated)
        rows = np.flatnonzero(alive)
        before = self._succeeded.copy()
        success = np.repeat(before[:, None], self.chunk, 1)
        frames = np.repeat(self._frame[:, None], self.chunk, 1)
        info: dict[str, Any] = {"executed": alive}
        proprio = np.repeat(self._state[:, None], self.chunk, 1)
        if len(rows):
            result = self.step_rows(rows, actions[rows])
            success[rows] |= np.logical_or.accumulate(result.success, 1)
            frames = frames[:, : result.frames.shape[1]]
            frames[rows] = result.frames
            info |= {name: _spread(value, rows, self.num_envs) for name, value in result.extra.items()}
            self._count(rows, success)
            self._frame[rows] = result.frames[:, -1]
            if self.robot is not None:
                proprio[rows] = result.extra["proprio"]
                self._state = proprio[:, -1].copy()
        self._succeeded = success[:, -1].copy()
        reward = (self._succeeded & ~before).astype(np.float64)
        info |= {"success": success} | ({} if self.robot is None else {"proprio": proprio})
        if frames.shape[1] == self.chunk:
            info["frames"] = frames
        return self._observation(), reward, self._terminated.copy(), self._truncated.copy(), info

    def _count(self, rows: np.ndarray, success: np.ndarray) -> None:
        """Books a chunk: frames held since success, steps left, who has ended."""
        self._held[rows] += success[rows].sum(1)  # the successful frame and those after it
        self._left[rows] -= self.chunk
        done = success[rows, -1] & (self._held[rows] > self.hold_after_success)
        self._terminated[rows] = done
        self._truncated[rows] = ~done & (self._left[rows] <= 0)

    def _steps_left(self, start: Start) -> int:
        left = self.max_steps - start.step
        left += -left % self.chunk  # whole chunks
        return min(left, self.keyframe_steps) if self.keyframe_steps and start.step else left

    def _observation(self) -> Observation:
        return {"frame": self._frame.copy()} | ({} if self.robot is None else {"state": self._state.copy()})

    def check_actions(self, actions: np.ndarray) -> np.ndarray:
        """`actions` as float32 [N, K, 7]. Raises UserError on a wrong shape, NaN or a value outside [-1, 1]."""
        return as_actions(actions, self.action_space.shape)


def _spread(value: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    """`value` [len(rows), ...] as [count, ...] with zeros in the other rows."""
    full = np.zeros((count, *value.shape[1:]), value.dtype)
    full[rows] = value
    return full


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
