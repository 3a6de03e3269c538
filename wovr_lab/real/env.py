"""One real environment, tabletop or any other: what `RealChunkEnv` needs of it, as a plain gymnasium.Env.

In: one 7-number action a step. Out: {"frame": uint8 [H, W, 3], "state": float32 [D], where the world has a robot's},
reward 1.0 when success is first reached. Subclasses give physics (`apply_action`), pictures (`render_frame`),
proprioception and exact states; gymnasium's protocol and input checks stand here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import gymnasium as gym
import numpy as np

from wovr_lab.borders import as_array
from wovr_lab.errors import UserError
from wovr_lab.fields import Natural, check
from wovr_lab.robot import Robot
from wovr_lab.start_checks import reset_options
from wovr_lab.types import ACTION_DIM

TRAINING_SEEDS = 10_000  # initial states that training, collection and play may see have seeds below this
DISPLAY_RESOLUTION = 256  # pixels a side of the picture that `render` gives to people


class RealEnv(gym.Env, ABC):
    """Base of single real environments; `task`, `steps` and `success` (latched) describe the running episode."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 12}

    def __init__(self, task: str, resolution: int, max_steps: int, render_mode: str | None = None):
        if not 8 <= resolution <= 1024 or max_steps < 1:
            raise UserError(f"cannot run {max_steps} steps at {resolution} pixels: 1 step or more, 8 to 1024 pixels")
        if render_mode not in (None, "rgb_array"):
            raise UserError(f"render mode {render_mode!r} does not exist here; use 'rgb_array' or None")
        self.task, self.resolution, self.max_steps, self.render_mode = task, resolution, max_steps, render_mode
        self.steps, self.success = 0, False
        spaces = {"frame": gym.spaces.Box(0, 255, (resolution, resolution, 3), np.uint8)}
        if self.robot is not None:
            spaces["state"] = self.robot.space
        self.observation_space = gym.spaces.Dict(spaces)
        self.action_space = gym.spaces.Box(-1.0, 1.0, (ACTION_DIM,), np.float32)

    @property
    def robot(self) -> Robot | None:
        """What its robot's state holds; None for a world that has no proprioception."""
        return None

    def proprio(self) -> np.ndarray:
        """The robot's own state now, float32 [D] as `robot` describes it; D = 0 without one."""
        return np.zeros(0, np.float32)

    @property
    @abstractmethod
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks that `reset` can be asked for."""

    @property
    @abstractmethod
    def instruction(self) -> str:
        """The running task in words."""

    @abstractmethod
    def reset_task(self, task: str) -> None:
        """Sets the step-0 state of `task`, drawn from `self.np_random`. Raises UserError if the task is unknown."""

    @abstractmethod
    def apply_action(self, action: np.ndarray) -> None:
        """Physics of one action float [7] in [-1, 1], no picture; counts `steps` and latches `success`."""

    @abstractmethod
    def render_frame(self, resolution: int | None = None) -> np.ndarray:
        """The present picture, uint8 [H, W, 3]; at the environment's own resolution unless told."""

    @abstractmethod
    def get_state(self) -> np.ndarray:
        """The whole present, float64 [S]: physics, targets, goal, task, steps, success."""

    @abstractmethod
    def set_state(self, state: np.ndarray) -> None:
        """Restores `get_state` exactly, from any instance. Raises UserError if it is not such a state."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Begins an episode. Options: "task" (kept otherwise) and "state" (restored instead of drawing an initial one).

        Raises UserError on unknown options or tasks, and on a state that is not of the task asked for.
        """
        given = reset_options(options, ("task", "state"))
        if seed is not None:
            seed = int(check("seed", seed, Natural))
        self.reset_to(given.get("task"), seed, given.get("state"))
        return self.observe(), self._info()

    def reset_to(self, task: str | None, seed: int | None, state: np.ndarray | None) -> None:
        """`reset` without a picture. Raises UserError on an unknown task and on a state that is of another one."""
        super().reset(seed=seed)
        if state is None:
            self.reset_task(self.task if task is None else task)
            return
        self.set_state(state)
        if task not in (None, self.task):
            raise UserError(f"this state belongs to task {self.task!r}, not to {task!r}")

    def observe(self) -> dict[str, np.ndarray]:
        """The present as `step` and `reset` return it."""
        return {"frame": self.render_frame()} | ({} if self.robot is None else {"state": self.proprio()})

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """One action float32 [7]. Raises UserError on a wrong shape, NaN or a value outside [-1, 1]."""
        before = self.success
        self.apply_action(self._checked(action))
        reward = float(self.success and not before)
        truncated = not self.success and self.steps >= self.max_steps
        return self.observe(), reward, self.success, truncated, self._info()

    def render(self) -> np.ndarray | None:
        """A picture for people, uint8 [256, 256, 3]; None without a render mode."""
        return None if self.render_mode is None else self.render_frame(DISPLAY_RESOLUTION)

    def _info(self) -> dict[str, Any]:
        return {"success": self.success, "task": self.task, "instruction": self.instruction, "step": self.steps}

    def _checked(self, action: np.ndarray) -> np.ndarray:
        action = as_array(action, "an action").astype(np.float64)
        if action.shape != (ACTION_DIM,):
            raise UserError(f"an action has shape {action.shape}, this environment takes ({ACTION_DIM},)")
        if not np.isfinite(action).all() or np.abs(action).max() > 1.0 + 1e-6:
            raise UserError(f"action {action} is not finite or outside [-1, 1]; clip or rescale it")
        return action
