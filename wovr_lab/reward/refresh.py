"""A reward kept up with a policy that learns from it (not in the paper, whose classifier is trained once).

In: real rollouts of the current policy, paid for by whoever looks at it anyway, and the imagined pictures of the same
actions. Out: how often the reward is wrong about the real ones, and the same reward after it has learnt from both. An
imagined picture is labelled with what really happened: where imagination is wrong, its success is worth less. A policy
that is optimised against a fixed classifier finds what it takes for success by mistake, on real frames too: agreement
on the base policy's rollouts says nothing about that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.reward.frames import LabelledFrames
from wovr_lab.reward.training import RewardTrainingConfig, calibrate, evaluate_classifier, train_reward
from wovr_lab.runs import Metrics, Snapshots
from wovr_lab.seeding import seed_of
from wovr_lab.types import Episode

CALIBRATION = 5  # every fifth episode chooses the threshold instead of training


@dataclass(frozen=True)
class RewardErrors:
    """How a reward judges real rollouts that it has not learnt from, an episode at a time."""

    false_positives: int
    failures: int  # really
    false_negatives: int
    successes: int  # really

    @classmethod
    def of(cls, reward: SuccessClassifier, episodes: Sequence[Episode]) -> RewardErrors:
        """The errors of `reward` on these real episodes."""
        found = evaluate_classifier(reward, episodes)
        return cls(
            false_positives=found.false_positive,
            failures=found.false_positive + found.true_negative,
            false_negatives=found.false_negative,
            successes=found.false_negative + found.true_positive,
        )

    @property
    def false_positive_rate(self) -> float:
        """P(judged a success | failure); 0 where nothing failed."""
        return self.false_positives / max(1, self.failures)

    @property
    def false_negative_rate(self) -> float:
        """P(judged a failure | success); 0 where nothing succeeded."""
        return self.false_negatives / max(1, self.successes)


def split(episodes: Sequence[Episode]) -> tuple[list[Episode], list[Episode]]:
    """What a reward learns from, and every fifth episode, which chooses its threshold."""
    rows = list(enumerate(episodes))
    return [e for row, e in rows if row % CALIBRATION], [e for row, e in rows if not row % CALIBRATION]


def _split_alike(newest: Sequence[Episode], imagined: Sequence[Episode]) -> tuple[list[Episode], list[Episode]]:
    """`split` of both, so that no rollout is learnt from in one world and chooses the threshold in the other."""
    (learning, calibrating), (own, own_calibrating) = split(newest), split(imagined)
    return learning + own, calibrating + own_calibrating


class RewardRefresh:
    """Trains `reward` in place on what was known before and on the newest rollouts; with a folder resumable: what it
    learnt at each number of updates is kept there, and `restore` goes back to it."""

    def __init__(
        self, reward: SuccessClassifier, known: Sequence[Episode], training: RewardTrainingConfig, run_seed: int,
        name: str = "refresh", folder: Path | None = None, metrics: Metrics | None = None,
    ):  # fmt: skip
        self.reward, self.training = reward, training
        self.learning, self.calibrating = split(known)
        self.run_seed, self.name, self.metrics = run_seed, name, metrics
        self.snapshots = Snapshots(reward, folder, "reward")

    def update(self, updates: int, newest: Sequence[Episode], imagined: Sequence[Episode] = ()) -> None:
        """Learns from the rollouts of the policy after so many updates; they are known from then on."""
        instructions = tuple(self.reward.config.instructions)
        learning, calibrating = _split_alike(newest, imagined)
        name = f"{self.name}/{updates}"
        train_reward(
            self.reward.requires_grad_(True),
            LabelledFrames.of(self.learning, instructions),
            self.training,
            seed_of(self.run_seed, name),
            metrics=self.metrics,
            name=name,
            newest=LabelledFrames.of(learning, instructions),
        )
        self.learning += learning
        self.calibrating += calibrating
        calibrate(self.reward, self.calibrating)
        self.snapshots.save(updates)

    def restore(self, updates: int, newest: Sequence[Episode], imagined: Sequence[Episode] = ()) -> bool:
        """Takes back what was learnt at so many updates from these rollouts; False if that was never done."""
        if not self.snapshots.restore(updates):
            return False
        learning, calibrating = _split_alike(newest, imagined)
        self.learning += learning
        self.calibrating += calibrating
        return True
