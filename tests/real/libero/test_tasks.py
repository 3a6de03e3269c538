"""Suites and tasks by name, their words, limits and initial states."""

from __future__ import annotations

import pytest

from wovr_lab.errors import UserError

pytestmark = pytest.mark.libero


def test_all_standard_suites_and_the_shipped_variants_are_listed():
    from wovr_lab.real.libero.tasks import STANDARD, suites, tasks_of

    assert suites()[:5] == STANDARD
    variants = {
        f"libero_{base}_{kind}" for base in ("spatial", "object", "goal", "10") for kind in ("swap", "lan", "task")
    }
    assert variants <= set(suites())
    counts = {suite: len(tasks_of(suite)) for suite in STANDARD}
    assert counts == {"libero_spatial": 10, "libero_object": 10, "libero_goal": 10, "libero_10": 10, "libero_90": 90}
    assert all(task.bddl.is_file() and task.states.is_file() for suite in suites() for task in tasks_of(suite))


@pytest.mark.parametrize("name", ["object", "libero_object", "LIBERO_Object"])
def test_a_suite_has_a_short_name_too(name: str):
    from wovr_lab.real.libero.tasks import tasks_of

    first = tasks_of(name)[0]
    assert first.name == "libero_object/pick_up_the_alphabet_soup_and_place_it_in_the_basket"
    assert first.instruction == "pick up the alphabet soup and place it in the basket"
    assert first.initial_states().shape == (50, 110)


def test_limits_are_the_official_ones_for_variants_too():
    from wovr_lab.real.libero.tasks import tasks_of

    limits = {name: tasks_of(name)[0].max_steps for name in ("spatial", "object_swap", "goal", "long", "10_lan", "90")}
    assert limits == {"spatial": 220, "object_swap": 280, "goal": 300, "long": 520, "10_lan": 520, "90": 400}


def test_variants_that_ask_for_something_else_say_so():
    from wovr_lab.real.libero.tasks import find_task

    short = "open_the_middle_drawer_of_the_cabinet"
    words = {suite: find_task(f"{suite}/{short}").instruction for suite in ("goal", "goal_lan", "goal_task")}
    assert words["goal"] == "open the middle drawer of the cabinet"
    assert "middle drawer" in words["goal_lan"] and words["goal_lan"] != words["goal"]
    assert words["goal_task"] == "open the bottom drawer of the cabinet"


@pytest.mark.parametrize(
    "name, said",
    [
        ("objekt", "did you mean libero_object"),
        ("object/pick_up_the_milk", "did you mean pick_up_the_milk_and_place_it_in_the_basket"),
        ("object", "is a suite; add one of its tasks"),
        ("goal_env", "ships no scene or initial states"),
    ],
)
def test_names_that_mean_nothing_are_refused_with_the_nearest_ones(name: str, said: str):
    from wovr_lab.real.libero.tasks import find_task

    with pytest.raises(UserError, match=said):
        find_task(name)


def test_official_states_are_split_once_between_training_and_evaluation():
    from wovr_lab.real.libero.env import official_index
    from wovr_lab.real.libero.tasks import EVALUATION_STATES, TRAINING_STATES

    assert sorted((*TRAINING_STATES, *EVALUATION_STATES)) == list(range(50)) and len(EVALUATION_STATES) == 25
    assert [official_index(seed) for seed in range(25)] == list(TRAINING_STATES)
    assert [official_index(10_000 + seed) for seed in range(25)] == list(EVALUATION_STATES)
    assert official_index(25) is None and official_index(10_025) is None
