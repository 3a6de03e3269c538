"""The chunk environment's contract (contracts.py) as a test that real and imagined worlds must pass alike.

In: a maker of environments and one start a row. Out: nothing, or an AssertionError that names the broken rule. It knows
no physics: success may never come. Tests call it, and whoever brings an environment of their own.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from wovr_lab.contracts import ChunkEnv, Observation
from wovr_lab.errors import UserError, require
from wovr_lab.state_checks import check_first_state, check_last_state, check_state
from wovr_lab.types import ACTION_DIM, Start

SEED = 11


@dataclass(frozen=True)
class _Step:
    """What one call of `step` gave."""

    observation: Observation
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    info: dict[str, Any]

    @property
    def ended(self) -> np.ndarray:
        return self.terminated | self.truncated


def check_chunk_env(make_env: Callable[[], ChunkEnv], starts: Sequence[Start]) -> None:
    """Raises AssertionError naming the first broken rule of the contract; `starts` holds one start a row.

    The environments are made here, three of them one after the other, and closed again.
    """
    env = make_env()
    _check_spaces(env, starts)
    recorded = _check_episode(env, starts)
    _check_bad_actions_are_refused(env, starts)
    _check_bad_starts_are_refused(env, starts)
    _check_same_seed_gives_the_same(env, starts, recorded, "the same environment, reset again")
    env.close()
    other = make_env()
    _check_same_seed_gives_the_same(other, starts, recorded, "another instance")
    other.close()
    if len(starts) > 1:
        masked = make_env()
        _check_reset_mask(masked, starts, recorded)
        masked.close()


def _check_spaces(env: ChunkEnv, starts: Sequence[Start]) -> None:
    rows, chunk = env.num_envs, env.chunk
    require(isinstance(env, ChunkEnv), f"{type(env).__name__} is not a ChunkEnv")
    require(len(starts) == rows, f"the check needs one start a row: {len(starts)} starts, {rows} rows")
    require(
        env.single_action_space == gym.spaces.Box(-1.0, 1.0, (chunk, ACTION_DIM), np.float32),
        f"a row's action must be Box(-1, 1, ({chunk}, {ACTION_DIM})), is {env.single_action_space}",
    )
    autoreset = env.metadata.get("autoreset_mode")
    require(autoreset == gym.vector.AutoresetMode.DISABLED, f"autoreset must be disabled, is {autoreset}")


def _actions(env: ChunkEnv, count: int) -> list[np.ndarray]:
    generator = np.random.default_rng(SEED)
    shape = (env.num_envs, env.chunk, ACTION_DIM)
    return [generator.uniform(-1, 1, shape).astype(np.float32) for _ in range(count)]


def _check_episode(env: ChunkEnv, starts: Sequence[Start]) -> list[_Step]:
    """One whole episode and two chunks beyond its end; every rule about single steps."""
    before = _global_randomness()
    observation, info = env.reset(seed=SEED, options={"starts": list(starts)})
    _check_observation(env, observation, "reset")
    check_first_state(env, observation, info, starts)
    require(isinstance(info, dict), f"reset must give an info dictionary, gave {type(info).__name__}")
    wanted = tuple(start.instruction for start in starts)
    require(env.instructions == wanted, f"instructions must be those of the starts: {env.instructions}, not {wanted}")
    books = _Books(env, observation["frame"], observation.get("state"), starts)
    limit = int(books.limits.max())
    recorded = []
    for chunk, actions in enumerate(_actions(env, limit + 2)):
        given = actions.copy()
        step = _Step(*env.step(actions))
        require((actions == given).all(), f"step must not write into its actions, did in chunk {chunk}")
        _check_step_shapes(env, step)
        books.check(step, chunk)
        recorded.append(step)
    require(recorded[limit - 1].ended.all(), f"every row must have ended after max_steps ({limit} chunks)")
    require(before == _global_randomness(), "randomness must come from the seed: a global random state was used")
    return recorded


def _check_observation(env: ChunkEnv, observation: Observation, moment: str) -> None:
    require(isinstance(observation, dict) and "frame" in observation, f"{moment}: observation needs a 'frame'")
    frame = observation["frame"]
    shape = (env.num_envs, env.resolution, env.resolution, 3)
    require(
        frame.dtype == np.uint8 and frame.shape == shape,
        f"{moment}: frame must be uint8 {shape}, is {frame.dtype} {frame.shape}",
    )
    check_state(env, observation, moment)


def _check_step_shapes(env: ChunkEnv, step: _Step) -> None:
    rows, chunk, side = env.num_envs, env.chunk, env.resolution
    _check_observation(env, step.observation, "step")
    require(np.issubdtype(step.reward.dtype, np.floating), f"reward must be floating, is {step.reward.dtype}")
    require(step.reward.shape == (rows,), f"reward must be [{rows}], is {step.reward.shape}")
    arrays = {"terminated": step.terminated, "truncated": step.truncated}
    missing = {"success", "executed"} - step.info.keys()
    require(not missing, f"info lacks {sorted(missing)}")
    arrays |= {name: step.info[name] for name in ("success", "executed")}
    for name, value in arrays.items():
        shape = (rows, chunk) if name == "success" else (rows,)
        require(
            value.dtype == bool and value.shape == shape, f"{name} must be bool {shape}, is {value.dtype} {value.shape}"
        )
    expected = {
        "frames": (np.uint8, (rows, chunk, side, side, 3)),
        "states": (np.float64, (rows, chunk)),
        "success_probability": (np.float32, (rows, chunk)),
        "proprio": (np.float32, (rows, chunk)),
    }
    check_last_state(env, step.observation, step.info)
    for name in expected.keys() & step.info.keys():
        dtype, shape = expected[name]
        value = step.info[name]
        require(
            value.dtype == dtype and value.shape[: len(shape)] == shape,
            f"info[{name!r}] must be {np.dtype(dtype)} {shape}, is {value.dtype} {value.shape}",
        )
    if "success_probability" in step.info:
        probability = step.info["success_probability"]
        require(((probability >= 0) & (probability <= 1)).all(), "success_probability must be between 0 and 1")


class _Books:
    """What a correct environment would remember of each row, to compare each step with."""

    def __init__(self, env: ChunkEnv, frame: np.ndarray, state: np.ndarray | None, starts: Sequence[Start]):
        rows = env.num_envs
        self.env, self.frame = env, frame.copy()
        self.state = None if state is None else state.copy()
        self.succeeded, self.ended = np.zeros(rows, bool), np.zeros(rows, bool)
        self.flags = np.zeros((2, rows), bool)
        self.held = np.zeros(rows, np.int64)  # actions since the first success
        self.limits = np.array([-(-(env.max_steps - start.step) // env.chunk) for start in starts])

    def check(self, step: _Step, chunk: int) -> None:
        where, success = f"chunk {chunk}", step.info["success"]
        latched = np.logical_or.accumulate(np.concatenate([self.succeeded[:, None], success], 1), 1)[:, 1:]
        require((success == latched).all(), f"{where}: success must latch at its first hit")
        require(
            (step.info["executed"] == ~self.ended).all(), f"{where}: executed must be true in rows that had not ended"
        )
        earned = latched[:, -1] & ~self.succeeded
        require(
            (step.reward == earned).all(),
            f"{where}: reward must be 1 in the chunk of the first success and else 0: {step.reward}, not {earned}",
        )
        self._check_ended_rows(step, where)
        self._check_ends(step, latched, chunk)
        if "frames" in step.info:
            last = step.info["frames"][:, -1]
            require((last == step.observation["frame"]).all(), f"{where}: the last of 'frames' must be the observation")
        self.frame, self.succeeded, self.ended = step.observation["frame"].copy(), latched[:, -1], step.ended
        self.state = step.observation.get("state")
        self.flags = np.stack([step.terminated, step.truncated])

    def _check_ended_rows(self, step: _Step, where: str) -> None:
        ended = self.ended
        frame, flags = step.observation["frame"], np.stack([step.terminated, step.truncated])
        require((frame[ended] == self.frame[ended]).all(), f"{where}: a row that has ended must repeat its frame")
        if self.state is not None:
            same = step.observation["state"][ended] == self.state[ended]
            require(same.all(), f"{where}: a row that has ended must repeat its state")
        require(
            (flags[:, ended] == self.flags[:, ended]).all(),
            f"{where}: flags of a row that has ended must stay as they are",
        )
        if "frames" in step.info:
            frames = step.info["frames"][ended]
            require(
                (frames == self.frame[ended][:, None]).all(), f"{where}: 'frames' of an ended row must repeat its frame"
            )

    def _check_ends(self, step: _Step, latched: np.ndarray, chunk: int) -> None:
        self.held += np.concatenate([self.succeeded[:, None], latched], 1)[:, :-1].sum(1)
        terminated = step.terminated & ~self.ended
        require((latched[:, -1] | ~step.terminated).all(), f"chunk {chunk}: only success terminates a row")
        hold = self.env.hold_after_success
        require(
            (self.held[terminated] >= hold).all(),
            f"chunk {chunk}: a row must go on for hold_after_success = {hold} actions after success",
        )
        require((step.ended | (chunk + 1 < self.limits)).all(), f"chunk {chunk}: a row ran beyond max_steps")
        early = step.truncated & ~self.ended & (chunk + 1 < self.limits)
        if self.env.keyframe_steps is None:
            require(not early.any(), f"chunk {chunk}: rows {np.flatnonzero(early)} were truncated before max_steps")


def _check_same_seed_gives_the_same(env: ChunkEnv, starts: Sequence[Start], recorded: list[_Step], who: str) -> None:
    """Replays the recorded episode; rows that had ended get other actions, which must not matter."""
    env.reset(seed=SEED, options={"starts": list(starts)})
    ended = np.zeros(env.num_envs, bool)
    for chunk, (actions, old) in enumerate(zip(_actions(env, len(recorded)), recorded, strict=True)):
        actions[ended] *= -0.5
        new = _Step(*env.step(actions))
        rule = f"chunk {chunk}: seed, starts and actions must decide everything (ended rows ignore actions); {who} gave"
        require(new.info.keys() == old.info.keys(), f"{rule} info {sorted(new.info)} instead of {sorted(old.info)}")
        for name, (one, two) in _pairs(new, old).items():
            require(np.array_equal(one, two), f"{rule} another {name}")
        ended = new.ended


def _pairs(new: _Step, old: _Step) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Everything comparable in two steps, by name, rows first."""
    pairs = {
        **{name: (new.observation[name], old.observation[name]) for name in old.observation},
        "reward": (new.reward, old.reward),
        "terminated": (new.terminated, old.terminated),
        "truncated": (new.truncated, old.truncated),
    }
    return pairs | {f"info[{name!r}]": (new.info[name], old.info[name]) for name in new.info.keys() & old.info.keys()}


