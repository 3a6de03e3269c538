import numpy as np
import pytest

from wovr_lab.figures import keyframe_figures
from wovr_lab.measure.hallucination import psnr


def test_successes_failures_and_keyframes_are_shown_at_their_actions(make_episode):
    episodes = [make_episode(0, 12, success_at=9), make_episode(1, 20, task="push_blue")]
    success, failure, keyframe = keyframe_figures.keyframe_timing_figure(episodes, {"push_red": 3, "push_blue": 8}).data
    assert (list(success.x), list(success.y)) == ([9], ["push red"])
    assert (list(failure.x), list(failure.y)) == ([20], ["push blue"])
    assert list(keyframe.x) == [3, 8]


def test_a_keyframe_takes_its_actions_off_the_horizon_of_each_success():
    whole, short = keyframe_figures.horizon_figure(np.array([20, 10]), np.array([5, 4])).data
    assert list(whole.y) == [11, 21] and list(short.y) == [7, 16]  # the quickest first


def test_a_film_is_compared_with_the_frames_after_its_keyframe(make_episode):
    episode = make_episode(0, 12, success_at=9)
    imagined = episode.frames[4:11].copy()
    imagined[-1] = 0
    figure = keyframe_figures.film_figure(imagined, episode, begin=3)
    error, last, real = figure.data
    assert list(error.x) == [4, 5, 6, 7, 8, 9, 10]
    assert error.y[0] == 99 and error.y[-1] == pytest.approx(psnr(imagined[-1], episode.frames[10]))
    assert np.array_equal(last.z, imagined[-1]) and np.array_equal(real.z, episode.frames[10])
