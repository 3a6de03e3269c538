"""Imagined against real: what the paper calls hallucination, counted (paper section 1).

Two ways to pair the worlds: real episodes are imagined again from their starts with their actions, or imagined rollouts
are executed in the real simulator. In: episodes or rollouts. Out: paired outcomes and error by horizon.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from wovr_lab.contracts import ChunkEnv
from wovr_lab.measure.intervals import rate_of
from wovr_lab.rollout import replay
from wovr_lab.starts import start_at
from wovr_lab.types import CHUNK, Episode, Interval, Rollouts


@dataclass(frozen=True)
class PairedOutcomes:
    """Outcomes of the same actions from the same starts in both worlds."""

    imagined: np.ndarray  # bool [n]
    real: np.ndarray  # bool [n]

    def counts(self) -> dict[str, int]:
        """The confusion matrix."""
        return {
            "imagined_and_real": int((self.imagined & self.real).sum()),
            "imagined_only": int((self.imagined & ~self.real).sum()),
            "real_only": int((~self.imagined & self.real).sum()),
            "neither": int((~self.imagined & ~self.real).sum()),
        }

    @property
    def precision(self) -> Interval:
        """P(real success | imagined success)."""
        return rate_of(self.real[self.imagined])

    @property
    def recall(self) -> Interval:
        """P(imagined success | real success)."""
        return rate_of(self.imagined[self.real])


def action_chunks(episodes: Sequence[Episode], begin: Sequence[int] | None = None) -> np.ndarray:
    """The episodes' actions, from action `begin` of each on if given, as float32 [N, C, K, 7]; ended ones stand still
    at the end, gripper as it was."""
    rest = [episode.actions[first:] for episode, first in zip(episodes, begin or [0] * len(episodes), strict=True)]
    chunks = -(-max(len(row) for row in rest) // CHUNK)
    actions = np.zeros((len(episodes), chunks * CHUNK, episodes[0].actions.shape[1]), np.float32)
    for row, episode in enumerate(episodes):
        actions[row, : len(rest[row])] = rest[row]
        actions[row, len(rest[row]) :, 6] = episode.actions[-1, 6]
    return actions.reshape(len(episodes), chunks, CHUNK, -1)


def replay_in_imagination(
    env: ChunkEnv, episodes: Sequence[Episode], run_seed: int, name: str, begin: Sequence[int] | None = None
) -> tuple[PairedOutcomes, Rollouts]:
    """Imagines real episodes with their actions, from their first frames or from frame `begin` of each; `env` is the
    imagined one."""
    starts = [start_at(episode, first) for episode, first in zip(episodes, begin or [0] * len(episodes), strict=True)]
    rollouts = replay(env, starts, action_chunks(episodes, begin), run_seed, name, video=True)
    real = np.array([episode.first_success >= 0 for episode in episodes])
    return PairedOutcomes(rollouts.succeeded, real), rollouts


def replay_in_simulator(env: ChunkEnv, imagined: Rollouts, run_seed: int, name: str) -> tuple[PairedOutcomes, Rollouts]:
    """Executes imagined rollouts in the real simulator, whose starts must have states; `env` is the real one.

    A real success counts only within the actions that were imagined.
    """
    real = replay(env, imagined.starts, imagined.actions, run_seed, name, video=True)
    width = min(real.success.shape[1], imagined.success.shape[1])
    within = np.arange(width) < imagined.steps[:, None]
    return PairedOutcomes(imagined.succeeded, (real.success[:, :width] & within).any(1)), real


def within_imagined(real: Rollouts, imagined: Rollouts) -> list[Episode]:
    """What really happened, an episode a row, none longer than it was imagined."""
    episodes = []
    for episode, steps in zip(real.episodes(), imagined.steps.tolist(), strict=True):
        states = None if episode.states is None else episode.states[: steps + 1]
        cut = {"frames": episode.frames[: steps + 1], "actions": episode.actions[:steps], "states": states}
        episodes.append(replace(episode, success=episode.success[:steps], **cut))
    return episodes


def truly_labelled(imagined: Rollouts, real: Sequence[Episode]) -> list[Episode]:
    """The imagined pictures of the rollouts, each labelled with whether the same actions had really succeeded by then;
    what ended earlier for real stays as it ended."""
    episodes = []
    for pictures, truth in zip(imagined.episodes(), real, strict=True):
        steps = np.minimum(np.arange(len(pictures)), len(truth) - 1)
        episodes.append(replace(pictures, success=truth.success[steps]))
    return episodes


def decibels(error: np.ndarray) -> np.ndarray:
    """PSNR in dB of mean squared errors of uint8 pictures, at most 99."""
    return 10 * np.log10(255**2 / error.clip(min=255**2 / 10**9.9))


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    """Peak signal-to-noise ratio of uint8 pictures in dB; 99 where they are equal."""
    return float(decibels(((first.astype(np.float64) - second.astype(np.float64)) ** 2).mean()))


def psnr_by_horizon(episodes: Sequence[Episode], imagined: Rollouts) -> dict[str, list[list[float]]]:
    """PSNR of each chunk against its horizon in frames, of the imagined frames (`world`) and of the first frame
    copied (`copy`), over the episodes that are that long."""
    curves: dict[str, list[list[float]]] = {"world": [], "copy": []}
    for chunk in range(imagined.executed.shape[1]):
        span = slice(chunk * CHUNK + 1, (chunk + 1) * CHUNK + 1)
        rows = [r for r, e in enumerate(episodes) if len(e) >= span.stop - 1 and imagined.executed[r, chunk]]
        if not rows:
            break
        real = np.stack([episodes[row].frames[span] for row in rows])
        copied = np.repeat(np.stack([episodes[row].frames[:1] for row in rows]), CHUNK, 1)
        curves["world"].append([float(span.stop - 1), psnr(real, imagined.video[rows, span])])
        curves["copy"].append([float(span.stop - 1), psnr(real, copied)])
    return curves
