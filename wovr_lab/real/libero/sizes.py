"""What LIBERO's tasks ask of a run's sizes. It can be imported without the extra; the functions need it."""

from __future__ import annotations

from wovr_lab.types import CHUNK


def official_limit(tasks: tuple[str, ...]) -> int:
    """LIBERO's own limit of steps for these tasks, less what does not fill a chunk."""
    from wovr_lab.real.libero.tasks import find_task  # needs the libero extra

    limit = max(find_task(task).max_steps for task in tasks)
    return limit - limit % CHUNK


def on_table(tasks: tuple[str, ...]) -> bool:
    """Whether the workspace of each of these tasks of LIBERO is the table, which its backbone knows."""
    from wovr_lab.real.libero.tasks import find_task  # needs the libero extra
    from wovr_lab.real.libero.views import TABLE, WORKSPACE, window_of

    found = map(find_task, tasks)
    return all(window_of(WORKSPACE, task.suite, task.short) == TABLE for task in found)
