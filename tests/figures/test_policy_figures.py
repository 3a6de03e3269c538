import numpy as np
import pytest
import torch

from wovr_lab.figures import policy_figures
from wovr_lab.policy.tokens import ActionTokens
from wovr_lab.real.tabletop.chunk_env import initial_start
from wovr_lab.real.tabletop.tasks import TASKS


def test_a_misled_start_names_the_other_cube_of_the_same_scene_and_keeps_its_task():
    start = initial_start("push_blue", 3)
    told = policy_figures.misled(start)
    assert (told.task, told.instruction) == ("push_blue", TASKS["push_red"].instruction)
    assert (policy_figures.named_cube(start), policy_figures.named_cube(told)) == ("blue", "red")
    assert policy_figures.misled(initial_start("red_on_plate", 3)).instruction == TASKS["green_on_plate"].instruction


def test_places_are_those_of_the_cube_that_the_task_is_about():
    red, blue = policy_figures.target_places([initial_start("push_red", 3), initial_start("push_blue", 3)])
    assert abs(red[0] - 5.5) < 1.9 and abs(blue[0] + 5.5) < 1.9  # front and back row, cm
    shown = {"push_red": np.array([[0.0, 0.0], [5.0, 0.0]]), "push_blue": np.array([[0.0, 0.0]])}
    places = np.array([[4.0, 0.0], [3.0, 4.0]])
    assert policy_figures.distance_to_nearest(["push_red", "push_blue"], places, shown) == pytest.approx([1.0, 5.0])


def test_the_label_of_a_value_is_spread_over_its_neighbours_for_translation_only():
    soft, hard = policy_figures.label_figure(ActionTokens(), 0.0).data
    assert np.argmax(soft.y) == 10 and 0.4 < max(soft.y) < 0.6
    assert np.array_equal(hard.y, torch.eye(21)[10])


def test_a_plan_starts_at_the_hand_and_adds_up_the_actions():
    chunks = np.zeros((2, 8, 7), np.float32)
    chunks[:, :, 1] = 1  # to the right
    (line,) = policy_figures.plan_figure({"red": chunks}).data
    assert line.x[0] == 0 and line.x[8] == pytest.approx(8 * 1.8) and np.isnan(line.x[9])
    assert not np.nan_to_num(line.y).any()


def test_a_panel_a_task_shows_every_start_once():
    tasks, places = ["push_blue", "push_red", "push_red"], np.arange(6.0).reshape(3, 2)
    shown = {"push_red": places[:1], "push_blue": places[:1]}
    figure = policy_figures.places_figure(tasks, places, np.array([True, False, True]), shown)
    counts = {(trace.xaxis, trace.name): len(trace.x) for trace in figure.data}
    assert counts["x", "real success"] == counts["x", "real failure"] == counts["x2", "real success"] == 1
    assert counts["x2", "real failure"] == 0
