"""A reward applied to rollouts that grow chunk by chunk: frames in, success of every frame out (paper section 2).

The rule of consecutive frames looks back over the border of a chunk, so a detector remembers each row's last answers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wovr_lab.contracts import ChunkFrames
from wovr_lab.reward.classifier import SuccessClassifier


class SuccessDetector:
    """One reward for `rows` rollouts side by side."""

    def __init__(self, reward: SuccessClassifier, rows: int):
        self.reward = reward
        self.recent = np.zeros((rows, reward.config.consecutive - 1), np.float32)

    def reset(self, rows: np.ndarray) -> None:
        """These rows (indices) are at a start: nothing before it counts."""
        self.recent[rows] = 0

    def detect(self, rows: np.ndarray, frames: np.ndarray, instructions: Sequence[str]) -> ChunkFrames:
        """The next frames uint8 [len(rows), K, H, W, 3] of these rows with their success, by the reward alone."""
        probability = self.reward.probability(frames, instructions)
        joined = np.concatenate([self.recent[rows], probability], 1)
        hits = self.reward.hits(joined)[:, self.recent.shape[1] :]
        self.recent[rows] = joined[:, joined.shape[1] - self.recent.shape[1] :]
        return ChunkFrames(frames, hits, {"success_probability": probability})
