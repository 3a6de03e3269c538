"""The monitor: is what RL gains in imagination real? (not in the paper, which stops RL by hand)

In: a policy that is being trained, starts that the ledger pays for. Out: a verdict at each check, and the policy that
the stage ends with. At a check the same actions are seen in both worlds: the policy's imagined rollouts are executed
for real, or, where imagination is too poor for that to say much of a policy that sees real pictures, its real ones are
imagined again. RL stops when real success falls clearly behind its best; what is kept is the policy that really did
best, never the one imagined best.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from wovr_lab.episodes import EpisodeStore, write_episodes
from wovr_lab.imagined.environment import ImaginedEnv
from wovr_lab.imagined.refresh import Executed
from wovr_lab.measure.hallucination import PairedOutcomes, replay_in_imagination, replay_in_simulator, truly_labelled
from wovr_lab.measure.intervals import difference_of_rates, rate_of, wilson
from wovr_lab.pace.data import IMAGINED, MONITORED, real_env, seeds, starts
from wovr_lab.pace.stages import Run
from wovr_lab.policy.checkpoints import load_policy, save_policy
from wovr_lab.policy.exploration import ExploringActor
from wovr_lab.policy.vla import VLAPolicy
from wovr_lab.reward.refresh import RewardErrors
from wovr_lab.rollout import roll_out
from wovr_lab.runs import read_json, write_json
from wovr_lab.types import Interval

RATES = ("imagined", "real", "precision", "false_positive", "false_negative")
UNKNOWN = wilson(0, 0)


@dataclass(frozen=True)
class MonitorCheck:
    """What the monitor saw after so many updates, the same actions in both worlds."""

    updates: int  # of RL; -1 of what a phase was given, before it imitated
    imagined: Interval
    real: Interval
    precision: Interval  # of imagined success
    episodes: int
    frames: int
    false_positive: Interval = UNKNOWN  # of the reward on the real frames, of the episodes that really failed
    false_negative: Interval = UNKNOWN  # of those that really succeeded

    @classmethod
    def of(
        cls, updates: int, outcomes: PairedOutcomes, frames: int, errors: RewardErrors | None = None
    ) -> MonitorCheck:
        """The rates of paired outcomes, and of the reward's errors where it was asked."""
        imagined, real = rate_of(outcomes.imagined), rate_of(outcomes.real)
        found = {} if errors is None else {
            "false_positive": wilson(errors.false_positives, errors.failures),
            "false_negative": wilson(errors.false_negatives, errors.successes),
        }  # fmt: skip
        return cls(updates, imagined, real, outcomes.precision, len(outcomes.real), frames, **found)

    @classmethod
    def from_json(cls, row: dict) -> MonitorCheck:
        """The inverse of `asdict`; older checks did not ask for the reward's errors."""
        rates = {name: Interval(**row[name]) for name in RATES if name in row}
        return cls(**(row | rates))


def is_over_optimised(checks: Sequence[MonitorCheck]) -> bool:
    """Whether the latest check's real success lies clearly below the best one's: the interval of their difference
    leaves zero out. The level of precision decides nothing here, since RL can start from a poor one and mend it; that
    is the gate's to judge."""
    return difference_of_rates(best(checks).real, checks[-1].real).low > 0


def best(checks: Sequence[MonitorCheck]) -> MonitorCheck:
    """The check with the highest real success; of several the latest, which has learnt most."""
    return max(checks, key=lambda check: (check.real.rate, check.updates))


