"""The reliability gate: may this world model be trained in? (not in the paper)

In: held-out real rollouts of policies of different strength, imagined again with the same actions. Out: a verdict. It
passes if imagined successes are mostly real, and if no two policies that really differ are imagined in wrong order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from wovr_lab.measure.hallucination import PairedOutcomes
from wovr_lab.measure.intervals import rate_of
from wovr_lab.types import Interval


@dataclass(frozen=True)
class GateBounds:
    """Smallest pooled precision of imagined success, and the smallest lower end of its interval."""

    precision: float = 0.65
    precision_low: float = 0.5


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

    def as_json(self) -> dict[str, Any]:
        """As report.json has it."""
        return {
            "passed": self.passed,
            "precision": asdict(self.precision),
            "policies": [asdict(policy) for policy in self.policies],
            "reasons": list(self.reasons),
        }


def judge_gate(outcomes: dict[str, PairedOutcomes], bounds: GateBounds = GateBounds()) -> GateVerdict:
    """The verdict on paired outcomes by policy."""
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
    return GateVerdict(not reasons, precision, policies, tuple(reasons))


def misranked(policies: Sequence[GatedPolicy]) -> list[tuple[GatedPolicy, GatedPolicy]]:
    """(better, worse) pairs whose real intervals are disjoint and whose imagined rates are in the wrong order."""
    wrong = []
    for first, second in combinations(policies, 2):
        better, worse = (first, second) if first.real.rate > second.real.rate else (second, first)
        if better.real.low > worse.real.high and better.imagined.rate < worse.imagined.rate:
            wrong.append((better, worse))
    return wrong
