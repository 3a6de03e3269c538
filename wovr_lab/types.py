"""What flows round the loop: episodes, starts, action chunks, rollouts. Frozen; a shape comment on each field.

N rows, T actions, C chunks, K actions a chunk, M memory frames, H x W pixels. Frames are upright uint8 RGB;
actions are LIBERO's 7 numbers (dx, dy, dz, droll, dpitch, dyaw, gripper -1 open / +1 close) in [-1, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

CHUNK = 8  # actions in one decision (paper section 1)
MEMORY = 4  # latest real or imagined frames in the context (paper section 2)
ACTION_DIM = 7
NOOP = np.array([0, 0, 0, 0, 0, 0, -1], np.float32)  # "produced" a first frame: stand still, gripper open


@dataclass(frozen=True)
class Episode:
    """One real (or imagined) trajectory; `frames[t + 1]` and `success[t]` are what `actions[t]` led to."""

    task: str
    instruction: str
    seed: int  # of the initial state; -1 if unknown
    frames: np.ndarray  # uint8 [T + 1, H, W, 3]
    actions: np.ndarray  # float32 [T, 7], as executed
    success: np.ndarray  # bool [T], latched at its first hit
    states: np.ndarray | None = None  # float64 [T + 1, S], full simulator state
    expert_actions: np.ndarray | None = None  # float32 [T, 7], clean labels of noisy demonstrations
    proprio: np.ndarray | None = None  # float32 [T + 1, D], the robot's own state (robot.py), where the domain has one

    def __len__(self) -> int:
        return len(self.actions)

    @property
    def first_success(self) -> int:
        """Index of the first successful action, -1 if there is none."""
        return int(self.success.argmax()) if self.success.any() else -1


@dataclass(frozen=True)
class Start:
    """Where a rollout begins: the context [o_0, o_{k-3..k}] of paper section 3. k = 0 is an initial state."""

    task: str
    instruction: str
    anchor: np.ndarray  # uint8 [H, W, 3], o_0
    memory: np.ndarray  # uint8 [M, H, W, 3], o_{k-3..k}, oldest first; o_0 replicated where k < 3
    memory_actions: np.ndarray  # float32 [M, 7], the actions that produced the memory frames; NOOP before the first
    step: int = 0  # k, actions taken before this start
    seed: int = -1
    state: np.ndarray | None = None  # float64 [S], simulator state at k, where it is known
    proprio: np.ndarray | None = None  # float32 [M, D], the robot's own state at the memory frames, where it has one

    @property
    def kind(self) -> str:
        return "initial" if self.step == 0 else "keyframe"


@dataclass(frozen=True)
class ActionChunk:
    """One decision a row. Tokens and log-probabilities are None for actors that have none (expert, human)."""

    actions: np.ndarray  # float32 [N, K, 7] in [-1, 1]
    tokens: Tensor | None = None  # int64 [N, K, 7]
    log_probs: Tensor | None = None  # float32 [N, K, 7]


@dataclass(frozen=True)
class Rollouts:
    """N trajectories of an actor in a chunk environment, real or imagined."""

    starts: tuple[Start, ...]
    frames: np.ndarray  # uint8 [N, C, H, W, 3], what the actor saw before each chunk
    actions: np.ndarray  # float32 [N, C, K, 7]
    executed: np.ndarray  # bool [N, C], False once the row had finished
    success: np.ndarray  # bool [N, C * K], latched
    tokens: Tensor | None = None  # int64 [N, C, K, 7]
    log_probs: Tensor | None = None  # float32 [N, C, K, 7]
    video: np.ndarray | None = None  # uint8 [N, C * K + 1, H, W, 3], every frame
    states: np.ndarray | None = None  # float64 [N, C * K + 1, S]
    proprio: np.ndarray | None = None  # float32 [N, C * K + 1, D], real or imagined

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def instructions(self) -> tuple[str, ...]:
        return tuple(start.instruction for start in self.starts)

    @property
    def succeeded(self) -> np.ndarray:
        """bool [N]"""
        return self.success.any(axis=1)

    @property
    def first_success(self) -> np.ndarray:
        """int64 [N], index of the first successful action, -1 if there is none."""
        return np.where(self.succeeded, self.success.argmax(axis=1), -1)

    @property
    def steps(self) -> np.ndarray:
        """int64 [N], actions executed."""
        return self.executed.sum(axis=1) * self.actions.shape[2]

    def episodes(self) -> list[Episode]:
        """The rows as episodes, cut where they ended. Raises ValueError if the rollout kept no video."""
        if self.video is None:
            raise ValueError("these rollouts kept no video: roll out with video=True to store them")
        flat = self.actions.reshape(len(self), -1, ACTION_DIM)
        return [
            Episode(
                task=start.task,
                instruction=start.instruction,
                seed=start.seed,
                frames=self.video[row, : steps + 1],
                actions=flat[row, :steps],
                success=self.success[row, :steps],
                states=None if self.states is None else self.states[row, : steps + 1],
                proprio=None if self.proprio is None else self.proprio[row, : steps + 1],
            )
            for row, (start, steps) in enumerate(zip(self.starts, self.steps.tolist(), strict=True))
        ]


@dataclass(frozen=True)
class Interval:
    """A rate or a mean with its 95 % interval."""

    rate: float
    n: int
    low: float
    high: float
