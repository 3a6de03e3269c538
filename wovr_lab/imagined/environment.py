"""Imagination as a chunk environment (paper sections 1 and 2): frames from the world model, success from the reward.

In: starts with real context frames (and the robot's states there), action chunks. Out: what the real environment gives,
the robot's imagined state where the model imagines it, and the success probability of every frame. Nothing but its
name tells it from the real one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from wovr_lab.contracts import ChunkEnv, ChunkFrames
from wovr_lab.errors import UserError
from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.reward.detector import SuccessDetector
from wovr_lab.seeding import stream, torch_stream
from wovr_lab.starts import Starts
from wovr_lab.types import Start
from wovr_lab.world.protocol import ImaginingModel, WorldContext


class ImaginedEnv(ChunkEnv):
    """`num_envs` imagined rollouts; every row has its own noise stream, drawn from the seed of the reset. Without a
    reward nothing is a success, and every rollout goes on to its limit."""

    def __init__(
        self, world: ImaginingModel, reward: SuccessClassifier | None, num_envs: int, max_steps: int,
        hold_after_success: int = 0, keyframe_steps: int | None = None, starts: Starts | None = None,
    ):  # fmt: skip
        resolution = world.resolution
        if reward is not None and reward.config.resolution != resolution:
            raise UserError(f"the reward sees {reward.config.resolution} pixels, the world model makes {resolution}")
        super().__init__(
            num_envs, resolution, max_steps,
            hold_after_success=hold_after_success, keyframe_steps=keyframe_steps, robot=world.robot,
        )  # fmt: skip
        self.world, self.reward, self.starts = world, reward, starts
        self.context: WorldContext | None = None
        self._generators: list[torch.Generator] = [torch.Generator()] * num_envs
        self._detector = SuccessDetector(reward, num_envs) if reward else None

    def draw_starts(self, count: int, seed: int) -> list[Start]:
        """Raises UserError if the environment was built without a source of starts."""
        if self.starts is None:
            raise UserError("an imagined environment needs real frames to begin from: pass starts to reset or to it")
        return self.starts.draw(count, stream(seed, "starts"))

    def reset_rows(self, rows: np.ndarray, starts: Sequence[Start], seed: int) -> dict[str, np.ndarray]:
        """Encodes the real context frames of these starts."""
        if not len(rows):
            return {}
        begun = self.world.initial_context(starts)
        index = torch.as_tensor(rows)
        if self.context is None:
            if len(rows) != self.num_envs:
                raise UserError("the first reset of an imagined environment must begin every row")
            self.context = begun
        else:
            self.context = self.context.put(index, begun)
        for row in rows:
            self._generators[row] = torch_stream(seed, "imagine", int(row))
        if self._detector:
            self._detector.reset(rows)
        return {} if self.robot is None else {"proprio": np.stack([start.proprio[-1] for start in starts])}

    def step_rows(self, rows: np.ndarray, actions: np.ndarray) -> ChunkFrames:
        """Imagines a chunk in these rows and judges every frame of it."""
        index = torch.as_tensor(rows)
        generators = [self._generators[row] for row in rows]
        imagined = self.world.imagine(self.context.select(index), actions, generators)
        self.context = self.context.put(index, imagined.context)
        told = {} if self.robot is None else {"proprio": imagined.states}
        if self._detector is None:
            return ChunkFrames(imagined.frames, np.zeros(imagined.frames.shape[:2], bool), told)
        judged = self._detector.detect(rows, imagined.frames, [self.instructions[row] for row in rows])
        return replace(judged, extra=judged.extra | told)
