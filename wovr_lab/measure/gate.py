"""The reliability gate: may this world model be trained in? (not in the paper)

In: held-out real rollouts of policies of different strength, imagined again with the same actions, and groups of the
base policy's that share their starts. Out: a verdict. It passes if imagined successes are mostly real, if no two
policies that really differ are imagined in wrong order, and if within a group the rollouts that really succeed are
imagined to; where they are not, it says whether reward or world model is to blame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Annotated, Any

import numpy as np

from wovr_lab.fields import Range, Share, configuration
from wovr_lab.measure.groups import correlation_interval
from wovr_lab.measure.hallucination import PairedOutcomes
from wovr_lab.measure.intervals import rate_of
from wovr_lab.types import Interval


@configuration
class GateBounds:
    """Smallest pooled precision of imagined success, the smallest lower end of its interval, and the smallest
    correlation within groups (of imagined outcomes, and of the reward's on real frames) with real ones."""

    precision: Share = 0.65
    precision_low: Share = 0.5
    correlation: Annotated[float, Range(-1, 1)] = 0.1
    reward_correlation: Annotated[float, Range(-1, 1)] = 0.5


@dataclass(frozen=True)
class GroupOutcomes:
    """G rollouts from each start, the same actions seen three ways."""

    real: np.ndarray  # bool [groups, G]
    judged: np.ndarray  # bool [groups, G], by the reward on the real frames
    imagined: np.ndarray  # bool [groups, G], by the reward on the imagined frames


@dataclass(frozen=True)
class GatedPolicy:
    """One policy's success rates on the same starts with the same actions, and how many imagined ones are real: the
    pooled precision is carried by the expert's easy successes, the base policy's own is what RL starts from."""

    name: str
    real: Interval
    imagined: Interval
    precision: Interval


@dataclass(frozen=True)
class GateVerdict:
    """`reasons` says what is wrong; empty if it passed."""

    passed: bool
    precision: Interval
    policies: tuple[GatedPolicy, ...]
    reasons: tuple[str, ...]
    correlation: Interval | None = None  # within groups, of imagined with real outcomes; None where there are no groups
    reward_correlation: Interval | None = None  # within groups, of the reward on real frames with real outcomes

    def as_json(self) -> dict[str, Any]:
        """The entry in report.json."""
        return {
            "passed": self.passed,
            "precision": asdict(self.precision),
            "policies": [asdict(policy) for policy in self.policies],
            "reasons": list(self.reasons),
            "within_group_correlation": self.correlation and asdict(self.correlation),
            "reward_within_group_correlation": self.reward_correlation and asdict(self.reward_correlation),
        }


def evaluate_gate(
    outcomes: dict[str, PairedOutcomes],
    bounds: GateBounds = GateBounds(),  # noqa: B008 (frozen)
    groups: GroupOutcomes | None = None,
) -> GateVerdict:
    """The verdict on paired outcomes by policy, and on groups of the base policy's where there are any."""
    policies = tuple(
        GatedPolicy(name, rate_of(each.real), rate_of(each.imagined), each.precision) for name, each in outcomes.items()
    )
    pooled = PairedOutcomes(
        np.concatenate([o.imagined for o in outcomes.values()]), np.concatenate([o.real for o in outcomes.values()])
    )
    precision = pooled.precision
    reasons = []
    if precision.n == 0:
        reasons.append("not a single success was imagined, although policies of every strength were")
    elif precision.rate < bounds.precision or precision.low < bounds.precision_low:
        enough = "only" if precision.rate < bounds.precision else "too few to tell:"
        reasons.append(
            f"{enough} {precision.rate:.0%} of imagined successes are real ({precision.low:.0%}-{precision.high:.0%}, "
            f"n = {precision.n}); needed: {bounds.precision:.0%} with a lower end of {bounds.precision_low:.0%}"
        )
    reasons += [
        f"{better.name} really succeeds more often than {worse.name} ({better.real.rate:.0%} > {worse.real.rate:.0%}) "
        f"but is imagined to succeed less ({better.imagined.rate:.0%} < {worse.imagined.rate:.0%})"
        for better, worse in misranked(policies)
    ]
    if groups is None:
        return GateVerdict(not reasons, precision, policies, tuple(reasons))
    imagined, judged = (correlation_interval(seen, groups.real) for seen in (groups.imagined, groups.judged))
    reasons += _blind_within_groups(imagined, judged, bounds)
    return GateVerdict(not reasons, precision, policies, tuple(reasons), imagined, judged)


def _blind_within_groups(imagined: Interval, judged: Interval, bounds: GateBounds) -> list[str]:
    """Why GRPO would learn nothing from such groups, and which part to mend."""
    if imagined.rate >= bounds.correlation:
        return []
    found = f"within groups imagined success hardly agrees with real success (r = {imagined.rate:.2f} "
    found += f"[{imagined.low:.2f}, {imagined.high:.2f}], n = {imagined.n} groups; needed: {bounds.correlation:.2f})"
    if judged.rate < bounds.reward_correlation:
        return [f"{found}: the reward is wrong on real frames, too (r = {judged.rate:.2f}); give it more episodes"]
    return [f"{found}: the reward knows real frames (r = {judged.rate:.2f}), so the world model is at fault"]


def misranked(policies: Sequence[GatedPolicy]) -> list[tuple[GatedPolicy, GatedPolicy]]:
    """(better, worse) pairs whose real intervals are disjoint and whose imagined rates are in the wrong order."""
    wrong = []
    for first, second in combinations(policies, 2):
        better, worse = (first, second) if first.real.rate > second.real.rate else (second, first)
        if better.real.low > worse.real.high and better.imagined.rate < worse.imagined.rate:
            wrong.append((better, worse))
    return wrong
