import numpy as np
import pytest

from wovr_lab.figures import reward_figures
from wovr_lab.figures.style import IMAGINED, REAL
from wovr_lab.measure.intervals import wilson


def test_answers_are_aligned_at_the_success_or_at_the_end(make_episode):
    episodes = [make_episode(0, 6, success_at=4), make_episode(1, 5)]
    answers = [np.linspace(0, 1, 6), np.linspace(0, 0.2, 5)]
    figure = reward_figures.answers_figure(answers, episodes, 0.5, consecutive=2)
    success, failure = figure.data
    assert figure.layout.annotations[0].text == "at 0.5: 0 false successes, 0 missed"
    strict = reward_figures.answers_figure(answers, episodes, 0.9, consecutive=2)  # a single frame is above it
    assert strict.layout.annotations[0].text == "at 0.9: 0 false successes, 1 missed"
    assert success.x == (-4, -3, -2, -1, 0, 1, None) and success.y[4] == pytest.approx(0.8)
    assert failure.x == (-4, -3, -2, -1, 0, None) and failure.y[4] == pytest.approx(0.2)


def test_reliability_compares_what_was_answered_with_what_came():
    probability = np.array([0.05, 0.15, 0.95, 1.0], np.float32)
    _, observed = reward_figures.reliability_figure(probability, np.array([False, False, True, False])).data
    assert list(observed.x) == pytest.approx([0.1, 0.975])
    assert list(observed.y) == [0.0, 0.5] and list(observed.text) == ["2 frames", "2 frames"]


def test_only_the_last_bar_has_the_colour_of_imagination():
    (bars,) = reward_figures.precision_bars({"real": wilson(9, 10), "imagined": wilson(5, 10)}).data
    assert list(bars.marker.color) == [REAL, IMAGINED] and list(bars.text) == ["90% of 10", "50% of 10"]
