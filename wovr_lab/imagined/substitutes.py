"""One learnt part of the simulator replaced by the truth, to tell which of them RL exploits (not in the paper).

In: the two simulators, real and learnt. Out: real frames judged by the learnt reward, and imagined frames judged by
what the same actions really did. With both parts real or both learnt there is nothing to replace: those are
`RealChunkEnv` and `ImaginedEnv` themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from wovr_lab.contracts import ChunkEnv, ChunkFrames
from wovr_lab.errors import UserError
from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.reward.detector import SuccessDetector
from wovr_lab.types import Start

HIDDEN = {"states"}  # what an imagined rollout is told of the real one beside its outcome


class _Substituted(ChunkEnv):
    """Keeps the books of `frames_from`, whose `reset_rows` and `step_rows` it calls."""

    def __init__(self, frames_from: ChunkEnv):
        super().__init__(
            num_envs=frames_from.num_envs,
            resolution=frames_from.resolution,
            max_steps=frames_from.max_steps,
            hold_after_success=frames_from.hold_after_success,
            keyframe_steps=frames_from.keyframe_steps,
            robot=frames_from.robot,
        )
        self.frames_from = frames_from

    def draw_starts(self, count: int, seed: int) -> list[Start]:
        """Those of the simulator that draws the frames."""
        return self.frames_from.draw_starts(count, seed)


class LearntRewardEnv(_Substituted):
    """Real frames, success by a learnt reward. The real environment must draw every frame."""

    def __init__(self, real: ChunkEnv, reward: SuccessClassifier):
        super().__init__(real)
        self.detector = SuccessDetector(reward, real.num_envs)

    def reset_rows(self, rows: np.ndarray, starts: Sequence[Start], seed: int) -> dict[str, np.ndarray]:
        """The real simulator at these starts."""
        self.detector.reset(rows)
        return self.frames_from.reset_rows(rows, starts, seed)

    def step_rows(self, rows: np.ndarray, actions: np.ndarray) -> ChunkFrames:
        """What really happens, as the reward sees it. Raises UserError if frames are missing."""
        real = self.frames_from.step_rows(rows, actions)
        if real.frames.shape[1] != self.chunk:
            raise UserError("a reward must see every frame: build the real environment with every_frame=True")
        judged = self.detector.detect(rows, real.frames, [self.instructions[row] for row in rows])
        return replace(judged, extra=judged.extra | real.extra)


class TrueOutcomeEnv(_Substituted):
    """Imagined frames, success by the real simulator, which executes the same actions unseen. Starts need states."""

    def __init__(self, imagined: ChunkEnv, real: ChunkEnv):
        super().__init__(imagined)
        if real.num_envs != imagined.num_envs:
            raise UserError(f"{imagined.num_envs} imagined and {real.num_envs} real rows: make as many of both")
        self.outcomes_from = real

    def reset_rows(self, rows: np.ndarray, starts: Sequence[Start], seed: int) -> dict[str, np.ndarray]:
        """Both simulators at these starts."""
        real = self.outcomes_from.reset_rows(rows, starts, seed)
        return {name: real[name] for name in HIDDEN & real.keys()} | self.frames_from.reset_rows(rows, starts, seed)

    def step_rows(self, rows: np.ndarray, actions: np.ndarray) -> ChunkFrames:
        """What is imagined, with what really happens as its outcome."""
        imagined = self.frames_from.step_rows(rows, actions)
        real = self.outcomes_from.step_rows(rows, actions)
        hidden = {name: real.extra[name] for name in HIDDEN & real.extra.keys()}
        return ChunkFrames(imagined.frames, real.success, hidden | imagined.extra)
