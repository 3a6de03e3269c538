"""Real environments behind the chunk contract (contracts.py): one row each, one action = K actions executed open loop.

In: any maker of `RealEnv`s, tabletop or another. Out: a `ChunkEnv` that rollouts, GRPO, evaluation and the inspector use
without knowing that it is real (paper section 1: one decision = 8 actions). A keyframe start restores the simulator at
action k of its episode and has what is left of `max_steps`, rounded up to whole chunks (section 3).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from wovr_lab.contracts import ChunkEnv, Observation
from wovr_lab.errors import UserError
from wovr_lab.real.single import RealEnv
from wovr_lab.real.tabletop import TabletopEnv
from wovr_lab.seeding import seed_of
from wovr_lab.types import CHUNK, HOLD, MEMORY, Start

TRAINING_SEEDS = 10_000  # initial states that training may see: 0 to 9,999


class RealChunkEnv(ChunkEnv):
    """Rows are independent environments from `make_env`; `every_frame=False` draws only the last frame of each chunk."""

    def __init__(
        self,
        make_env: Callable[[], RealEnv],
        num_envs: int,
        hold_after_success: int = 0,
        every_frame: bool = True,
        chunk: int = CHUNK,
    ):
        envs = [make_env() for _ in range(num_envs)]
        if not envs:
            raise UserError("a real chunk environment needs one row or more")
        super().__init__(num_envs, envs[0].resolution, envs[0].max_steps, chunk, hold_after_success)
        self.every_frame = every_frame
        self.rows = [_Row(env, chunk, hold_after_success, every_frame) for env in envs]

    def reset(
        self, *, seed: int | list[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begins the rows in "reset_mask" (all by default) at their "starts", one a row, or at seeds of its own drawing.

        Raises UserError on unknown options, a wrong number of starts, and starts that cannot be restored.
        """
        super().reset(seed=seed if isinstance(seed, int) else None)
        options = options or {}
        unknown = options.keys() - {"starts", "reset_mask"}
        if unknown:
            raise UserError(f"unknown reset options {sorted(unknown)}; use 'starts' and 'reset_mask'")
        mask = self._checked_mask(options.get("reset_mask"))
        starts = options.get("starts")
        if starts is not None and len(starts) != self.num_envs:
            raise UserError(
                f"{len(starts)} starts were given for {self.num_envs} rows; give one a row, also unmasked ones"
            )
        seeds = self._own_seeds(seed) if starts is None else [0] * self.num_envs
        for index in np.flatnonzero(mask):
            if starts is None:
                self.rows[index].begin_at_seed(seeds[index])
            else:
                self.rows[index].begin(starts[index])
        self.instructions = tuple(row.env.instruction for row in self.rows)
        return self._observation(), {"states": np.stack([row.state for row in self.rows])}

    def step(self, actions: np.ndarray) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Executes one chunk a row, float32 [N, K, 7]. Raises UserError on bad actions, and before the first reset."""
        actions = self.check_actions(actions)
        if any(row.frame is None for row in self.rows):
            raise UserError("this environment has not been reset yet; call reset before step")
        executed = np.array([not row.ended for row in self.rows])
        reward = np.array([row.step(chunk) for row, chunk in zip(self.rows, actions, strict=True)])
        info: dict[str, Any] = {
            "success": np.stack([row.success for row in self.rows]),
            "executed": executed,
            "states": np.stack([row.states for row in self.rows]),
        }
        if self.every_frame:
            info["frames"] = np.stack([row.frames for row in self.rows])
        terminated = np.array([row.terminated for row in self.rows])
        truncated = np.array([row.truncated for row in self.rows])
        return self._observation(), reward, terminated, truncated, info

    def _observation(self) -> Observation:
        return {"frame": np.stack([row.frame for row in self.rows])}

    def _checked_mask(self, mask: np.ndarray | None) -> np.ndarray:
        mask = np.ones(self.num_envs, bool) if mask is None else np.asarray(mask)
        if mask.shape != (self.num_envs,) or mask.dtype != bool:
            raise UserError(f"reset_mask must be bool [{self.num_envs}], got {mask.dtype} {list(mask.shape)}")
        unseen = [index for index, row in enumerate(self.rows) if row.frame is None and not mask[index]]
        if unseen:
            raise UserError(f"rows {unseen} have never been reset; the first reset must include every row")
        return mask

    def _own_seeds(self, seed: int | list[int] | None) -> list[int]:
        if isinstance(seed, list):
            if len(seed) != self.num_envs:
                raise UserError(f"{len(seed)} seeds were given for {self.num_envs} rows; give one a row")
            return seed
        run = seed if seed is not None else int(self.np_random.integers(2**31))
        return [seed_of(run, "row", index) % TRAINING_SEEDS for index in range(self.num_envs)]

    def close_extras(self, **kwargs: Any) -> None:
        """Closes the rows' environments; called once by gymnasium's `close`."""
        for row in self.rows:
            row.env.close()


class _Row:
    """One real environment, what it shows now, what its last chunk gave, and when it ends."""

    def __init__(self, env: RealEnv, chunk: int, hold_after_success: int, every_frame: bool):
        self.env, self.chunk = env, chunk
        self.hold_after_success, self.every_frame = hold_after_success, every_frame
        self.frame: np.ndarray | None = None  # uint8 [H, W, 3]; None before the first reset
        self.frames: np.ndarray | None = None  # uint8 [K, H, W, 3]

    @property
    def ended(self) -> bool:
        return self.terminated or self.truncated

    def begin(self, start: Start) -> None:
        """Restores the start's state, or makes its seed's initial state. Raises UserError if it has neither."""
        if start.state is None and (start.step > 0 or start.seed < 0):
            raise UserError(f"this start of {start.task!r} (action {start.step}) carries no simulator state, so that a real "
                            "environment cannot begin there; record states with the episodes")  # fmt: skip
        if start.step >= self.env.max_steps:
            raise UserError(f"this start is at action {start.step}, the episode ends at {self.env.max_steps}; choose an "
                            "earlier one")  # fmt: skip
        seed = start.seed if start.state is None else None
        self._begin(self.env.reset(seed=seed, options={"task": start.task, "state": start.state}), start.step)

    def begin_at_seed(self, seed: int) -> None:
        """The initial state of a seed, in the environment's present task."""
        self._begin(self.env.reset(seed=seed), 0)

    def _begin(self, reset: tuple[Observation, dict[str, Any]], step: int) -> None:
        self.frame, self.state = reset[0]["frame"], self.env.get_state()
        self.success = np.zeros(self.chunk, bool)
        self.terminated = self.truncated = False
        self.held, self.chunks_left = 0, -(-(self.env.max_steps - step) // self.chunk)

    def step(self, actions: np.ndarray) -> float:
        """One chunk float32 [K, 7], ignored if the row has ended; its reward."""
        before = self.success[-1]
        if self.ended:
            self._rest()
        else:
            self._run(actions)
        return float(self.success[-1] and not before)

    def _run(self, actions: np.ndarray) -> None:
        success, states, frames = [], [], []
        for action in actions:
            self.held += self.env.success
            self.env.advance(action)
            success.append(self.env.success)
            states.append(self.env.get_state())
            if self.every_frame:
                frames.append(self.env.look())
        self.success, self.states, self.state = np.array(success), np.stack(states), states[-1]
        self.frames = np.stack(frames) if frames else None
        self.frame = frames[-1] if frames else self.env.look()
        self.chunks_left -= 1
        self.terminated = bool(success[-1] and self.held >= self.hold_after_success)
        self.truncated = not self.terminated and self.chunks_left == 0

    def _rest(self) -> None:
        self.success = np.repeat(self.success[-1:], self.chunk)
        self.states = np.repeat(self.state[None], self.chunk, 0)
        self.frames = np.repeat(self.frame[None], self.chunk, 0)


def tabletop_chunks(
    num_envs: int,
    resolution: int = 32,
    max_steps: int = 48,
    hold_after_success: int = 0,
    every_frame: bool = True,
) -> RealChunkEnv:
    """The tabletop as a chunk environment; tasks come with the starts."""
    return RealChunkEnv(
        lambda: TabletopEnv(resolution=resolution, max_steps=max_steps), num_envs, hold_after_success, every_frame
    )


def initial_start(task: str, seed: int, resolution: int = 32) -> Start:
    """The tabletop's initial state of a seed as a start: the real first frame fills anchor and memory."""
    env = TabletopEnv(task, resolution)
    observation, _ = env.reset(seed=seed)
    frame = observation["frame"]
    return Start(
        task=env.task,
        instruction=env.instruction,
        anchor=frame,
        memory=np.repeat(frame[None], MEMORY, 0),
        memory_actions=np.repeat(HOLD[None], MEMORY, 0),
        seed=seed,
        state=env.get_state(),
    )
