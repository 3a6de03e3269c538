"""The tabletop, the embedded real world: scene, pictures, tasks, expert, scripted play."""

from wovr_lab.real.tabletop.chunk_env import initial_start, make_tabletop_env
from wovr_lab.real.tabletop.env import TabletopEnv
from wovr_lab.real.tabletop.expert import expert_episodes
from wovr_lab.real.tabletop.tasks import TASKS, Task, add_task, get_task

__all__ = [
    "TASKS",
    "TabletopEnv",
    "Task",
    "add_task",
    "expert_episodes",
    "get_task",
    "initial_start",
    "make_tabletop_env",
]
