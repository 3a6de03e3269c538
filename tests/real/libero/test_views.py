"""Views of agentview: a window is a larger picture's part, and names decide which one is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from wovr_lab.errors import UserError
from wovr_lab.real.libero.views import EVERYTHING, TABLE, Window, window_of


def test_a_window_is_turned_into_halves_of_the_whole_view_mirrored_as_the_pictures_are():
    assert EVERYTHING.frustum == (0.0, -1.0, 1.0)
    assert Window(0.0, 0.0, 0.5).frustum == (0.5, 0.0, 1.0)  # the upper left quarter is OpenGL's upper right one
    assert Window(0.25, 0.5, 0.5).frustum == (0.0, -1.0, 0.0)


@pytest.mark.parametrize("place", [(-0.1, 0.0, 0.5), (0.6, 0.0, 0.5), (0.0, 0.6, 0.5), (0.0, 0.0, 0.0)], ids=str)
def test_a_window_that_leaves_the_picture_is_refused(place):
    with pytest.raises(UserError, match="does not lie within a picture"):
        Window(*place)


def test_the_workspace_is_the_table_of_spatial_and_goal_and_the_whole_picture_elsewhere():
    stove, cabinet = (
        f"pick_up_the_black_bowl_on_the_{place}_and_place_it_on_the_plate" for place in ("stove", "wooden_cabinet")
    )
    assert (
        window_of("workspace", "libero_spatial", stove) == window_of("workspace", "libero_spatial_swap", stove) == TABLE
    )
    assert window_of("workspace", "libero_goal", "put_the_bowl_on_the_plate") == TABLE
    for view, suite, task in (
        ("workspace", "libero_goal", "put_the_wine_bottle_on_the_rack"),
        ("workspace", "libero_spatial", cabinet),
        ("workspace", "libero_90", stove),
        ("whole", "libero_spatial", stove),
    ):
        assert window_of(view, suite, task) == EVERYTHING
    with pytest.raises(UserError, match="unknown view 'wide'; choose whole or workspace"):
        window_of("wide", "libero_spatial", stove)


@pytest.mark.libero
def test_a_window_is_exactly_what_is_cut_out_of_a_larger_picture(bowl):
    from wovr_lab.real.libero.render import FAST, Renderer

    bowl.reset(seed=0)
    model, data = bowl.simulator.model, bowl.simulator.data
    window = Renderer(model, "agentview", 64, FAST, Window(0.25, 0.375, 0.5)).draw(data).astype(int)
    whole = Renderer(model, "agentview", 128, FAST).draw(data).astype(int)
    assert np.abs(window - whole[48:112, 32:96]).mean() < 0.1


@pytest.mark.libero
def test_an_environment_shows_the_view_that_it_was_asked_for():
    from wovr_lab.real.libero.env import LiberoEnv

    name = "libero_spatial/pick_up_the_black_bowl_on_the_stove_and_place_it_on_the_plate"
    assert LiberoEnv(name, 64).windows == {name: EVERYTHING}
    assert LiberoEnv(name, 64, shown="workspace").windows == {name: TABLE}
    with pytest.raises(UserError, match="unknown view"):
        LiberoEnv(name, 64, shown="wide")
