"""Labelled frames that a reward learns from, and how a batch of them is drawn (paper section 2, "Reward").

In: real episodes with success labels. Out: batches in which every instruction has the same share, and within it a third
are successes, a third failures at random, a third failures just before a success or at the end of a failed episode,
where a mistake is easy. Without the shares, what succeeds often would be all that is learnt, and a policy learns to
please the reward at the task with the fewest successes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from wovr_lab.errors import UserError
from wovr_lab.types import Episode

NEAR = 12  # frames before a success, or before a failure's end, that count as hard
KINDS = 3  # successes, failures, hard failures


@dataclass(frozen=True)
class LabelledFrames:
    """Frames with the logit they belong to and their label."""

    frames: np.ndarray  # uint8 [F, H, W, 3]
    columns: np.ndarray  # int64 [F], index of the instruction
    labels: np.ndarray  # bool [F]
    hard: np.ndarray  # bool [F]
    instructions: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.frames)

    @classmethod
    def of(cls, episodes: Sequence[Episode], instructions: Sequence[str]) -> LabelledFrames:
        """The frame in which success is about to latch is left out: it looks like one and is not labelled so.

        Raises UserError if there are no episodes, or one of an instruction that is not among `instructions`.
        """
        if not episodes:
            raise UserError("there are no episodes to learn a reward from; collect some first")
        known = list(instructions)
        parts = []
        for episode in episodes:
            if episode.instruction not in known:
                raise UserError(f"an episode of {episode.instruction!r}, the reward learns {known}")
            parts.append(_labelled(episode, known.index(episode.instruction)))
        return cls(*(np.concatenate(column) for column in zip(*parts, strict=True)), tuple(known))

    def without_success(self) -> list[str]:
        """The instructions of which no frame is a success."""
        return [word for column, word in enumerate(self.instructions) if not len(self.pools[column][0])]

    def without_failure(self) -> list[str]:
        """The instructions of which no frame is a failure."""
        return [word for column, word in enumerate(self.instructions) if not len(self.pools[column][1])]

    @cached_property
    def pools(self) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """By instruction: indices of successes, of all failures, of hard failures."""
        kinds = (self.labels, ~self.labels, self.hard & ~self.labels)
        return [
            tuple(np.flatnonzero(kind & (self.columns == column)) for kind in kinds)
            for column in range(len(self.instructions))
        ]

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """About `count` indices int64, as many of each instruction and kind as of another; fewer where there are none
        of a kind."""
        cells = [pool for pools in self.pools for pool in pools]
        each = np.full(len(cells), count // len(cells))
        each[rng.permutation(len(cells))[: count % len(cells)]] += 1
        drawn = [pool[rng.integers(len(pool), size=size)] for pool, size in zip(cells, each, strict=True) if len(pool)]
        return np.concatenate(drawn)


def _labelled(episode: Episode, column: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    first = episode.first_success
    labels = np.concatenate([[False], episode.success])
    end = first if first >= 0 else len(episode)
    near = (np.arange(len(labels)) > end - NEAR) & ~labels
    keep = np.ones(len(labels), bool)
    if first >= 0:
        keep[first] = False  # frames[first + 1] is the first success
    return episode.frames[keep], np.full(keep.sum(), column), labels[keep], near[keep]