class Monitor:
    """Looks at a policy during `improve_N`; resumable, since every check is written down in the stage's scratch."""

    def __init__(self, run: Run, number: int, env: ImaginedEnv):
        config = run.config
        self.run, self.number, self.env = run, number, env
        # what is seen before PACE is no judge of what comes after, if that learns from it
        learners = (config.reward_refresh, config.world_refresh, config.imitate_successes)
        self.learnt_from = config.monitored_weight > 0 or any(learner is not None for learner in learners)
        skip = config.monitor_starts * (number - 1) if self.learnt_from else 0
        self.starts = starts(config, seeds(config, "monitor", config.monitor_starts, skip))
        self.path = run.scratch / "monitor.json"
        self.checks = [MonitorCheck.from_json(row) for row in read_json(self.path)] if self.path.exists() else []

    def check(self, updates: int, policy: VLAPolicy) -> bool:
        """Sees the policy act in both worlds, keeps it if it really did best; True if RL may go on."""
        self.checks = [check for check in self.checks if check.updates < updates]
        run = self.run
        run.ledger.reserve(run.stage, (len(self.checks) + 1) * len(self.starts))
        label = f"improve_{self.number}/monitor"
        outcomes, executed = self._in_both_worlds(policy, label)
        write_episodes(self._path(MONITORED, run.scratch, updates), executed.real)
        write_episodes(self._path(IMAGINED, run.scratch, updates), executed.imagined)
        errors = RewardErrors.of(self.env.reward, executed.real)
        check = MonitorCheck.of(updates, outcomes, sum(map(len, executed.real)), errors)
        self.checks.append(check)
        if best(self.checks) is check:
            save_policy(policy, self._kept)
        write_json(self.path, [asdict(each) for each in self.checks])
        run.metrics.log(label, max(updates, 0), _as_metrics(check))
        learns_nothing = run.config.scale == "smoke"  # there noise would decide
        return learns_nothing or not is_over_optimised(self.checks)

    def _in_both_worlds(self, policy: VLAPolicy, label: str) -> tuple[PairedOutcomes, Executed]:
        """Outcomes of the same actions, and how both worlds showed them; the same noise at every check."""
        config = self.run.config
        temperature, actor = config.grpo.temperature, ExploringActor(policy, config.grpo.noise)
        env = real_env(config, len(self.starts), config.hold if self.learnt_from else 0, every_frame=True)
        if config.monitor_acts:
            real = roll_out(env, actor, self.starts, config.seed, label, temperature, video=True, progress=True)
            outcomes, imagined = replay_in_imagination(self.env, real.episodes(), config.seed, label)
        else:
            imagined = roll_out(
                self.env, actor, self.starts, config.seed, label, temperature, video=True, progress=True
            )
            outcomes, real = replay_in_simulator(env, imagined, config.seed, label)
        episodes = real.episodes()
        return outcomes, Executed(episodes, truly_labelled(imagined, episodes))

    def looked_at(self, updates: int) -> list[int]:
        """The numbers of updates, up to `updates`, at which this phase was looked at before."""
        return [check.updates for check in self.checks if 0 <= check.updates <= updates]

    def executed(self, updates: int) -> Executed:
        """What was seen in both worlds at the check after so many updates."""
        paths = (self._path(kind, self.run.scratch, updates) for kind in (MONITORED, IMAGINED))
        return Executed(*(list(EpisodeStore([path])) for path in paths))

    def finish(self) -> VLAPolicy:
        """Books all checks, writes them and their episodes down and returns the policy that the stage ends with."""
        run = self.run
        run.ledger.debit(run.stage, "real", sum(x.episodes for x in self.checks), sum(x.frames for x in self.checks))
        kept = best(self.checks).updates
        for kind in (MONITORED, IMAGINED):
            folder = run.path(f"episodes/{kind}_{self.number}")
            shutil.rmtree(folder, ignore_errors=True)  # of an earlier, longer phase
            folder.mkdir()
            for check in self.checks:
                shutil.copy2(self._path(kind, run.scratch, check.updates), folder)
        checks = [asdict(check) for check in self.checks]
        write_json(run.path(f"monitor_{self.number}.json"), {"kept": kept, "checks": checks})
        return load_policy(self._kept)

    def _path(self, kind: str, folder: Path, updates: int) -> Path:
        return folder / f"{kind}_{self.number}" / f"{updates:03}.hdf5"

    @property
    def _kept(self) -> Path:
        return self.run.scratch / "kept"


def _as_metrics(check: MonitorCheck) -> dict[str, float]:
    flat = {name: getattr(check, name).rate for name in RATES}
    return flat | {"low": check.precision.low, "high": check.precision.high, "n": check.precision.n}
