"""The monitor: is what RL gains in imagination real? (not in the paper, which stops RL by hand)

In: a policy that is being trained, starts that the ledger pays for. Out: a verdict at each look, and the policy that
the stage ends with. At a look the policy's imagined rollouts are executed for real. RL stops when what that achieves
falls clearly behind its best; what is kept is the policy that really did best, never the one imagined best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from wovr_lab.imagined.environment import ImaginedEnv
from wovr_lab.measure.hallucination import PairedOutcomes, execute_for_real
from wovr_lab.measure.intervals import difference_of_rates, rate_of
from wovr_lab.pace.data import real_env, seeds, starts
from wovr_lab.pace.stages import Run
from wovr_lab.policy.checkpoints import load_policy, save_policy
from wovr_lab.policy.vla import VLAPolicy
from wovr_lab.rollout import roll_out
from wovr_lab.runs import read_json, write_json
from wovr_lab.types import Interval


@dataclass(frozen=True)
class Look:
    """What the monitor saw after so many updates, the same actions in both worlds."""

    updates: int
    imagined: Interval
    real: Interval
    precision: Interval  # of imagined success
    episodes: int
    frames: int

    @classmethod
    def of(cls, updates: int, outcomes: PairedOutcomes, frames: int) -> Look:
        """The rates of paired outcomes."""
        imagined, real = rate_of(outcomes.imagined), rate_of(outcomes.real)
        return cls(updates, imagined, real, outcomes.precision, len(outcomes.real), frames)

    @classmethod
    def from_json(cls, row: dict) -> Look:
        """The inverse of `asdict`."""
        rates = {name: Interval(**row[name]) for name in ("imagined", "real", "precision")}
        return cls(**(row | rates))


def is_over_optimised(looks: Sequence[Look]) -> bool:
    """Whether the latest look's real success lies clearly below the best one's: the interval of their difference leaves
    zero out. The level of precision decides nothing here, since RL can start from a poor one and mend it; that is the
    gate's to judge."""
    return difference_of_rates(best(looks).real, looks[-1].real).low > 0


def best(looks: Sequence[Look]) -> Look:
    """The look with the highest real success; of several the latest, which has learnt most."""
    return max(looks, key=lambda look: (look.real.rate, look.updates))


class Monitor:
    """Looks at a policy during `improve_N`; resumable, since every look is written down in the stage's scratch."""

    def __init__(self, run: Run, name: str, env: ImaginedEnv):
        self.run, self.name, self.env = run, name, env
        self.starts = starts(run.config, seeds(run.config, "monitor", run.config.monitor_starts))
        self.path = run.scratch / "monitor.json"
        self.looks = [Look.from_json(row) for row in read_json(self.path)] if self.path.exists() else []

    def look(self, updates: int, policy: VLAPolicy) -> bool:
        """Executes the policy's imagined rollouts for real, keeps the policy if it did best; True if RL may go on."""
        self.looks = [look for look in self.looks if look.updates < updates]
        config, run = self.run.config, self.run
        run.ledger.reserve(run.stage, (len(self.looks) + 1) * len(self.starts))
        temperature, label = config.grpo.temperature, f"{self.name}/monitor"
        imagined = roll_out(self.env, policy, self.starts, config.seed, label, temperature, progress=True)
        outcomes, real = execute_for_real(
            real_env(config, len(self.starts), every_frame=True), imagined, config.seed, label
        )
        look = Look.of(updates, outcomes, int(real.steps.sum()))
        self.looks.append(look)
        if best(self.looks) is look:
            save_policy(policy, self._kept)
        write_json(self.path, [asdict(each) for each in self.looks])
        run.metrics.log(label, updates, _as_metrics(look))
        return config.scale == "smoke" or not is_over_optimised(self.looks)  # where nothing is learnt, noise decides

    def finish(self, path: Path) -> VLAPolicy:
        """Books all looks, writes them to `path` and returns the policy that the stage ends with."""
        run = self.run
        run.ledger.debit(run.stage, "real", sum(x.episodes for x in self.looks), sum(x.frames for x in self.looks))
        kept = best(self.looks).updates
        write_json(path, {"kept": kept, "looks": [asdict(look) for look in self.looks]})
        return load_policy(self._kept)

    @property
    def _kept(self) -> Path:
        return self.run.scratch / "kept"


def _as_metrics(look: Look) -> dict[str, float]:
    names = ("imagined", "real", "precision")
    flat = {name: getattr(look, name).rate for name in names}
    return flat | {"low": look.precision.low, "high": look.precision.high, "n": look.precision.n}