def _check_reset_mask(env: ChunkEnv, starts: Sequence[Start], recorded: list[_Step]) -> None:
    """After one chunk row 0 begins anew; all others must go on as in the recorded episode."""
    env.reset(seed=SEED, options={"starts": list(starts)})
    actions = _actions(env, len(recorded))
    first = _Step(*env.step(actions[0]))
    mask = np.arange(env.num_envs) == 0
    observation, _ = env.reset(seed=SEED + 1, options={"starts": list(starts), "reset_mask": mask})
    untouched = observation["frame"][~mask] == first.observation["frame"][~mask]
    require(untouched.all(), "reset_mask: rows outside the mask must keep their frame")
    for chunk in range(1, len(recorded)):
        step = _Step(*env.step(actions[chunk]))
        require(step.info["executed"][0] or chunk > 1, "reset_mask: a row inside the mask must be alive again")
        for name, (one, two) in _pairs(step, recorded[chunk]).items():
            same = _is_same_but_for_rounding(one[~mask], two[~mask])
            require(
                same, f"reset_mask: rows outside the mask must go on as they were; chunk {chunk} gave another {name}"
            )


def _is_same_but_for_rounding(one: np.ndarray, two: np.ndarray) -> bool:
    """Networks round differently in batches of another size: two grey levels or 0.01 of probability are the same."""
    tolerance = {np.dtype(np.uint8): 2.0, np.dtype(np.float32): 0.01}.get(one.dtype, 0.0)
    return bool((np.abs(one.astype(np.float64) - two.astype(np.float64)) <= tolerance).all())


