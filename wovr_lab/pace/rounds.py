"""Rounds of RL in imagination: what each begins with, learns from and leaves behind, by the names of artefacts.

In: a run's configuration, which says how many rounds there are. Out: names relative to the run folder. Round 1 begins
with the base policy and the first simulator; before each later one PACE refines the simulator on rollouts of the policy
that the round before has improved (paper section 4).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wovr_lab.pace.config import RunConfig
from wovr_lab.pace.layout import (
    BASE,
    BASE_ROLLOUTS,
    DEMONSTRATIONS,
    GATE,
    IMAGINED_ACTIONS,
    PLAY,
    STARTS,
    TRAINING,
    checkpoint,
    episodes,
)

ROLLOUT_WEIGHT = 2.5  # of a policy rollout against an episode of play, in world-model training
REFINEMENT_WEIGHT = 5.0  # of a rollout that PACE collects


@dataclass(frozen=True)
class Simulator:
    """A world model and the reward that judges its frames."""

    world: str
    reward: str

    @classmethod
    def of(cls, *names: str) -> Simulator:
        """The one whose checkpoints bear these names after `world` and `reward`."""
        return cls(*(checkpoint("_".join((part, *names))) for part in ("world", "reward")))

    @property
    def names(self) -> tuple[str, str]:
        """Both."""
        return self.world, self.reward

    @property
    def quality(self) -> str:
        """What its reward is worth on the gate's episodes."""
        return f"{Path(self.reward).name}.json"


@dataclass(frozen=True)
class Round:
    """RL in imagination from one policy to a better one."""

    number: int  # from 1 on
    is_last: bool

    @property
    def name(self) -> str:
        """The name of its stage of RL."""
        return f"improve_{self.number}"

    @property
    def gate(self) -> str:
        """The name of the stage that judges its simulator."""
        return f"gate_{self.number}"

    @property
    def verdict(self) -> str:
        """What the gate has found."""
        return f"{self.gate}.json"

    @property
    def policy(self) -> str:
        """The policy that it begins with."""
        return BASE if self.number == 1 else checkpoint(f"improved_{self.number - 1}")

    @property
    def improved(self) -> str:
        """The policy that it ends with."""
        return checkpoint(f"improved_{self.number}")

    @property
    def simulator(self) -> Simulator:
        """The simulator that it begins with."""
        return Simulator.of() if self.number == 1 else Simulator.of(_numbered("evolved", self.number - 1))

    @property
    def refreshed(self) -> Simulator:
        """The simulator that it ends with, kept up with the policy."""
        return Simulator.of("final" if self.is_last else _numbered("improved", self.number))

    @property
    def refined(self) -> Simulator:
        """What PACE makes of that."""
        return Simulator.of(_numbered("evolved", self.number))

    @property
    def monitor(self) -> str:
        """What the monitor's checks have found."""
        return f"monitor_{self.number}.json"

    @property
    def monitored(self) -> str:
        """What the monitor saw for real, a file a check."""
        return f"episodes/monitored_{self.number}"

    @property
    def imagined(self) -> str:
        """Where the monitored actions lie in imagined pictures, labelled with what really happened."""
        return f"episodes/imagined_{self.number}"

    @property
    def keyframes(self) -> str:
        """Where its imagined rollouts could begin beside initial states."""
        return f"keyframes-{self.name}.json"

    @property
    def collect(self) -> str:
        """The name of the stage that collects rollouts of its improved policy."""
        return _numbered("collect_again", self.number)

    @property
    def rollouts(self) -> str:
        """Real rollouts of its improved policy."""
        return episodes(_numbered("fresh", self.number))

    @property
    def refine(self) -> str:
        """The name of the stage that refines the simulator on them."""
        return _numbered("refine", self.number)


def _numbered(name: str, number: int) -> str:
    """The first of its kind has no number."""
    return name if number == 1 else f"{name}_{number}"


def rounds(config: RunConfig) -> tuple[Round, ...]:
    """All rounds of a run, in order."""
    last = len(config.rl.iterations)
    return tuple(Round(number, number == last) for number in range(1, last + 1))


def _before(config: RunConfig, number: int) -> tuple[Round, ...]:
    """The rounds before round `number`."""
    return rounds(config)[: number - 1]


def start_sources(config: RunConfig, number: int) -> tuple[str, ...]:
    """Episodes in which the imagined rollouts of round `number` begin."""
    return (*STARTS, *(each.rollouts for each in _before(config, number)))


def world_sources(config: RunConfig, number: int) -> dict[str, float]:
    """What a world model may have learnt from when round `number` begins, with the weight of an episode of each."""
    weights = {PLAY: 1.0} | dict.fromkeys(TRAINING, ROLLOUT_WEIGHT)
    weights[IMAGINED_ACTIONS] = config.data.imagined_actions_weight
    for each in _before(config, number):
        if config.rl.monitor.weight:
            weights[each.monitored] = config.rl.monitor.weight
        weights[each.rollouts] = REFINEMENT_WEIGHT
    return weights


def reward_sources(config: RunConfig, number: int) -> tuple[str, ...]:
    """What a reward may have learnt from when round `number` begins."""
    found = [*TRAINING, IMAGINED_ACTIONS]
    for each in _before(config, number):
        found += [*monitored_for_reward(config, each), each.rollouts]
    return tuple(found)


def monitored_for_reward(config: RunConfig, each: Round) -> tuple[str, ...]:
    """What a reward learns from of what the monitor saw; where it is kept up with the policy also in imagined pictures,
    labelled with what really happened."""
    if config.reward.refresh:
        return each.monitored, each.imagined
    return (each.monitored,) if config.rl.monitor.weight else ()


def success_sources(config: RunConfig, number: int) -> tuple[str, ...]:
    """Where the real successes are that a policy may imitate before round `number`, or after the last one (a number
    more): the demonstrations, and what policies before it achieved, the base's part of the gate's episodes included (no
    world model or reward ever learns from these). The expert's examples are not imitated; they were paid for the
    reward."""
    before = _before(config, number)
    collected = (each.rollouts for each in before if not each.is_last)
    return (
        DEMONSTRATIONS, BASE_ROLLOUTS, *collected, GATE, IMAGINED_ACTIONS, *(each.monitored for each in before)
    )  # fmt: skip
