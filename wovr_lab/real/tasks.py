"""The tabletop's four instruction-conditioned tasks, easiest first: their words, their cube, their scene."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

from wovr_lab.errors import UserError

Scene = Literal["push", "plate"]
CUBES: dict[Scene, tuple[str, str]] = {"push": ("red", "blue"), "plate": ("red", "green")}  # front row, back row


@dataclass(frozen=True)
class Task:
    """Bring `cube` to the scene's goal: push it into the painted zone, or put it on the plate."""

    name: str
    instruction: str
    scene: Scene
    cube: str

    def __post_init__(self) -> None:
        if self.cube not in CUBES[self.scene]:
            raise UserError(f"task {self.name}: there is no {self.cube} cube in the {self.scene} scene")


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("push_red", "push the red cube into the zone", "push", "red"),
        Task("push_blue", "push the blue cube into the zone", "push", "blue"),
        Task("red_on_plate", "put the red cube on the plate", "plate", "red"),
        Task("green_on_plate", "put the green cube on the plate", "plate", "green"),
    )
}


def get_task(name: str) -> Task:
    """The task of that name. Raises UserError naming the nearest ones if there is none."""
    if name in TASKS:
        return TASKS[name]
    nearest = difflib.get_close_matches(str(name), TASKS, n=2, cutoff=0.4)
    meant = f"did you mean {' or '.join(nearest)}? " if nearest else ""
    raise UserError(f"unknown task {name!r}; {meant}tasks: {', '.join(TASKS)}")
