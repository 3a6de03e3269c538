"""How the reward learns, and how its threshold is chosen (paper section 2, "Reward").

In: labelled frames of real episodes. Out: a classifier whose episode-level recall and precision on held-out real
episodes are measured. Pictures are shifted by up to a pixel, without which a handful of successes is learnt by heart.
Frames of the newest policy may have a share of each batch of their own: a policy that learns finds what the reward
takes for success by mistake, and only its own rollouts show that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wovr_lab.errors import UserError
from wovr_lab.fields import Natural, NonNegative, Range, configuration
from wovr_lab.pixels import to_float
from wovr_lab.reward.classifier import SuccessClassifier, consecutive_hits
from wovr_lab.reward.frames import KINDS, LabelledFrames
from wovr_lab.runs import Metrics
from wovr_lab.seeding import stream, torch_stream
from wovr_lab.training import FitConfig, fit
from wovr_lab.types import Episode


@configuration
class RewardTrainingConfig:
    """Schedule and batch of the classifier."""

    fit: FitConfig
    batch: Annotated[int, Range(KINDS)] = 120
    frame_noise: NonNegative = 0.03
    shift: Natural = 1  # pixels
    newest: Annotated[float, Range(0, 1, "()")] = (
        0.5  # share of a batch that comes from the newest policy's rollouts, where there are any
    )


class SuccessLoss(nn.Module):
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
    classifier: SuccessClassifier, data: LabelledFrames, config: RewardTrainingConfig, run_seed: int,
    folder: Path | None = None, metrics: Metrics | None = None, name: str = "reward",
    newest: LabelledFrames | None = None,
) -> SuccessClassifier:  # fmt: skip
    """Trains the classifier in place. Raises UserError if `data` lacks successes or failures of an instruction."""
    _check_both_outcomes(data)
    parts = [(data, config.batch)]
    if newest is not None:
        own = round(config.batch * config.newest)
        parts = [(data, config.batch - own), (newest, own)]

    def batch_at(step: int) -> dict[str, Tensor]:
        rng, generator = stream(run_seed, "reward", step), torch_stream(run_seed, "reward", step)
        drawn = [(part, part.draw(count, rng)) for part, count in parts]
        pictures = to_float(np.concatenate([part.frames[index] for part, index in drawn]))
        pictures = shifted(pictures, config.shift, generator)
        pictures = pictures * (1 + 0.05 * torch.randn(len(pictures), 1, 1, 1, generator=generator))
        pictures = pictures + config.frame_noise * torch.randn(pictures.shape, generator=generator)
        columns, labels = (
            np.concatenate([getattr(part, name)[index] for part, index in drawn]) for name in ("columns", "labels")
        )
        return {"pictures": pictures, "columns": torch.as_tensor(columns), "labels": torch.as_tensor(labels).float()}

    fit(SuccessLoss(classifier), batch_at, config.fit, name, folder, metrics)
    return classifier.eval()


def _check_both_outcomes(data: LabelledFrames) -> None:
    for words, outcome in ((data.without_success(), "successful"), (data.without_failure(), "failed")):
        if words:
            raise UserError(f"no {outcome} frame of {words[0]!r} to learn a reward from; collect more episodes")


def shifted(pictures: Tensor, pixels: int, generator: torch.Generator) -> Tensor:
    """Every picture [B, 3, H, W] moved by up to so many whole pixels in both directions, its border repeated."""
    count, _, height, width = pictures.shape
    offsets = torch.randint(-pixels, pixels + 1, (count, 2), generator=generator)
    offsets = offsets * torch.tensor([2 / width, 2 / height])
    transforms = torch.cat([torch.eye(2).expand(count, 2, 2), offsets[:, :, None]], 2)
    grid = F.affine_grid(transforms, list(pictures.shape), align_corners=False)
    return F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


@dataclass(frozen=True)
class ClassifierCounts:
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


def evaluate_classifier(
    classifier: SuccessClassifier, episodes: Sequence[Episode], threshold: float | None = None
) -> ClassifierCounts:
    """Latched success by the classifier against the truth, an episode at a time."""
    threshold = float(classifier.threshold) if threshold is None else threshold
    truth = [episode.first_success >= 0 for episode in episodes]
    return evaluate_probabilities(_answers(classifier, episodes), truth, threshold, classifier.config.consecutive)


def classify_episodes(classifier: SuccessClassifier, episodes: Sequence[Episode]) -> np.ndarray:
    """bool [episodes]: which the classifier takes for successes at its threshold."""
    return np.array([bool(classifier.hits(answer).any()) for answer in _answers(classifier, episodes)])


def _answers(classifier: SuccessClassifier, episodes: Sequence[Episode]) -> list[np.ndarray]:
    """The probabilities [1, T] of every episode's frames after its first."""
    return [classifier.probability(episode.frames[None, 1:], [episode.instruction]) for episode in episodes]


def evaluate_probabilities(
    probabilities: Sequence[np.ndarray], truth: Sequence[bool], threshold: float, consecutive: int
) -> ClassifierCounts:
    """`evaluate_classifier` from the probabilities [1, T] of every episode's frames, which can be asked about many
    thresholds."""
    judged = np.array([consecutive_hits(p >= threshold, consecutive).any() for p in probabilities])
    real = np.array(truth)
    counts = ((judged & real), (judged & ~real), (~judged & real), (~judged & ~real))
    return ClassifierCounts(*(int(count.sum()) for count in counts))


def calibrate(classifier: SuccessClassifier, episodes: Sequence[Episode]) -> ClassifierCounts:
    """Sets the strictest threshold that misjudges no more of these real episodes than the best one does, give or take a
    standard error: a few episodes leave long stretches alike, and RL exploits a false success while a missed one only
    costs it a sample."""
    probabilities = _answers(classifier, episodes)
    truth = [e.first_success >= 0 for e in episodes]
    grid = np.linspace(0.05, 0.95, 37)
    judged = [
        evaluate_probabilities(probabilities, truth, float(value), classifier.config.consecutive) for value in grid
    ]
    errors = np.array([j.false_positive + j.false_negative for j in judged])
    chosen = np.flatnonzero(errors <= errors.min() + np.sqrt(errors.min() + 1))[-1]
    classifier.threshold.fill_(float(grid[chosen]))
    return judged[chosen]
