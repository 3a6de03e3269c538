"""The checker accepts a world that keeps the contract and names the rule that a broken one breaks.

The world here is small: a row's frame is a hash of its noise and of all actions so far, success comes at a set action.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from wovr_lab.checks import check_chunk_env
from wovr_lab.contracts import ChunkEnv, ChunkFrames
from wovr_lab.errors import UserError
from wovr_lab.robot import Entry, Robot
from wovr_lab.seeding import stream
from wovr_lab.types import NOOP, Start

SUCCESS_AT = (11, 1000, 3)  # action of the episode, by row; row 1 never succeeds
ROWS, SIDE, LIMIT = 3, 8, 32
ARM = Robot(tuple(Entry(f"hand_{axis}", "m", 0.0, 1.0, 0.01) for axis in "xyz"))


class SmallWorld(ChunkEnv):
    """Keeps the contract."""

    def __init__(self, hold_after_success: int = 0):
        super().__init__(ROWS, SIDE, LIMIT, hold_after_success=hold_after_success)
        self.values, self.counts = np.zeros(ROWS), np.zeros(ROWS, int)
        self.noise = [np.random.default_rng(0)] * ROWS

    def draw_starts(self, count: int, seed: int) -> list[Start]:
        raise UserError("give starts")

    def reset_rows(self, rows: np.ndarray, starts: Sequence[Start], seed: int) -> dict[str, np.ndarray]:
        for row, start in zip(rows, starts, strict=True):
            self.noise[row] = stream(seed, int(row))
            self.values[row], self.counts[row] = 0.0, start.step
        return {}

    def step_rows(self, rows: np.ndarray, actions: np.ndarray) -> ChunkFrames:
        frames = np.zeros((len(rows), self.chunk, SIDE, SIDE, 3), np.uint8)
        success = np.zeros((len(rows), self.chunk), bool)
        for place, row in enumerate(rows):
            for index, action in enumerate(actions[place]):
                self.values[row] += float(action.sum()) + self.noise[row].random()
                frames[place, index] = int(self.values[row] * 1e4) % 251
                success[place, index] = self.counts[row] == SUCCESS_AT[row]  # flickers; the base latches
                self.counts[row] += 1
        return ChunkFrames(frames, success, {"success_probability": success.astype(np.float32)})


class Broken(SmallWorld):
    """Spoils what the base gave; `spoil` sees and may change everything of a step."""

    def step(self, actions: np.ndarray):
        before = self._succeeded.copy()
        observation, reward, terminated, truncated, info = super().step(actions)
        return self.spoil(actions, before, observation, reward, terminated, truncated, info)

    def spoil(self, actions, before, observation, reward, terminated, truncated, info):
        return observation, reward, terminated, truncated, info


class Flickering(Broken):
    def spoil(self, actions, before, observation, reward, terminated, truncated, info):
        info["success"][:, -1] &= np.arange(ROWS) > 0
        return observation, reward, terminated, truncated, info


class PaidTwice(Broken):
    def spoil(self, actions, before, observation, reward, terminated, truncated, info):
        return observation, info["success"][:, -1].astype(float), terminated, truncated, info


class FrameMovesAfterTheEnd(Broken):
    def spoil(self, actions, before, observation, reward, terminated, truncated, info):
        observation["frame"][~info["executed"]] += 1
        return observation, reward, terminated, truncated, info


class FlagsFall(Broken):
    def spoil(self, actions, before, observation, reward, terminated, truncated, info):
        return observation, reward, terminated & info["executed"], truncated, info


class SaysExecutedForEver(Broken):
    def spoil(self, actions, before, observation, reward, terminated, truncated, info):
        return observation, reward, terminated, truncated, info | {"executed": np.ones(ROWS, bool)}


class FloatFrames(Broken):
    def spoil(self, actions, before, observation, reward, terminated, truncated, info):
        return {"frame": observation["frame"] / 255}, reward, terminated, truncated, info


class NoSuccessInInfo(Broken):
    def spoil(self, actions, before, observation, reward, terminated, truncated, info):
        del info["success"]
        return observation, reward, terminated, truncated, info


class ProbabilityAboveOne(Broken):
    def spoil(self, actions, before, observation, reward, terminated, truncated, info):
        info["success_probability"] = np.full((ROWS, self.chunk), 1.5, np.float32)
        return observation, reward, terminated, truncated, info


class LastFrameDiffers(Broken):
    def spoil(self, actions, before, observation, reward, terminated, truncated, info):
        info["frames"][info["executed"], -1] ^= 1
        return observation, reward, terminated, truncated, info


class WritesIntoActions(Broken):
    def spoil(self, actions, before, observation, reward, terminated, truncated, info):
        actions *= 0.5
        return observation, reward, terminated, truncated, info


class TerminatesWithoutSuccess(Broken):
    def spoil(self, actions, before, observation, reward, terminated, truncated, info):
        return observation, reward, terminated | truncated, np.zeros_like(truncated), info


class NeverEnds(SmallWorld):
    def _count(self, rows: np.ndarray, success: np.ndarray) -> None:
        self._left[rows] = self.chunk


class EndsEarly(SmallWorld):
    def _steps_left(self, start: Start) -> int:
        return self.max_steps - self.chunk


class EndsBeforeTheHold(SmallWorld):
    def _count(self, rows: np.ndarray, success: np.ndarray) -> None:
        self._held[rows] = 1000
        super()._count(rows, success)


class Unseeded(SmallWorld):
    def reset_rows(self, rows: np.ndarray, starts: Sequence[Start], seed: int) -> dict[str, np.ndarray]:
        return super().reset_rows(rows, starts, int(np.random.default_rng().integers(2**31)))


class UsesGlobalRandomness(SmallWorld):
    def step_rows(self, rows: np.ndarray, actions: np.ndarray) -> ChunkFrames:
        torch.rand(1)
        return super().step_rows(rows, actions)


class RemembersLastEpisode(SmallWorld):
    def reset_rows(self, rows: np.ndarray, starts: Sequence[Start], seed: int) -> dict[str, np.ndarray]:
        old = self.values[rows].copy()
        super().reset_rows(rows, starts, seed)
        self.values[rows] = old
        return {}


class EndedRowsHearActions(SmallWorld):
    def step(self, actions: np.ndarray):
        ended = self._terminated | self._truncated
        result = super().step(actions)
        if ended.any():
            result[4]["success_probability"] = np.clip(np.abs(actions[:, :, 0]), 0, 1)
        return result


class MaskResetsEverything(SmallWorld):
    def reset_rows(self, rows: np.ndarray, starts: Sequence[Start], seed: int) -> dict[str, np.ndarray]:
        for row in range(ROWS):
            self.noise[row] = stream(seed, row)
        return super().reset_rows(rows, starts, seed)


class MaskShowsFirstFrames(SmallWorld):
    def reset(self, *, seed=None, options=None):
        _, info = super().reset(seed=seed, options=options)
        return {"frame": np.stack([start.anchor for start in options["starts"]])}, info


class TakesAnyAction(SmallWorld):
    def check_actions(self, actions: np.ndarray) -> np.ndarray:
        return np.resize(np.nan_to_num(actions), self.action_space.shape).clip(-1, 1)


class StepsBeforeRefusing(SmallWorld):
    def step(self, actions: np.ndarray):
        if not np.isfinite(actions).all():
            self._truncated[:] = True
        return super().step(actions)


class OwnInstructions(SmallWorld):
    def reset(self, *, seed=None, options=None):
        result = super().reset(seed=seed, options=options)
        self.instructions = ("do something",) * ROWS
        return result


class TakesAnyStarts(SmallWorld):
    def reset(self, *, seed=None, options=None):
        return super().reset(seed=seed, options=options | {"starts": options["starts"][:ROWS]})


class Autoresetting(SmallWorld):
    def __init__(self):
        super().__init__()
        self.metadata = {}


class Armed(SmallWorld):
    """Keeps the contract, and has a robot."""

    def __init__(self):
        ChunkEnv.__init__(self, ROWS, SIDE, LIMIT, robot=ARM)
        self.values, self.counts = np.zeros(ROWS), np.zeros(ROWS, int)
        self.noise = [np.random.default_rng(0)] * ROWS

    def reset_rows(self, rows: np.ndarray, starts: Sequence[Start], seed: int) -> dict[str, np.ndarray]:
        super().reset_rows(rows, starts, seed)
        return {"proprio": np.stack([start.proprio[-1] for start in starts])}

    def step_rows(self, rows: np.ndarray, actions: np.ndarray) -> ChunkFrames:
        result = super().step_rows(rows, actions)
        moved = self._state[rows, None] + 0.01 * actions[:, :, :3].cumsum(1)
        return replace(result, extra=result.extra | {"proprio": moved.astype(np.float32)})


class ForgetsItsState(Armed):
    def _observation(self):
        return {"frame": self._frame.copy()}


class DoubleState(Armed):
    def _observation(self):
        return super()._observation() | {"state": self._state.astype(np.float64)}


class Millimetres(Armed):
    def reset_rows(self, rows: np.ndarray, starts: Sequence[Start], seed: int) -> dict[str, np.ndarray]:
        return {name: value * 1000 + 50 for name, value in super().reset_rows(rows, starts, seed).items()}


class BeginsElsewhere(Armed):
    def reset_rows(self, rows: np.ndarray, starts: Sequence[Start], seed: int) -> dict[str, np.ndarray]:
        return {name: value + 0.1 for name, value in super().reset_rows(rows, starts, seed).items()}


class StateMovesAfterTheEnd(Armed):
    def step(self, actions: np.ndarray):
        result = super().step(actions)
        ended = ~result[4]["executed"]
        result[0]["state"][ended] += 0.01
        result[4]["proprio"][ended] += 0.01
        return result


class LastStateDiffers(Armed):
    def step(self, actions: np.ndarray):
        result = super().step(actions)
        result[4]["proprio"][:, -1] += 0.01
        return result


BROKEN_ARMS = {
    ForgetsItsState: "needs a 'state' if the environment has a robot",
    DoubleState: "state must be float32",
    Millimetres: "in the units of hand_x, hand_y, hand_z",
    BeginsElsewhere: "must begin in the robot's state of its start",
    StateMovesAfterTheEnd: "must repeat its state",
    LastStateDiffers: "last of 'proprio' must be the observation's state",
}

BROKEN = {
    Flickering: "success must latch",
    PaidTwice: "reward must be 1 in the chunk of the first success",
    FrameMovesAfterTheEnd: "must repeat its frame",
    FlagsFall: "flags of a row that has ended",
    SaysExecutedForEver: "executed must be true in rows that had not ended",
    FloatFrames: "frame must be uint8",
    NoSuccessInInfo: r"info lacks \['success'\]",
    ProbabilityAboveOne: "between 0 and 1",
    LastFrameDiffers: "last of 'frames' must be the observation",
    WritesIntoActions: "must not write into its actions",
    TerminatesWithoutSuccess: "only success terminates",
    NeverEnds: "ran beyond max_steps",
    EndsEarly: "truncated before max_steps",
    Unseeded: "must decide everything",
    UsesGlobalRandomness: "global random state",
    RemembersLastEpisode: "the same environment, reset again gave another",
    EndedRowsHearActions: "ended rows ignore actions",
    MaskResetsEverything: "rows outside the mask must go on",
    MaskShowsFirstFrames: "rows outside the mask must keep their frame",
    TakesAnyAction: "actions with NaN must be refused",
    StepsBeforeRefusing: "refused actions must leave the environment as it was",
    OwnInstructions: "instructions must be those of the starts",
    TakesAnyStarts: "number of starts",
    Autoresetting: "autoreset must be disabled",
}


def small_starts(steps: tuple[int, ...] = (0, 5, 0)) -> list[Start]:
    blank = np.zeros((SIDE, SIDE, 3), np.uint8)
    memory, actions = np.repeat(blank[None], 4, 0), np.repeat(NOOP[None], 4, 0)
    return [Start("small", f"do {row}", blank, memory, actions, step=step) for row, step in enumerate(steps)]


@pytest.mark.parametrize("hold", [0, 4, 12])
def test_a_world_that_keeps_the_contract_passes(hold):
    check_chunk_env(lambda: SmallWorld(hold), small_starts())


@pytest.mark.parametrize("broken", BROKEN, ids=lambda world: world.__name__)
def test_a_broken_rule_is_named(broken):
    with pytest.raises(AssertionError, match=BROKEN[broken]):
        check_chunk_env(broken, small_starts())


def armed_starts() -> list[Start]:
    places = np.linspace(-0.5, 0.5, ROWS * 12, dtype=np.float32).reshape(ROWS, 4, 3)
    return [replace(start, proprio=place) for start, place in zip(small_starts(), places, strict=True)]


def test_a_world_with_a_robot_that_keeps_the_contract_passes():
    check_chunk_env(Armed, armed_starts())


@pytest.mark.parametrize("broken", BROKEN_ARMS, ids=lambda world: world.__name__)
def test_a_broken_rule_about_the_state_is_named(broken):
    with pytest.raises(AssertionError, match=BROKEN_ARMS[broken]):
        check_chunk_env(broken, armed_starts())


def test_ending_before_the_hold_is_named():
    with pytest.raises(AssertionError, match="hold_after_success = 12"):
        check_chunk_env(lambda: EndsBeforeTheHold(12), small_starts())


def test_the_check_needs_one_start_a_row():
    with pytest.raises(AssertionError, match="one start a row"):
        check_chunk_env(SmallWorld, small_starts()[:2])
