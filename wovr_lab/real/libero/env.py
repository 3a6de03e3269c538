"""LIBERO as a `RealEnv`: the tasks of a suite behind the contract that the tabletop keeps, too.

In: the name of a task or a suite, a resolution. Out: frames of agentview, on request the wrist's view and the robot's
own readings, official limits. A seed below 10,000 is a training state: the 25 official ones of `TRAINING_STATES` first,
then fresh draws of the task's own initial distribution. From 10,000 on it is an evaluation state, in the same way.
"""

from __future__ import annotations

import gc
import zlib

import gymnasium as gym
import numpy as np

from wovr_lab.errors import UserError
from wovr_lab.real.env import TRAINING_SEEDS, RealEnv
from wovr_lab.real.libero.render import FAST, Renderer, RenderSettings
from wovr_lab.real.libero.simulator import Simulator
from wovr_lab.real.libero.tasks import EVALUATION_STATES, TRAINING_STATES, LiberoTask, find_tasks
from wovr_lab.real.libero.views import EVERYTHING, WHOLE, window_of
from wovr_lab.robot import Entry, Robot
from wovr_lab.seeding import seed_of
from wovr_lab.types import NOOP

CAMERA, WRIST = "agentview", "robot0_eye_in_hand"
SETTLING = 10  # actions that do nothing, before an episode begins
STATE_SIZE = 512  # numbers in a state of any task: what the simulator knows, zeros, steps, success, the task's number
PANDA = Robot(  # as LIBERO's files have it: ee_pos, ee_ori, gripper_states
    (
        *(Entry(f"hand_{axis}", "m", centre, 0.5, 0.02) for axis, centre in (("x", 0.0), ("y", 0.0), ("z", 0.8))),
        *(Entry(f"turn_{axis}", "rad", 0.0, 3.2, 0.1) for axis in "xyz"),
        *(Entry(f"finger_{side}", "m", centre, 0.04, 0.01) for side, centre in (("left", 0.02), ("right", -0.02))),
    )
)
KEPT = 3  # simulators at most, the ones used last; each takes 6 s to build


