"""How the reward learns, and how its threshold is chosen (paper section 2, "Reward").

In: real episodes with success labels. Out: a classifier whose episode-level recall and precision on held-out real
episodes are measured. A third of each batch are successes, a third failures at random, a third failures just before a
success or at the end of a failed episode, where a mistake is easy. Pictures are shifted by up to a pixel, without which
a handful of successes is learnt by heart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wovr_lab.errors import UserError
from wovr_lab.pixels import to_float
from wovr_lab.reward.classifier import SuccessClassifier, consecutive_hits
from wovr_lab.runs import Metrics
from wovr_lab.seeding import stream, torch_stream
from wovr_lab.training import FitConfig, fit
from wovr_lab.types import Episode

NEAR = 12  # frames before a success, or before a failure's end, that count as hard


@dataclass(frozen=True)
class RewardTraining:
    """Schedule and batch of the classifier."""

    fit: FitConfig
    batch: int = 120
    frame_noise: float = 0.03
    shift: int = 1  # pixels


@dataclass(frozen=True)
class LabelledFrames:
    """Frames with the logit they belong to and their label, and the three pools that batches are drawn from."""

    frames: np.ndarray  # uint8 [F, H, W, 3]
    columns: np.ndarray  # int64 [F]
    labels: np.ndarray  # bool [F]
    hard: np.ndarray  # bool [F]

    @classmethod
    def of(cls, episodes: Sequence[Episode], instructions: Sequence[str]) -> LabelledFrames:
        """The frame in which success is about to latch is left out: it looks like one and is not labelled so."""
        frames, columns, labels, hard = [], [], [], []
        for episode in episodes:
            if episode.instruction not in instructions:
                raise UserError(f"an episode of {episode.instruction!r}, the reward learns {list(instructions)}")
            first = episode.first_success
            label = np.concatenate([[False], episode.success])
            end = first if first >= 0 else len(episode)
            near = (np.arange(len(label)) > end - NEAR) & ~label
            keep = np.ones(len(label), bool)
            if first >= 0:
                keep[first] = False  # frames[first + 1] is the first success
            frames.append(episode.frames[keep])
            columns.append(np.full(keep.sum(), instructions.index(episode.instruction)))
            labels.append(label[keep])
            hard.append(near[keep])
        joined = cls(*(np.concatenate(parts) for parts in (frames, columns, labels, hard)))
        for column, instruction in enumerate(instructions):
            if not joined.labels[joined.columns == column].any():
                raise UserError(f"no successful episode of {instruction!r} to learn a reward from; collect more")
        return joined

    def pools(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Indices of successes, of all failures, of hard failures."""
        return np.flatnonzero(self.labels), np.flatnonzero(~self.labels), np.flatnonzero(self.hard & ~self.labels)


class SuccessLearning(nn.Module):
    """Binary cross-entropy on the logit of each frame's instruction."""

    def __init__(self, classifier: SuccessClassifier):
        super().__init__()
        self.classifier = classifier

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """`pictures` [B, 3, H, W], `columns` int64 [B], `labels` float [B]."""
        logits = self.classifier(batch["pictures"]).take_along_dim(batch["columns"][:, None], 1)[:, 0]
        accuracy = ((logits > 0) == (batch["labels"] > 0)).float().mean()
        return F.binary_cross_entropy_with_logits(logits, batch["labels"]), {"accuracy": accuracy}


def train_reward(
    classifier: SuccessClassifier, data: LabelledFrames, config: RewardTraining, run_seed: int,
    folder: Path | None = None, metrics: Metrics | None = None, name: str = "reward",
) -> SuccessClassifier:  # fmt: skip
    """Trains the classifier in place."""
    pools = data.pools()

    def batch_at(step: int) -> dict[str, Tensor]:
        rng, generator = stream(run_seed, "reward", step), torch_stream(run_seed, "reward", step)
        index = np.concatenate([pool[rng.integers(len(pool), size=config.batch // 3)] for pool in pools])
        pictures = shifted(to_float(data.frames[index]), config.shift, generator)
        pictures = pictures * (1 + 0.05 * torch.randn(len(index), 1, 1, 1, generator=generator))
        pictures = pictures + config.frame_noise * torch.randn(pictures.shape, generator=generator)
        labels = torch.as_tensor(data.labels[index]).float()
        return {"pictures": pictures, "columns": torch.as_tensor(data.columns[index]), "labels": labels}

    fit(SuccessLearning(classifier), batch_at, config.fit, name, folder, metrics)
    return classifier.eval()


def shifted(pictures: Tensor, pixels: int, generator: torch.Generator) -> Tensor:
    """Every picture [B, 3, H, W] moved by up to so many whole pixels in both directions, its border repeated."""
    count, _, height, width = pictures.shape
    offsets = torch.randint(-pixels, pixels + 1, (count, 2), generator=generator)
    offsets = offsets * torch.tensor([2 / width, 2 / height])
    transforms = torch.cat([torch.eye(2).expand(count, 2, 2), offsets[:, :, None]], 2)
    grid = F.affine_grid(transforms, list(pictures.shape), align_corners=False)
    return F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


@dataclass(frozen=True)
class EpisodeJudgement:
    """Episode-level agreement of a reward with the truth."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    @property
    def precision(self) -> float:
        """P(success | judged success); 0 where nothing was judged a success."""
        return self.true_positive / max(1, self.true_positive + self.false_positive)

    @property
    def recall(self) -> float:
        """P(judged success | success); 0 where nothing succeeded."""
        return self.true_positive / max(1, self.true_positive + self.false_negative)


def judge(
    classifier: SuccessClassifier, episodes: Sequence[Episode], threshold: float | None = None
) -> EpisodeJudgement:
    """Latched success by the classifier against the truth, an episode at a time."""
    threshold = float(classifier.threshold) if threshold is None else threshold
    probabilities = [classifier.probability(e.frames[None, 1:], [e.instruction]) for e in episodes]
    truth = [e.first_success >= 0 for e in episodes]
    return judge_answers(probabilities, truth, threshold, classifier.config.consecutive)


def judge_answers(
    probabilities: Sequence[np.ndarray], truth: Sequence[bool], threshold: float, consecutive: int
) -> EpisodeJudgement:
    """`judge` from the probabilities [1, T] of every episode's frames, which can be asked about many thresholds."""
    judged = np.array([consecutive_hits(p >= threshold, consecutive).any() for p in probabilities])
    real = np.array(truth)
    counts = ((judged & real), (judged & ~real), (~judged & real), (~judged & ~real))
    return EpisodeJudgement(*(int(count.sum()) for count in counts))


def calibrate(classifier: SuccessClassifier, episodes: Sequence[Episode]) -> EpisodeJudgement:
    """Sets the strictest threshold that misjudges no more of these real episodes than the best one does, give or take a
    standard error: a few episodes leave long stretches alike, and RL exploits a false success while a missed one only
    costs it a sample."""
    probabilities = [classifier.probability(e.frames[None, 1:], [e.instruction]) for e in episodes]
    truth = [e.first_success >= 0 for e in episodes]
    grid = np.linspace(0.05, 0.95, 37)
    judged = [judge_answers(probabilities, truth, float(value), classifier.config.consecutive) for value in grid]
    errors = np.array([j.false_positive + j.false_negative for j in judged])
    chosen = np.flatnonzero(errors <= errors.min() + np.sqrt(errors.min() + 1))[-1]
    classifier.threshold.fill_(float(grid[chosen]))
    return judged[chosen]
