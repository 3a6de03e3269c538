"""Tasks: names, words, and an error that helps."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from wovr_lab.errors import UserError
from wovr_lab.real.tabletop.env import TabletopEnv
from wovr_lab.real.tabletop.expert import expert_action, expert_episodes, towards
from wovr_lab.real.tabletop.scene import Readout
from wovr_lab.real.tabletop.tasks import TASKS, Task, add_task, get_task
from wovr_lab.types import NOOP


def is_touched(view: Readout, cube: np.ndarray) -> bool:
    return bool(np.linalg.norm(view.hand - cube) < 0.05)


def touch(view: Readout, cube: np.ndarray) -> np.ndarray:
    return towards(view, cube, -1.0)


@pytest.fixture
def touching() -> Iterator[Task]:
    """A task of another goal in the plate scene, there during one test."""
    yield add_task(Task("touch_green", "touch the green cube", "plate", "green", is_touched, touch))
    del TASKS["touch_green"]


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


def test_a_task_that_is_added_has_its_own_goal_and_its_own_expert(touching):
    (episode,) = expert_episodes("touch_green", [3], noise=0.1)
    assert episode.instruction == "touch the green cube"
    assert 0 < episode.first_success < 15 and not episode.success[: episode.first_success].any()
    env, other = TabletopEnv("touch_green", 32), TabletopEnv("push_red", 32)
    other.set_state(episode.states[-1])
    assert other.task == "touch_green" and other.success
    env.set_state(episode.states[episode.first_success])  # before the action that brought success
    assert not env.success and touching.is_done(other.readout())


def test_a_task_that_is_added_again_takes_the_place_of_the_first(touching):
    before = list(TASKS)
    add_task(replace(touching, instruction="touch the green cube softly"))
    assert list(TASKS) == before and get_task("touch_green").instruction == "touch the green cube softly"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"name": "push_red"}, "cannot be called 'push_red'"),
        ({"name": "suite/touch"}, "a slash is LIBERO's"),
        ({"instruction": "put the red cube on the plate"}, "needs words of its own"),
        ({"instruction": " "}, "needs words of its own"),
    ],
)
def test_a_task_that_could_be_taken_for_another_is_not_added(changed, message):
    before = list(TASKS)
    with pytest.raises(UserError, match=message):
        add_task(replace(Task("touch_red", "touch the red cube", "plate", "red", is_touched, touch), **changed))
    assert list(TASKS) == before


def test_a_goal_of_its_own_needs_an_expert_and_an_expert_needs_to_answer_with_actions():
    with pytest.raises(UserError, match="needs an expert that reaches it"):
        Task("touch_red", "touch the red cube", "plate", "red", is_touched)
    view = TabletopEnv("red_on_plate", 32).readout()
    for wrong in (NOOP[:3], NOOP + 2, NOOP * np.nan):
        task = Task("touch_red", "touch the red cube", "plate", "red", is_touched, lambda *_, wrong=wrong: wrong)
        with pytest.raises(UserError, match="the expert of touch_red must answer with 7 numbers"):
            expert_action(view, task)
