"""The tabletop's four instruction-conditioned tasks, easiest first: their words, their cube, their scene; and yours.

`add_task` adds a task with a goal and an expert of its own to the scenes that there are, for this process.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from wovr_lab.errors import UserError
from wovr_lab.real.names import is_libero
from wovr_lab.real.tabletop.scene import Readout, is_in_zone, is_on_plate

Scene = Literal["push", "plate"]
CUBES: dict[Scene, tuple[str, str]] = {"push": ("red", "blue"), "plate": ("red", "green")}  # front row, back row
Goal = Callable[[Readout, np.ndarray], bool]  # from the present and the centre float64 [3] of the task's cube
Expert = Callable[[Readout, np.ndarray], np.ndarray]  # from the same, without memory: an action [7] in [-1, 1]


@dataclass(frozen=True)
class Task:
    """Bring `cube` to the scene's goal, push it into the painted zone or put it on the plate, unless `goal` says else.

    A task with a goal of its own needs an expert of its own. Raises UserError if it has none, or on an unknown cube.
    """

    name: str
    instruction: str
    scene: Scene
    cube: str
    goal: Goal | None = None
    expert: Expert | None = None

    def __post_init__(self) -> None:
        if self.cube not in CUBES.get(self.scene, ()):
            raise UserError(f"task {self.name}: there is no {self.cube} cube in the {self.scene} scene")
        if self.goal and not self.expert:
            raise UserError(f"task {self.name} has a goal of its own, so it needs an expert that reaches it")

    def is_done(self, view: Readout) -> bool:
        """Whether the cube is where it belongs at this moment."""
        cube = view.cubes[self.cube]
        if self.goal:
            return bool(self.goal(view, cube))
        return is_in_zone(cube, view.goal) if self.scene == "push" else is_on_plate(cube, view.goal, view.opening)


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("push_red", "push the red cube into the zone", "push", "red"),
        Task("push_blue", "push the blue cube into the zone", "push", "blue"),
        Task("red_on_plate", "put the red cube on the plate", "plate", "red"),
        Task("green_on_plate", "put the green cube on the plate", "plate", "green"),
    )
}
SHIPPED = tuple(TASKS)


def add_task(task: Task) -> Task:
    """Adds a task to the tabletop in this process; one that was added before is replaced, so that a cell can run again.

    Everything that runs here knows it from then on. A saved state names its task by number, so add yours in the same
    order before you open what was recorded with them. Raises UserError on a shipped name, on one with a slash, and on
    words that another task has.
    """
    if task.name in SHIPPED or not task.name or is_libero([task.name]):
        raise UserError(
            f"a new task cannot be called {task.name!r}: {', '.join(SHIPPED)} are taken, a slash is LIBERO's"
        )
    same = [name for name, other in TASKS.items() if other.instruction == task.instruction and name != task.name]
    if same or not task.instruction.strip():
        raise UserError(f"task {task.name} needs words of its own, not {task.instruction!r}")
    TASKS[task.name] = task
    return task


def get_task(name: str) -> Task:
    """The task of that name. Raises UserError naming the nearest ones if there is none."""
    if name in TASKS:
        return TASKS[name]
    nearest = difflib.get_close_matches(str(name), TASKS, n=2, cutoff=0.4)
    meant = f"did you mean {' or '.join(nearest)}? " if nearest else ""
    raise UserError(f"unknown task {name!r}; {meant}tasks: {', '.join(TASKS)}")
