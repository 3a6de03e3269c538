"""Tasks: names, words, and an error that helps."""

import pytest

from wovr_lab.errors import UserError
from wovr_lab.real.tasks import TASKS, Task, get_task


def test_there_are_four_tasks_whose_words_name_their_cube_and_differ():
    assert list(TASKS) == ["push_red", "push_blue", "red_on_plate", "green_on_plate"]
    assert len({task.instruction for task in TASKS.values()}) == 4
    assert all(f"the {task.cube} cube" in task.instruction for task in TASKS.values())


def test_an_unknown_task_is_refused_with_the_nearest_names():
    with pytest.raises(UserError, match="did you mean push_red"):
        get_task("push_rde")
    with pytest.raises(UserError, match="tasks: push_red, push_blue, red_on_plate, green_on_plate"):
        get_task("zzz")


def test_a_task_needs_a_cube_that_is_in_its_scene():
    with pytest.raises(UserError, match="no green cube in the push scene"):
        Task("push_green", "push the green cube into the zone", "push", "green")
