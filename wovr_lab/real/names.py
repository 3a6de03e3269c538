"""What environments and tasks are called: the one place that tells from a name whose it is.

People type "tabletop" or "libero:SUITE[/TASK]"; a run keeps names of tasks, of which LIBERO's are SUITE/TASK.
"""

from __future__ import annotations

from collections.abc import Iterable

TABLETOP, LIBERO = "tabletop", "libero:"  # environments as people name them; what follows the second is a suite


def is_libero(tasks: Iterable[str]) -> bool:
    """Whether any of these names is one of LIBERO's, SUITE/TASK."""
    return any("/" in task for task in tasks)


def suite_of(task: str) -> str:
    """The suite of one of LIBERO's tasks."""
    return task.partition("/")[0]


def environment_of(tasks: Iterable[str]) -> str:
    """The environment that `domains.tasks_of` gives these tasks for."""
    return LIBERO + ",".join(tasks) if is_libero(tasks) else TABLETOP
