import numpy as np

from wovr_lab.figures import action_figures
from wovr_lab.figures.style import IMAGINED
from wovr_lab.types import Interval


def test_no_effect_is_grey_and_the_largest_ones_are_black_and_white():
    shown = action_figures.visible(np.array([0, 255, -255, 20], np.int16))
    assert shown.dtype == np.uint8 and shown.tolist() == [128, 255, 0, 138]


def test_agreement_and_size_stand_side_by_side_for_each_channel():
    found = {"both": Interval(0.7, 8, 0.6, 0.8), "attention": Interval(0.3, 8, 0.2, 0.4)}
    agrees, size = action_figures.agreement_figure(found, {"both": 0.9, "attention": 0.2}).data
    assert list(agrees.x) == ["both channels", "attention left"] and agrees.marker.color[0] == IMAGINED
    assert list(agrees.text) == ["0.70", "0.30"] and list(size.text) == ["90%", "20%"]
