"""Which part of agentview a policy is shown: the whole picture, as the benchmark has it, or a window on the workspace.

At 64 pixels a bowl is 9 by 7 pixels in the whole picture, and a grasp is decided by one of them. A window is drawn by
an off-centre view of the same camera: its pixels are those of a larger whole picture, cut out.
"""

from __future__ import annotations

from dataclasses import dataclass

from wovr_lab.errors import UserError


@dataclass(frozen=True)
class Window:
    """A square part of a square picture, in shares of its side: the upper left corner, and the side."""

    left: float
    top: float
    side: float

    def __post_init__(self) -> None:
        if min(self.left, self.top) < 0 or self.side <= 0 or max(self.left, self.top) + self.side > 1:
            raise UserError(f"{self} does not lie within a picture, whose sides go from 0 to 1")

    @property
    def frustum(self) -> tuple[float, float, float]:
        """(centre, bottom, top) of the view, in halves of the whole one. Pictures of LIBERO are mirrored, so left is
        where OpenGL has right."""
        top = 1 - 2 * self.top
        return 1 - 2 * self.left - self.side, top - 2 * self.side, top


WHOLE, WORKSPACE = "whole", "workspace"
EVERYTHING = Window(0.0, 0.0, 1.0)
TABLE = Window(0.05, 0.2, 0.6)  # of Spatial and Goal, where a bowl is then 15 by 11 of 64 x 64 pixels
AWAY = ("cabinet", "drawer", "rack")  # what stands outside


def window_of(view: str, suite: str, task: str) -> Window:
    """What a view shows of a task's scene, by the names of suite and task. The workspace is the table for Spatial, Goal
    and their variants but for the tasks at what stands outside; for all others it is the whole picture.

    Raises UserError if there is no such view.
    """
    if view not in (WHOLE, WORKSPACE):
        raise UserError(f"unknown view {view!r}; choose {WHOLE} or {WORKSPACE}")
    is_on_table = suite.startswith(("libero_spatial", "libero_goal")) and not any(thing in task for thing in AWAY)
    return TABLE if view == WORKSPACE and is_on_table else EVERYTHING
