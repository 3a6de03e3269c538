"""Real environments behind the chunk contract (contracts.py): one a row, a chunk of K actions executed open loop.

In: a maker of `RealEnv`s, tabletop or another. Out: a `ChunkEnv` that rollouts, GRPO, evaluation and the inspector use
without knowing that it is real (paper section 1: one decision = 8 actions). A keyframe start restores the simulator at
action k of its episode (section 3).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from wovr_lab.contracts import ChunkEnv, ChunkFrames
from wovr_lab.errors import UserError, warn
from wovr_lab.real.env import TRAINING_SEEDS, RealEnv
from wovr_lab.robot import Robot
from wovr_lab.seeding import seed_of
from wovr_lab.types import CHUNK, MEMORY, NOOP, Start


class RealChunkEnv(ChunkEnv):
    """Rows are independent environments from `make_env`; without `every_frame` only a chunk's last frame is drawn."""

    def __init__(
        self,
        make_env: Callable[[], RealEnv],
        num_envs: int,
        hold_after_success: int = 0,
        every_frame: bool = True,
        keyframe_steps: int | None = None,
    ):
        if num_envs < 1:
            raise UserError(f"{num_envs} real environments cannot run; make one or more")
        resolution, max_steps, robot = self._open(make_env, num_envs)
        super().__init__(
            num_envs, resolution, max_steps + -max_steps % CHUNK, CHUNK,  # an env itself ends at its exact limit
            hold_after_success=hold_after_success, keyframe_steps=keyframe_steps, robot=robot,
        )  # fmt: skip
        self.every_frame = every_frame

    def _open(self, make_env: Callable[[], RealEnv], num_envs: int) -> tuple[int, int, Robot | None]:
        """Makes the environments; their resolution, limit and robot."""
        self.envs = [make_env() for _ in range(num_envs)]
        return self.envs[0].resolution, self.envs[0].max_steps, self.envs[0].robot

    def draw_starts(self, count: int, seed: int) -> list[Start]:
        """Initial states of training seeds, tasks in turn."""
        env = self.envs[0]
        return [
            start_of_seed(env, env.tasks[row % len(env.tasks)], seed_of(seed, "initial", row) % TRAINING_SEEDS)
            for row in range(count)
        ]

    def reset_rows(self, rows: np.ndarray, starts: Sequence[Start], seed: int) -> dict[str, np.ndarray]:
        """Restores the starts' states, or makes their seeds' initial states.

        Raises UserError on a start that has neither, or at which its episode is already over.
        """
        for start in starts:
            self._check(start)
        return began([state_at(self.envs[row], start) for row, start in zip(rows, starts, strict=True)])

    def step_rows(self, rows: np.ndarray, actions: np.ndarray) -> ChunkFrames:
        """Physics and pictures of one chunk in these rows."""
        results = [run_chunk(self.envs[row], chunk, self.every_frame) for row, chunk in zip(rows, actions, strict=True)]
        return went_on(results)

    def close_extras(self, **kwargs: object) -> None:
        """Closes the single environments; gymnasium's `close` calls it once."""
        for env in self.envs:
            env.close()

    def _check(self, start: Start) -> None:
        if start.state is None and (start.step > 0 or start.seed < 0):
            raise UserError(
                f"a start of {start.task!r} at action {start.step} has no simulator state and no seed, so the real "
                "world cannot begin there; use episodes that recorded their states"
            )
        if start.step >= self.max_steps:
            raise UserError(
                f"a start at action {start.step} is beyond the limit of {self.max_steps}; choose an earlier one"
            )


def state_at(env: RealEnv, start: Start) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Puts `env` at a start; its simulator's state there, its robot's, and whether the task is done there."""
    env.reset_to(start.task, start.seed if start.state is None else None, start.state)
    return env.get_state(), env.proprio(), np.array(bool(env.success))


def began(found: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> dict[str, np.ndarray]:
    """What `state_at` gave for some rows, as a reset's info. Warns of starts at which there is nothing left to do."""
    if not found:
        return {}
    states, proprio, done = (np.stack(column) for column in zip(*found, strict=True))
    if done.any():
        warn(f"the task is done already at {done.sum()} of {len(done)} starts: those are successes of whoever acts")
    return {"states": states} | ({"proprio": proprio} if proprio.shape[-1] else {})


def run_chunk(env: RealEnv, actions: np.ndarray, every_frame: bool) -> tuple[np.ndarray, ...]:
    """Executes actions [K, 7]: frames uint8 [K or 1, H, W, 3], success bool [K], the simulator's states float64 [K, S],
    the robot's float32 [K, D]."""
    frames, success, states, proprio = [], [], [], []
    for index, action in enumerate(actions):
        env.apply_action(action)
        success.append(env.success)
        states.append(env.get_state())
        proprio.append(env.proprio())
        if every_frame or index == len(actions) - 1:
            frames.append(env.render_frame())
    return np.stack(frames), np.array(success), np.stack(states), np.stack(proprio)


def went_on(results: Sequence[tuple[np.ndarray, ...]]) -> ChunkFrames:
    """What `run_chunk` gave for some rows."""
    frames, success, states, proprio = (np.stack(column) for column in zip(*results, strict=True))
    return ChunkFrames(frames, success, {"states": states} | ({"proprio": proprio} if proprio.shape[-1] else {}))


def start_of_seed(env: RealEnv, task: str, seed: int) -> Start:
    """The initial state of a seed as a start: the real first frame fills anchor and memory. Resets `env`."""
    observation, _ = env.reset(seed=seed, options={"task": task})
    frame = observation["frame"]
    return Start(
        task=env.task,
        instruction=env.instruction,
        anchor=frame,
        memory=np.repeat(frame[None], MEMORY, 0),
        memory_actions=np.repeat(NOOP[None], MEMORY, 0),
        seed=seed,
        state=env.get_state(),
        proprio=None if env.robot is None else np.repeat(env.proprio()[None], MEMORY, 0),
    )
