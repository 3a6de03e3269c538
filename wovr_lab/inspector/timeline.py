"""What a person did in both worlds, as values: states, the steps between them, branches that share their beginnings.

Nothing here changes once made: going back is pointing at an earlier state, a fork shares the steps before it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from wovr_lab.errors import UserError
from wovr_lab.inspector.fidelity import Fidelity
from wovr_lab.inspector.keys import GRIPPER
from wovr_lab.measure.hallucination import psnr
from wovr_lab.types import MEMORY, Episode, Start
from wovr_lab.world.context import Context

MOST_SAMPLER_STEPS = 20
Kind = Literal["chunk", "action", "re-anchor", "recorded"]
OPEN, SAME, FALSE, MISSED = OUTCOMES = ("open", "same outcome", "false success", "missed success")


@dataclass(frozen=True)
class Switches:
    """How the next step is imagined and judged."""

    anchor: bool = True  # is imagination told the first frame?
    memory: int = MEMORY  # latest frames that it is told, 4 or 1
    sampler_steps: int = 1
    noise: int = 0  # names the random stream
    checkpoint: str = "base"  # of `RunModels.checkpoints`: the world model, and the reward learnt beside it
    threshold: float = 0.5  # success probability from which the reward believes in success

    def __post_init__(self) -> None:
        if self.memory not in (1, MEMORY):
            raise UserError(f"memory {self.memory} is not possible; choose 1 or {MEMORY} frames")
        if not 1 <= self.sampler_steps <= MOST_SAMPLER_STEPS:
            raise UserError(f"{self.sampler_steps} sampler steps are not possible; choose 1 to {MOST_SAMPLER_STEPS}")
        if not 0 <= self.noise < 2**31:
            raise UserError(f"noise seed {self.noise} is not possible; choose one from 0 to {2**31 - 1}")
        if not 0 < self.threshold < 1:
            raise UserError(f"threshold {self.threshold} is not possible; choose one between 0 and 1")


@dataclass(frozen=True)
class State:
    """Both worlds at one moment."""

    imagined: Start  # its memory holds the latest imagined frames
    real: Start  # the same in reality, with the simulator's state
    switches: Switches  # those that led here
    context: Context | None = None  # latents to go on from; None: to be encoded from the frames
    recent: np.ndarray | None = None  # float32 [r], the last imagined success probabilities
    succeeded: tuple[bool, bool] = (False, False)  # imagined, real; latched
    horizon: int = 0  # horizon: imagined frames since the last real one

    @property
    def gripper(self) -> float:
        """The last gripper command: -1 open, +1 close."""
        return float(self.real.memory_actions[-1, GRIPPER])


@dataclass(frozen=True)
class Step:
    """What n actions led to in both worlds: a chunk (n = 8), a chunk that was recorded earlier (8), one action off the
    trained protocol (1), or none (0), where the imagined frames were replaced by the real ones."""

    kind: Kind
    actions: np.ndarray  # float32 [n, 7]
    switches: Switches
    imagined: np.ndarray  # uint8 [n, H, W, 3]
    real: np.ndarray  # uint8 [n, H, W, 3]
    states: np.ndarray  # float64 [n, S], of the real simulator
    probability_imagined: np.ndarray  # float32 [n], the reward's, of the imagined frames
    probability_real: np.ndarray  # float32 [n], the reward's, of the real frames
    success_imagined: np.ndarray  # bool [n], latched, by the reward
    success_real: np.ndarray  # bool [n], latched, by the simulator
    after: State
    fidelity: Fidelity
    uncertainty: float = 0.0  # how far answers to other noises lie apart, in latents; 0 where nothing was imagined

    @property
    def difference(self) -> np.ndarray:
        """uint8 [n, H, W, 3], absolute."""
        return np.abs(self.imagined.astype(np.int16) - self.real).astype(np.uint8)

    @property
    def psnr(self) -> float:
        """PSNR of the imagined frames against the real ones, dB; NaN for a step without frames."""
        return psnr(self.imagined, self.real) if len(self.actions) else float("nan")

    @property
    def outcome(self) -> str:
        """One of `OUTCOMES`, after this step."""
        return outcome(*self.after.succeeded)

    @property
    def outcomes(self) -> list[str]:
        """[n], after each action."""
        return [
            outcome(bool(imagined), bool(real))
            for imagined, real in zip(self.success_imagined, self.success_real, strict=True)
        ]


def outcome(imagined: bool, real: bool) -> str:
    """What is to be said of success so far: "open" where neither world has seen one yet."""
    if imagined == real:
        return SAME if real else OPEN
    return FALSE if imagined else MISSED


@dataclass(frozen=True)
class Origin:
    """How to begin there again: the initial state of a seed, or frame `step` of an episode of the run folder."""

    task: str
    seed: int
    source: str = ""  # file in the run folder; "" for an initial state, "upload" for a file that only its owner has
    index: int = 0  # of the episode in that file
    step: int = 0


@dataclass(frozen=True)
class Branch:
    """One line of events. `state(k)` is the moment after k steps."""

    origin: Origin
    initial: State
    steps: tuple[Step, ...] = ()
    recording: Episode | None = None  # whose actions the autopilot can repeat

    def state(self, position: int) -> State:
        """Raises UserError outside the branch."""
        if not 0 <= position <= len(self.steps):
            raise UserError(f"this branch has {len(self.steps)} steps, there is no moment {position}")
        return self.steps[position - 1].after if position else self.initial

    def cut(self, position: int) -> Branch:
        """The branch as it was at that position. Raises UserError outside the branch."""
        self.state(position)
        return replace(self, steps=self.steps[:position])

    def then(self, step: Step) -> Branch:
        """One event more."""
        return replace(self, steps=(*self.steps, step))

    @property
    def imagined(self) -> np.ndarray:
        """uint8 [T + 1, H, W, 3], from the real frame that it all began with."""
        return np.concatenate([self.initial.imagined.memory[-1:], *(step.imagined for step in self.steps)])

    @property
    def real(self) -> np.ndarray:
        """uint8 [T + 1, H, W, 3]"""
        return np.concatenate([self.initial.real.memory[-1:], *(step.real for step in self.steps)])

    @property
    def actions(self) -> np.ndarray:
        """float32 [T, 7]"""
        return np.concatenate([np.zeros((0, 7), np.float32), *(step.actions for step in self.steps)])

    @property
    def outcomes(self) -> list[str]:
        """[T], one an action."""
        return [found for step in self.steps for found in step.outcomes]

    @property
    def is_own(self) -> bool:
        """Whether a person did anything on it that was not recorded before."""
        return any(step.kind != "recorded" for step in self.steps)
