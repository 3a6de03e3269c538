"""Which domain has a run's tasks, and which tasks an environment has, by their names.

In: names of tasks, or of an environment as people type it. Out: a `Domain`, or names of tasks. LIBERO is imported only
where it is named.
"""

from __future__ import annotations

from wovr_lab.errors import UserError
from wovr_lab.real.domain import Domain
from wovr_lab.real.names import LIBERO, TABLETOP, is_libero
from wovr_lab.real.tabletop.domain import TabletopDomain
from wovr_lab.real.tabletop.tasks import TASKS


def domain_of(tasks: tuple[str, ...], resolution: int, max_steps: int) -> Domain:
    """The world that has these tasks. Raises UserError if none has all of them, or if LIBERO is not installed."""
    if is_libero(tasks):
        from wovr_lab.real.libero.domain import LiberoDomain
        from wovr_lab.real.libero.views import WORKSPACE  # needs the libero extra

        return LiberoDomain(tasks, resolution, max_steps, WORKSPACE)
    return TabletopDomain(tasks, resolution, max_steps)


def tasks_of(environment: str) -> tuple[str, ...]:
    """The tasks of "tabletop" or "libero:SUITE[/TASK][,SUITE[/TASK]...]". Raises UserError on any other name."""
    if environment == TABLETOP:
        return tuple(TASKS)
    if not environment.startswith(LIBERO):
        raise UserError(f"unknown environment {environment!r}; use tabletop or libero:SUITE[/TASK]")
    from wovr_lab.real.libero.tasks import find_tasks  # needs the libero extra

    return tuple(task.name for task in find_tasks(environment.removeprefix(LIBERO)))
