"""Real environments in processes of their own, one a core, behind the chunk contract (contracts.py).

In: a maker of `RealEnv`s that can be sent to another process. Out: `ChunkEnv`s with any number of rows, which may share
the processes. A row is a simulator state, not a simulator: a process is given a state and a chunk, and gives back
frames, successes and the next state. So it makes no difference which process does it, or that it died and another did
it again: the result is equal.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any, TypeVar

import numpy as np

from wovr_lab.contracts import ChunkFrames
from wovr_lab.errors import UserError
from wovr_lab.machine import cores
from wovr_lab.real.chunk_env import RealChunkEnv, began, run_chunk, start_of_seed, state_at, went_on
from wovr_lab.real.env import DISPLAY_RESOLUTION, TRAINING_SEEDS, RealEnv
from wovr_lab.robot import Robot
from wovr_lab.seeding import seed_of
from wovr_lab.types import Start

MOST_DEATHS = 3  # of processes, in one call
AT_ONCE = 4  # calls a process between two that are handed out, when many are made one after the other
Call = tuple[Callable[..., Any], tuple[Any, ...]]
Made = TypeVar("Made")


class Workers:
    """`processes` (all cores unless told) with one environment each, started when they are first needed."""

    def __init__(self, make_env: Callable[[], RealEnv], processes: int | None = None):
        self.make_env, self.processes = make_env, max(1, processes or cores())
        self._executor = self._start()

    def call(self, calls: Sequence[Call]) -> list[Any]:
        """The results of all calls in their order; those lost with a process are made again by new ones.

        Raises UserError if processes die again and again.
        """
        results: dict[int, Any] = {}
        for _ in range(MOST_DEATHS + 1):
            open_calls = [index for index in range(len(calls)) if index not in results]
            futures: dict[int, Future[Any]] = {}
            try:
                for index in open_calls:
                    function, arguments = calls[index]
                    futures[index] = self._executor.submit(function, *arguments)
                for index, future in futures.items():
                    results[index] = future.result()
                return [results[index] for index in range(len(calls))]
            except BrokenProcessPool:
                self._executor.shutdown(cancel_futures=True)
                self._executor = self._start()
        raise UserError(
            f"processes with real environments died {MOST_DEATHS + 1} times in a row; is there enough memory for "
            f"{self.processes}? Does a script of your own do its work under `if __name__ == '__main__':`?"
        )

    def starts_of(self, task: str, seeds: Iterable[int]) -> list[Start]:
        """The initial states of these seeds, made by all processes together."""
        return self.call([(_start_of_seed, (task, int(seed))) for seed in seeds])

    def each(self, make: Callable[..., Made], arguments: Sequence[tuple[Any, ...]]) -> Iterator[Made]:
        """What `make(environment, *arguments)` gives, in order; a few for each process are made ahead."""
        ahead = AT_ONCE * self.processes
        for first in range(0, len(arguments), ahead):
            yield from self.call([(_made, (make, *each)) for each in arguments[first : first + ahead]])

    def close(self) -> None:
        """Ends the processes."""
        self._executor.shutdown(cancel_futures=True)

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self.processes, get_context("spawn"), _prepare, (self.make_env,))


class PooledChunkEnv(RealChunkEnv):
    """A `RealChunkEnv` whose environments live in `workers`, `num_envs` rows; whoever made the workers ends them."""

    def __init__(
        self,
        workers: Workers,
        num_envs: int,
        hold_after_success: int = 0,
        every_frame: bool = True,
        keyframe_steps: int | None = None,
    ):
        self.workers = workers
        super().__init__(workers.make_env, num_envs, hold_after_success, every_frame, keyframe_steps)
        self.states: list[np.ndarray | None] = [None] * num_envs

    def _open(self, make_env: Callable[[], RealEnv], num_envs: int) -> tuple[int, int, Robot | None]:
        return self.workers.call([(_sizes, ())])[0]

    def draw_starts(self, count: int, seed: int) -> list[Start]:
        """Initial states of training seeds, tasks in turn."""
        seeds = [seed_of(seed, "initial", row) % TRAINING_SEEDS for row in range(count)]
        return self.workers.call([(_start_of_row, (row, env_seed)) for row, env_seed in enumerate(seeds)])

    def films(self, starts: Sequence[Start], actions: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Pictures for people, uint8 [T + 1, 256, 256, 3], of actions [T, 7] from each start; rows stay as they are."""
        calls = [(_film, (_bare(start), chosen)) for start, chosen in zip(starts, actions, strict=True)]
        return self.workers.call(calls)

    def reset_rows(self, rows: np.ndarray, starts: Sequence[Start], seed: int) -> dict[str, np.ndarray]:
        """See `RealChunkEnv.reset_rows`."""
        for start in starts:
            self._check(start)
        found = self.workers.call([(_state_at, (_bare(start),)) for start in starts])
        for row, (state, *_) in zip(rows, found, strict=True):
            self.states[row] = state
        return began(found)

    def step_rows(self, rows: np.ndarray, actions: np.ndarray) -> ChunkFrames:
        """See `RealChunkEnv.step_rows`."""
        calls = [(_advance, (self.states[row], chunk, self.every_frame))
                 for row, chunk in zip(rows, actions, strict=True)]  # fmt: skip
        results = self.workers.call(calls)
        for row, (_, _, states, _) in zip(rows, results, strict=True):
            self.states[row] = states[-1]
        return went_on(results)

    def close_extras(self, **kwargs: object) -> None:
        """Nothing of its own: other rows may go on with the same processes."""


def _bare(start: Start) -> Start:
    """A start without its pictures, which the simulator does not need and a pipe would have to carry."""
    return replace(start, anchor=start.anchor[:0], memory=start.memory[:0])


_ENV: list[RealEnv] = []  # the one environment of a process


def _prepare(make_env: Callable[[], RealEnv]) -> None:
    for threads in ("OMP_NUM_THREADS", "LP_NUM_THREADS"):  # one process a core: none may take two
        os.environ[threads] = "1"
    Thread(target=_end_with_parent, daemon=True).start()
    _ENV.append(make_env())


def _end_with_parent() -> None:
    """A process whose parent was killed would wait for its next call for ever, with all that it holds."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _sizes() -> tuple[int, int, Robot | None]:
    return _ENV[0].resolution, _ENV[0].max_steps, _ENV[0].robot


def _made(make: Callable[..., Made], *arguments: Any) -> Made:
    return make(_ENV[0], *arguments)


def _start_of_row(row: int, seed: int) -> Start:
    tasks = _ENV[0].tasks
    return start_of_seed(_ENV[0], tasks[row % len(tasks)], seed)


def _start_of_seed(task: str, seed: int) -> Start:
    return start_of_seed(_ENV[0], task, seed)


def _state_at(start: Start) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return state_at(_ENV[0], start)


def _film(start: Start, actions: np.ndarray) -> np.ndarray:
    env = _ENV[0]
    state_at(env, start)
    frames = [env.render_frame(DISPLAY_RESOLUTION)]
    for action in actions:
        env.apply_action(action)
        frames.append(env.render_frame(DISPLAY_RESOLUTION))
    return np.stack(frames)


def _advance(state: np.ndarray, actions: np.ndarray, every_frame: bool) -> tuple[np.ndarray, ...]:
    _ENV[0].set_state(state)
    return run_chunk(_ENV[0], actions, every_frame)
