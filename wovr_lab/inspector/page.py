"""What the page is told of a session: steps with their frames and numbers, once each, and where the session stands.

In: a `Session`. Out: JSON for the page's scripts (`stage.js`), read-outs as HTML. Presentation only.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from wovr_lab.inspector.fidelity import LEVELS
from wovr_lab.inspector.readout import readout
from wovr_lab.inspector.scenes import Scene
from wovr_lab.inspector.session import Session
from wovr_lab.inspector.sight import ghost_of, image_points, photograph, png, row_of
from wovr_lab.inspector.timeline import OUTCOMES, Step

DIGITS = 3  # after the point, of what is drawn


@dataclass
class Sent:
    """What one page holds already: a number for every step that it has heard of, and those that it was sent whole."""

    numbers: dict[int, int] = field(default_factory=dict)
    known: list[Step] = field(default_factory=list)  # kept alive, so that no other step takes an identity over
    whole: set[int] = field(default_factory=set)

    def number(self, step: Step) -> int:
        """The step's own number on this page."""
        if id(step) not in self.numbers:
            self.numbers[id(step)] = len(self.known)
            self.known.append(step)
        return self.numbers[id(step)]

    def news(self, steps: tuple[Step, ...]) -> dict[int, dict[str, Any]]:
        """By number, those of the steps that the page does not hold yet."""
        fresh = {self.number(step): step for step in steps}
        fresh = {number: step for number, step in fresh.items() if number not in self.whole}
        self.whole |= fresh.keys()
        return {number: told(step) for number, step in fresh.items()}


def payload(session: Session, sent: Sent, more: dict[str, Any]) -> str:
    """Everything about the moment as JSON, and `more`. Raises UserError before the session has started."""
    branch, state, models = session.branch, session.state, session.models
    return json.dumps(
        {
            "branches": {name: [sent.number(step) for step in each.steps] for name, each in session.branches.items()},
            "roots": {name: str(id(each.initial)) for name, each in session.branches.items()},
            "branch": session.name,
            "position": session.position,
            "news": sent.news((*branch.steps, *(each.steps[-1] for each in session.branches.values() if each.steps))),
            "pending": told(session.pending) if session.pending else None,
            "first": png(branch.initial.real.memory[-1]),
            "camera": photograph(session.picture),
            "ghost": ghost_of(state),
            "task": state.real.instruction,
            "gripper": "closed" if state.gripper > 0 else "open",
            "threshold": session.switches.threshold,
            "horizon": models.horizons.get(session.switches.checkpoint),
            "keyframes": models.keyframe_steps(branch.origin),
            "recorded": bool(branch.steps) and not branch.is_own,
            "readout": readout(session),
        }
        | more
    )


def told(step: Step) -> dict[str, Any]:
    """A step as the page draws it: lists have one entry an action."""
    seen = step.fidelity
    return {
        "kind": step.kind,
        "n": len(step.actions),
        "imagined": row_of(step.imagined),
        "real": row_of(step.real),
        "believed": rounded(step.probability_imagined),
        "judged": rounded(step.probability_real),
        "outcomes": [OUTCOMES.index(outcome) for outcome in step.outcomes],
        "levels": seen.levels.tolist(),
        "hand": rounded(seen.hand),
        "cube": rounded(seen.cube),
        "patch": rounded(seen.patch),
        "crosses": crosses(step),
        "uncertainty": round(step.uncertainty, 4),
        "switches": asdict(step.switches),
    }


def crosses(step: Step) -> dict[str, list[Any]] | None:
    """Where hand and cube of the task are in the picture, imagined and really: [n, 2, 2] in shares of its side; None
    without a probe."""
    seen = step.fidelity
    if seen.found is None or seen.truth is None or not len(step.actions):
        return None
    task = step.after.real.task
    return {name: rounded(image_points(read, task)) for name, read in (("imagined", seen.found), ("real", seen.truth))}


def rounded(values: np.ndarray | None) -> list[Any] | None:
    """Numbers as JSON lists of a few digits."""
    return None if values is None else np.round(values.astype(float), DIGITS).tolist()


def rail_of(scenes: list[Scene]) -> list[dict[str, str]]:
    """The thumbnails: the kind, the task, the caption, the last imagined picture and the last real one."""
    return [
        {
            "kind": scene.kind,
            "task": scene.branch.initial.real.instruction,
            "caption": scene.caption,
            "picture": row_of(np.stack([scene.branch.imagined[-1], scene.branch.real[-1]])),
        }
        for scene in scenes
    ]


WORDS = {"outcomes": list(OUTCOMES), "levels": list(LEVELS)}  # that the page's scripts show, by code