class LiberoEnv(RealEnv):
    """The tasks that `name` means ("object", "object/TASK"); `extras` adds the observations "wrist" and "robot", and
    `shown` is the view of agentview that is drawn (views.py). Raises UserError on names that do not exist."""

    def __init__(
        self,
        name: str,
        resolution: int = 128,
        max_steps: int | None = None,
        render_mode: str | None = None,
        settings: RenderSettings = FAST,
        extras: bool = False,
        shown: str = WHOLE,
    ):
        self.listed = {task.name: task for task in find_tasks(name)}
        first = next(iter(self.listed.values()))
        super().__init__(first.name, resolution, max_steps or first.max_steps, render_mode)
        self.settings, self.extras = settings, extras
        self.windows = {name: window_of(shown, task.suite, task.short) for name, task in self.listed.items()}
        if extras:
            readings = gym.spaces.Box(-10.0, 10.0, (8,), np.float64)  # metres and radians
            both = {"wrist": self.observation_space["frame"], "robot": readings}
            self.observation_space = gym.spaces.Dict({**self.observation_space.spaces, **both})
        self._simulators: dict[str, Simulator] = {}
        self._renderers: dict[tuple[str, str, int], Renderer] = {}
        self._seed: int | None = None

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(self.listed)

    @property
    def robot(self) -> Robot:
        return PANDA

    def proprio(self) -> np.ndarray:
        return self.simulator.proprioception().astype(np.float32)

    @property
    def definition(self) -> LiberoTask:
        """The running task."""
        return self.listed[self.task]

    @property
    def instruction(self) -> str:
        return self.definition.instruction

    @property
    def simulator(self) -> Simulator:
        """That of the running task, built when it is first needed."""
        name = self.task
        if name not in self._simulators:
            while len(self._simulators) >= KEPT:
                self._forget(next(iter(self._simulators)))
            self._simulators[name] = Simulator(self.definition)
        self._simulators[name] = self._simulators.pop(name)  # the last used is the last to go
        return self._simulators[name]

    def reset_to(self, task: str | None, seed: int | None, state: np.ndarray | None) -> None:
        """See `RealEnv.reset_to`; a state may also be an official one, of the task asked for or else the running
        one."""
        self._seed = seed
        if task is not None:
            self._choose(task)
        super().reset_to(task, seed, state)

    def observe(self) -> dict[str, np.ndarray]:
        """The frame; with `extras` also "wrist" uint8 [H, W, 3] and "robot" float64 [8] (see `proprioception`)."""
        observation = super().observe()
        if self.extras:
            observation |= {"wrist": self.view(WRIST), "robot": self.simulator.proprioception()}
        return observation

    def reset_task(self, task: str) -> None:
        """Sets the initial state of the seed that `reset` was given, settled. Raises UserError on an unknown task."""
        self._choose(task)
        seed = int(self.np_random.integers(TRAINING_SEEDS)) if self._seed is None else self._seed
        self.simulator.reset(seed_of(seed, "libero", self.task), official_index(seed))
        for _ in range(SETTLING):
            self.simulator.step(NOOP.astype(np.float64))
        self.steps, self.success = 0, False

    def apply_action(self, action: np.ndarray) -> None:
        self.simulator.step(np.asarray(action, np.float64))
        self.steps += 1
        in_time = self.steps <= self.max_steps  # chunks may end later than the official limit
        self.success = self.success or (in_time and self.simulator.is_success())

    def render_frame(self, resolution: int | None = None) -> np.ndarray:
        return self.view(CAMERA, resolution)

    def view(self, camera: str, resolution: int | None = None) -> np.ndarray:
        """The picture of a camera, uint8 [H, W, 3], turned like all of LIBERO's."""
        key = (self.task, camera, resolution or self.resolution)
        simulator = self.simulator
        if key not in self._renderers:
            window = self.windows[self.task] if camera == CAMERA else EVERYTHING
            self._renderers[key] = Renderer(simulator.model, camera, key[2], self.settings, window)
        return self._renderers[key].draw(simulator.data)

    def get_state(self) -> np.ndarray:
        known = self.simulator.get_state()
        state = np.zeros(STATE_SIZE)
        state[: known.size], state[-3:] = known, [self.steps, self.success, _number(self.task)]
        return state

    def set_state(self, state: np.ndarray) -> None:
        state = np.ascontiguousarray(state, np.float64)
        if state.ndim != 1 or not np.isfinite(state).all():
            raise UserError(f"this is no LIBERO state: {state.shape} numbers; use what get_state or a file gave")
        if state.size != STATE_SIZE:
            self.simulator.set_official(state)
            self.steps, self.success = 0, False
            return
        owner = next((name for name in self.listed if _number(name) == state[-1]), None)
        if owner is None:
            raise UserError(f"this state belongs to none of these tasks: {', '.join(self.listed)}; choose its own")
        self.task = owner
        self.simulator.set_state(state[:-3])
        self.steps, self.success = int(state[-3]), bool(state[-2])

    def close(self) -> None:
        """Gives back the contexts for drawing and the simulators."""
        for name in list(self._simulators):
            self._forget(name)

    def _choose(self, task: str) -> None:
        if task not in self.listed:
            raise UserError(f"{task!r} is none of this environment's tasks: {', '.join(self.listed)}")
        self.task = task

    def _forget(self, name: str) -> None:
        for key in [key for key in self._renderers if key[0] == name]:
            self._renderers.pop(key).close()
        self._simulators.pop(name).close()
        gc.collect()  # robosuite's objects refer to each other in circles, 250 MB of them a task


def official_index(seed: int) -> int | None:
    """Which official initial state a seed means; None for a fresh draw."""
    split, place = (TRAINING_STATES, seed) if seed < TRAINING_SEEDS else (EVALUATION_STATES, seed - TRAINING_SEEDS)
    return split[place] if place < len(split) else None


def _number(task: str) -> float:
    """A task's name as a number that a state can carry."""
    return float(zlib.crc32(task.encode()))