def _check_bad_actions_are_refused(env: ChunkEnv, starts: Sequence[Start]) -> None:
    good = _actions(env, 1)[0]
    nan, large = good.copy(), good.copy()
    nan[-1, -1, 0], large[-1, -1, 0] = np.nan, 1.5
    env.reset(seed=SEED, options={"starts": list(starts)})
    for name, bad in {
        "NaN": nan,
        "out of range": large,
        "a short chunk": good[:, :-1],
        "one row too few": good[1:],
    }.items():
        require(_is_refused(lambda bad=bad: env.step(bad)), f"actions with {name} must be refused with a UserError")
    step = _Step(*env.step(good))
    require(step.info["executed"].all(), "refused actions must leave the environment as it was")


def _check_bad_starts_are_refused(env: ChunkEnv, starts: Sequence[Start]) -> None:
    many = [*starts, starts[0]]
    require(
        _is_refused(lambda: env.reset(seed=SEED, options={"starts": many})),
        "a number of starts other than the number of rows must be refused with a UserError",
    )


def _is_refused(call: Callable[[], object]) -> bool:
    try:
        call()
    except UserError:
        return True
    return False


def _global_randomness() -> tuple[object, ...]:
    """A print of the global random states, which nothing may use."""
    numpy_state = np.random.get_state(legacy=False)["state"]
    return (hash(random.getstate()), hash(numpy_state["key"].tobytes()), numpy_state["pos"],
            hash(torch.get_rng_state().numpy().tobytes()))  # fmt: skip
