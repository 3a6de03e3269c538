"""Recorded rollouts that the page opens on: what was imagined once and what the same actions did in reality.

In: pairs of episode files of a run folder (`wovr-lab measure` and the loop's comparison write them). Out: branches as
if somebody had just driven them, so that one can go on from any chunk of theirs; a few are chosen for the page's rail.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from wovr_lab.errors import UserError
from wovr_lab.inspector.models import RunModels
from wovr_lab.inspector.paired_simulator import PairedSimulator
from wovr_lab.inspector.timeline import FALSE, MISSED, SAME, Branch, Origin, State, Step
from wovr_lab.measure.tabletop.gallery import LOST_CM
from wovr_lab.measure.tabletop.probes import read_states
from wovr_lab.starts import start_at
from wovr_lab.types import CHUNK, Episode

RAIL, MOST_EACH = 8, 6  # scenes on the page; looked at in a file
VANISHED, FAITHFUL, OTHER = "lost cube", "faithful", "both fail"
KINDS = (FALSE, MISSED, VANISHED, FAITHFUL, OTHER)  # in the order of the rail
CAPTIONS = {
    FALSE: "The world model imagines success at “{task}”; with the same actions the real task fails.",
    MISSED: "The real robot succeeds at “{task}”; with the same actions the world model imagines a failure.",
    VANISHED: "At “{task}” the imagined cube ends up as far as {cm:.0f} cm from where it really is.",
    FAITHFUL: "Imagination keeps up: both worlds succeed at “{task}”.",
    OTHER: "Both worlds fail at “{task}”, in imagination as in reality.",
}


@dataclass(frozen=True)
class Scene:
    """A recorded rollout in both worlds."""

    kind: str  # one of `KINDS`
    caption: str  # one sentence
    checkpoint: str  # what imagined it
    branch: Branch
    off_cm: float  # the largest error of the task's cube; 0 where no probe reads it

    @property
    def origin(self) -> Origin:
        """Where it is recorded."""
        return self.branch.origin


def rail(models: RunModels) -> list[Scene]:
    """A few scenes: of each kind one a task, kinds in turn until the rail is full; then in the order of `KINDS`."""
    simulator = PairedSimulator(models)
    scenes = [scene_at(simulator, origin) for origin in _origins(models)]
    scenes.sort(key=lambda scene: scene.off_cm if scene.kind == FAITHFUL else -scene.off_cm)  # the clearest first
    best = {(scene.kind, scene.origin.task): scene for scene in reversed(scenes)}
    by_kind = [[scene for scene in scenes if scene in best.values() and scene.kind == kind] for kind in KINDS]
    in_turn = [of_kind[turn] for turn in range(RAIL) for of_kind in by_kind if turn < len(of_kind)]
    return sorted(in_turn[:RAIL], key=lambda scene: KINDS.index(scene.kind))


def scene_at(simulator: PairedSimulator, origin: Origin) -> Scene:
    """The recorded rollout whose real side `origin` names. Raises UserError if no imagined side lies beside it, or if
    reality cannot begin there."""
    models = simulator.models
    real, imagined = models.episode(origin), models.imagined_episode(origin)
    checkpoint = models.imagined_by(origin)
    length = min(len(real), len(imagined)) // CHUNK * CHUNK
    if not length or not np.array_equal(real.actions[:length], imagined.actions[:length]):
        raise UserError(f"{origin.source} and the imagined episodes beside it do not hold the same actions")
    branch = _recorded(simulator, origin, real, imagined, checkpoint, length)
    errors = [step.fidelity.cube.max() for step in branch.steps if step.fidelity.cube is not None]
    off = float(max(errors, default=0.0))
    kind = kind_of(branch.steps[-1].outcome, off)
    caption = CAPTIONS[kind].format(task=real.instruction, cm=off)
    return Scene(kind, caption, checkpoint, branch, off)


def kind_of(outcome: str, off_cm: float) -> str:
    """One of `KINDS`, from how a rollout ended and by how much its cube was off."""
    if outcome in (FALSE, MISSED):
        return outcome
    if off_cm > LOST_CM:
        return VANISHED
    return FAITHFUL if outcome == SAME else OTHER


def _origins(models: RunModels) -> Iterator[Origin]:
    """The real sides of what was recorded in pairs from initial states, some of every file."""
    for source, rows in models.paired_sources():
        for index, task, seed in rows[:MOST_EACH]:
            yield Origin(task, seed, source, index)


def _recorded(
    simulator: PairedSimulator, origin: Origin, real: Episode, imagined: Episode, checkpoint: str, length: int
) -> Branch:
    """The branch of a recording, chunk by chunk, as `PairedSimulator.simulate` would have made it."""
    switches = simulator.models.switches(checkpoint)
    reward = simulator.models.reward(checkpoint)
    initial = simulator.initial_state(simulator.start_in(real, 0), switches)
    both = np.stack([imagined.frames[1 : length + 1], real.frames[1 : length + 1]])
    believed, judged = reward.probability(both, (real.instruction,) * 2)
    truth = read_states(real.states[1 : length + 1])
    steps, state = [], initial
    for first in range(0, length, CHUNK):
        part, frames = slice(first, first + CHUNK), slice(first + 1, first + CHUNK + 1)
        joined = np.concatenate([state.recent, believed[part]])
        state = State(
            imagined=replace(start_at(imagined, first + CHUNK), state=None),
            real=simulator.start_in(real, first + CHUNK),
            switches=switches,
            recent=joined[len(joined) - len(state.recent) :],
            succeeded=(bool(imagined.success[part][-1]), bool(real.success[part][-1])),
            horizon=first + CHUNK,
        )
        pictures = imagined.frames[frames], real.frames[frames]
        steps.append(
            Step(
                "recorded", real.actions[part], switches, *pictures, real.states[frames], believed[part], judged[part],
                imagined.success[part], real.success[part], state,
                simulator.fidelity(real.task, *pictures, truth[part]),
            )
        )  # fmt: skip
    return Branch(origin, initial, tuple(steps), real)
