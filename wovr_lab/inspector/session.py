"""Paired stepping: the same actions from the same start in the imagined and in the real world (paper section 1).

In: a task, a seed, action chunks. Out: a `Step` a chunk: both worlds' frames, their difference, the reward's opinion of
both, error depth. Going back is doing again what came before: both worlds are exact functions of start, noise and
actions (one row at a time, since results differ in the last bits between batch sizes).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wovr_lab.errors import UserError
from wovr_lab.imagined.environment import ImaginedEnv
from wovr_lab.inspector.keys import GRIPPER
from wovr_lab.measure.hallucination import psnr
from wovr_lab.real.chunks import start_of_seed, tabletop_chunks
from wovr_lab.real.single import PEOPLE_RESOLUTION
from wovr_lab.real.tasks import TASKS, get_task
from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.types import CHUNK, Start
from wovr_lab.world.model import WorldModel


@dataclass(frozen=True)
class Step:
    """What one chunk led to in both worlds."""

    actions: np.ndarray  # float32 [8, 7]
    imagined: np.ndarray  # uint8 [8, H, W, 3]
    real: np.ndarray  # uint8 [8, H, W, 3]
    probability_imagined: np.ndarray  # float32 [8], the reward's, of the imagined frames
    probability_real: np.ndarray  # float32 [8], the reward's, of the real frames
    success_imagined: np.ndarray  # bool [8], latched, by the reward
    success_real: np.ndarray  # bool [8], latched, by the simulator
    depth: int  # error depth: imagined frames since the last real one, at the end of the chunk
    psnr: float  # of the imagined frames against the real ones, dB

    @property
    def difference(self) -> np.ndarray:
        """uint8 [8, H, W, 3], absolute."""
        return np.abs(self.imagined.astype(np.int16) - self.real).astype(np.uint8)

    @property
    def verdict(self) -> str:
        """Whether the two worlds agree about success up to here: "agree", "imagined only" or "real only"."""
        imagined, real = bool(self.success_imagined[-1]), bool(self.success_real[-1])
        if imagined == real:
            return "agree"
        return "imagined only" if imagined else "real only"


class Session:
    """One person's walk through both worlds. `start` first; `steps` holds what has happened since.

    Success ends nothing here: it latches, and one may go on to see whether the worlds still agree.
    """

    def __init__(self, world: WorldModel, reward: SuccessClassifier, max_steps: int = 48):
        """Raises UserError if the world model and the reward do not see frames of one size."""
        self.reward = reward
        self.imagined = ImaginedEnv(world, reward, 1, max_steps, hold_after_success=max_steps)
        self.real = tabletop_chunks(1, self.imagined.resolution, max_steps, hold_after_success=max_steps)
        self.begun: Start | None = None
        self.noise = 0
        self.steps: tuple[Step, ...] = ()

    @property
    def tasks(self) -> tuple[str, ...]:
        """Tasks that the reward was trained on."""
        known = list(self.reward.config.instructions)
        return tuple(task.name for task in TASKS.values() if task.instruction in known)

    def start(self, task: str, seed: int, noise: int = 0) -> Start:
        """Puts both worlds at the initial state of `seed`; `noise` names the imagination's random stream.

        Raises UserError on an unknown task, one that the reward was not trained on, or a negative seed.
        """
        if seed < 0:
            raise UserError(f"seed {seed} is negative; initial states have seeds from 0 on")
        self.reward.columns([get_task(task).instruction])
        self.begun, self.noise = start_of_seed(self.real.envs[0], task, seed), noise
        self._restart()
        return self.begun

    def step(self, chunk: np.ndarray) -> Step:
        """Imagines the chunk float32 [8, 7] and executes it. Nothing happens in either world if it raises UserError:
        before `start`, at the end of the episode, on a wrong shape, NaN or a value outside [-1, 1]."""
        self._begun()
        if len(self.steps) * CHUNK >= self.imagined.max_steps:
            raise UserError(f"the episode is over after {self.imagined.max_steps} actions; undo or start another")
        actions = self.imagined.check_actions(np.asarray(chunk, np.float32)[None])
        self.steps = (*self.steps, self._execute(actions))
        return self.steps[-1]

    def rewind(self, chunks: int = 1) -> None:
        """Undoes the last chunks in both worlds. Raises UserError if there are not that many."""
        self._begun()
        if not 0 <= chunks <= len(self.steps):
            raise UserError(f"there are {len(self.steps)} chunks to undo, not {chunks}")
        kept = self.steps[: len(self.steps) - chunks]
        self._restart()
        for step in kept:
            self.steps = (*self.steps, self._execute(step.actions[None]))

    @property
    def instruction(self) -> str:
        """The running task in words."""
        return self._begun().instruction

    @property
    def gripper(self) -> float:
        """The last gripper command: -1 open, +1 close."""
        produced = self.steps[-1].actions if self.steps else self._begun().memory_actions
        return float(produced[-1, GRIPPER])

    @property
    def imagined_frame(self) -> np.ndarray:
        """uint8 [H, W, 3], the latest imagined frame; the real one that it all began with before the first step."""
        return self.steps[-1].imagined[-1] if self.steps else self._begun().memory[-1]

    @property
    def real_frame(self) -> np.ndarray:
        """uint8 [H, W, 3], the latest real frame."""
        return self.steps[-1].real[-1] if self.steps else self._begun().memory[-1]

    @property
    def picture(self) -> np.ndarray:
        """uint8 [256, 256, 3], the real world now, for people."""
        return self.real.envs[0].look(PEOPLE_RESOLUTION)

    def _begun(self) -> Start:
        if self.begun is None:
            raise UserError("nothing has begun yet: start with a task and a seed first")
        return self.begun

    def _restart(self) -> None:
        start = [self._begun()]
        for env in (self.imagined, self.real):
            env.reset(seed=self.noise, options={"starts": start})
        self.steps = ()

    def _execute(self, actions: np.ndarray) -> Step:
        """One chunk float32 [1, 8, 7] in both worlds."""
        imagined, real = self.imagined.step(actions)[-1], self.real.step(actions)[-1]
        return Step(
            actions=actions[0],
            imagined=imagined["frames"][0],
            real=real["frames"][0],
            probability_imagined=imagined["success_probability"][0],
            probability_real=self.reward.probability(real["frames"], self.real.instructions)[0],
            success_imagined=imagined["success"][0],
            success_real=real["success"][0],
            depth=CHUNK * (len(self.steps) + 1),
            psnr=psnr(imagined["frames"], real["frames"]),
        )


def load_models(run: Path, evolved: bool = False) -> tuple[WorldModel, SuccessClassifier]:
    """World model and reward of a run, the first or those that PACE refined. Raises UserError if it holds none."""
    suffix = "_evolved" if evolved else ""
    folders = [run / "checkpoints" / f"{name}{suffix}" for name in ("world", "reward")]
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder} does not exist; finish a run first (make demo) or give another run folder")
    return WorldModel.load(folders[0]), SuccessClassifier.load(folders[1])


def load_session(run: Path, evolved: bool = False) -> Session:
    """A session in the world model of a run folder. Raises UserError if it holds none."""
    return Session(*load_models(run, evolved))
