"""Paired stepping: the same actions from the same start in the imagined and in the real world (paper section 1).

In: a start, actions, switches. Out: branches of `Step`s. Both worlds are exact functions of start, switches and
actions, one row at a time, since results differ in the last bits between batch sizes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from wovr_lab.errors import UserError
from wovr_lab.inspector.models import RunModels
from wovr_lab.inspector.paired_simulator import PairedSimulator
from wovr_lab.inspector.timeline import Branch, Origin, State, Step, Switches
from wovr_lab.types import Episode, Start

MOST_STEPS, MOST_BRANCHES, LONGEST_NAME = 200, 20, 40  # what one session may hold
FIRST = "main"


class Session:
    """One person's walk through both worlds: `start`, then `step`. Success ends nothing; it latches."""

    def __init__(self, models: RunModels):
        self.models = models
        self.simulator = PairedSimulator(models)
        self.switches: Switches = models.switches("base")
        self.branches: dict[str, Branch] = {}
        self.name, self.position = FIRST, 0
        self.pending: Step | None = None
        self.recording: Episode | None = None  # that the autopilot can repeat

    def become(self, other: Session) -> None:
        """Goes on where another session stands."""
        self.switches, self.branches, self.recording = other.switches, other.branches, other.recording
        self._stand(other.name, other.position)

    def start(self, task: str, seed: int) -> None:
        """Begins anew at the initial state of `seed`. Raises UserError on an unknown task, one that the reward was not
        trained on, or a negative seed; what was there then stays."""
        self._begin(Origin(task, seed), self.simulator.initial_start(task, seed), None)

    def start_recorded(self, origin: Origin) -> None:
        """Begins at a place of the run folder. Raises UserError if there is none, or if reality cannot begin there."""
        self.start_episode(self.models.episode(origin), origin)

    def start_episode(self, episode: Episode, origin: Origin) -> None:
        """Begins at frame `origin.step` of an episode. Raises UserError as `start_recorded` does."""
        self._begin(origin, self.simulator.start_in(episode, origin.step), episode)

    @property
    def branch(self) -> Branch:
        """The current one. Raises UserError before the session has started."""
        if not self.branches:
            raise UserError("nothing has begun yet: start with a task and a seed first")
        return self.branches[self.name]

    @property
    def state(self) -> State:
        """Both worlds where we stand."""
        return self.branch.state(self.position)

    @property
    def steps(self) -> tuple[Step, ...]:
        """What led to where we stand."""
        return self.branch.steps[: self.position]

    @property
    def picture(self) -> np.ndarray:
        """uint8 [256, 256, 3], the real world where we stand, for people."""
        return self.simulator.render(self.state)

    def step(self, actions: np.ndarray) -> Step:
        """Imagines and executes actions float32 [8, 7], or [1, 7]: one action, off the trained protocol.

        Forks if later steps of this branch would be lost. Nothing happens if it raises UserError: before `start`, on
        a wrong shape, NaN or a value outside [-1, 1], or where the session is full.
        """
        self.preview(actions)
        return self.commit()

    def preview(self, actions: np.ndarray) -> Step:
        """What `step` would do, held back until `commit`."""
        self.pending = self.simulator.simulate(self.state, actions, self.switches, self.position)
        return self.pending

    def commit(self) -> Step:
        """Makes the previewed step happen. Raises UserError if there is none or the session is full."""
        step = self.pending
        if step is None:
            raise UserError("nothing is previewed; choose an action first")
        self._append(step)
        return step

    def reanchor(self) -> Step:
        """Replaces the imagined frames by the real ones of this moment; imagination goes on from there."""
        step = self.simulator.reanchor(self.state, self.switches)
        self._append(step)
        return step

    def switch(self, **changes: Any) -> Switches:
        """Applies from here on, and is recorded with every step. Another checkpoint brings its own reward's threshold
        and sampler steps. Raises UserError on values that are not possible."""
        checkpoint = changes.get("checkpoint", self.switches.checkpoint)
        if checkpoint != self.switches.checkpoint:
            own = self.models.switches(checkpoint)
            changes = {"threshold": own.threshold, "sampler_steps": own.sampler_steps, **changes}
        self.switches = replace(self.switches, **changes)
        self.pending = None
        return self.switches

    def undo(self, steps: int = 1) -> None:
        """Takes back a preview, or the last steps up to here. Raises UserError if there are not that many."""
        if self.pending is not None and steps == 1:
            self.pending = None
            return
        branch = self.branch
        if not 0 <= steps <= self.position:
            raise UserError(f"there are {self.position} steps to undo, not {steps}")
        kept = branch.cut(self.position - steps)
        self.branches = self.branches | {self.name: kept}
        self._stand(self.name, len(kept.steps))

    def rewind(self, position: int) -> None:
        """Stands after `position` steps of this branch; the later ones stay. Raises UserError outside the branch."""
        self.branch.state(position)
        self._stand(self.name, position)

    def fork(self, name: str = "") -> str:
        """A branch of its own from where we stand, and goes on there. Raises UserError on a name that is taken."""
        kept = self.branch.cut(self.position)
        name = self._free_name(name)
        self.branches = self.branches | {name: kept}
        self._stand(name, self.position)
        return name

    def select(self, name: str) -> None:
        """Stands at the end of a branch. Raises UserError if there is none of that name."""
        self._stand(name, len(self._named(name).steps))

    def rename(self, name: str) -> None:
        """Renames the current branch. Raises UserError on a name that is taken."""
        self.pending, new = None, self._free_name(name)
        self.branches = {new if old == self.name else old: branch for old, branch in self.branches.items()}
        self.name = new

    def delete(self, name: str) -> None:
        """Forgets a branch. Raises UserError if it is the last one, or there is none of that name."""
        self._named(name)
        if len(self.branches) == 1:
            raise UserError("this is the only branch; start anew instead")
        self.branches = {other: branch for other, branch in self.branches.items() if other != name}
        if name == self.name:
            self.select(next(iter(self.branches)))

    def futures(self, count: int = 4) -> list[Step]:
        """The last step imagined again with the noise seeds from its own on; the first is what happened.

        Raises UserError if nothing was imagined there.
        """
        if not self.steps or not len(self.steps[-1].actions):
            raise UserError("there is no imagined step here to imagine again; act first")
        last, before = self.steps[-1], self.branch.state(self.position - 1)
        others = [replace(last.switches, noise=last.switches.noise + extra) for extra in range(1, count)]
        return [
            last,
            *(self.simulator.simulate(before, last.actions, switches, self.position - 1) for switches in others),
        ]

    def take(self, future: Step) -> str:
        """A branch in which the last step is this future; its noise seed applies from here on."""
        self.branch.state(self.position - 1)
        name = self._free_name("")
        self.branches = self.branches | {name: self.branch.cut(self.position - 1).then(future)}
        self.switches = future.switches
        self._stand(name, self.position)
        return name

    def _begin(self, origin: Origin, start: Start, recording: Episode | None) -> None:
        begun = self.simulator.initial_state(start, self.switches)
        self.branches, self.recording = {FIRST: Branch(origin, begun)}, recording
        self._stand(FIRST, 0)

    def _append(self, step: Step) -> None:
        if self.position >= MOST_STEPS:
            raise UserError(f"a branch ends after {MOST_STEPS} steps; undo some or start anew")
        if self.position < len(self.branch.steps):
            self.fork()
        self.branches = self.branches | {self.name: self.branch.then(step)}
        self._stand(self.name, self.position + 1)

    def _stand(self, name: str, position: int) -> None:
        self.name, self.position, self.pending = name, position, None

    def _named(self, name: str) -> Branch:
        if name not in self.branches:
            raise UserError(f"there is no branch {name!r}; choose one of {', '.join(self.branches)}")
        return self.branches[name]

    def _free_name(self, name: str) -> str:
        """The name if nobody has it, or a new one. Raises UserError if it is taken, too long or one too many."""
        name = name.strip() or next(n for n in (f"branch {k}" for k in range(2, 999)) if n not in self.branches)
        if name in self.branches or len(name) > LONGEST_NAME:
            raise UserError(f"the name {name[:LONGEST_NAME]!r} is taken or longer than {LONGEST_NAME}; choose another")
        if len(self.branches) >= MOST_BRANCHES:
            raise UserError(f"a session keeps {MOST_BRANCHES} branches; delete one first")
        return name
