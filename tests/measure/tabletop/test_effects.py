from pathlib import Path

import numpy as np
import pytest

from wovr_lab.measure.tabletop.control import CHANNELS, STILL_HAND, channels_of
from wovr_lab.measure.tabletop.effects import agreement, effects, imagined_moves, real_moves, strength
from wovr_lab.real.tabletop.chunk_env import initial_start
from wovr_lab.world.codec import FrameGroupCodec
from wovr_lab.world.model import WorldModel
from wovr_lab.world.protocol import load_world_model
from wovr_lab.world.transformer import ActionWanTransformer


def test_an_effect_is_there_minus_back_along_each_axis():
    frames = np.zeros((1, 6, 8, 2, 2, 3), np.uint8)
    frames[0, 0], frames[0, 3] = 10, 200  # +x, -y
    found = effects(frames)
    assert found.shape == (1, 3, 8, 2, 2, 3)
    assert (found[0, 0] == 10).all() and (found[0, 1] == -200).all() and (found[0, 2] == 0).all()


def test_agreement_and_strength_by_hand():
    real = np.array([[1, -1, 1, -1]] * 3)
    imagined = np.array([[2, -2, 2, -2], [-1, 1, -1, 1], [0, 0, 0, 0]])
    assert agreement(real, imagined) == pytest.approx([1, -1, 0])
    assert strength(real, imagined) == pytest.approx(1.0)
    assert strength(real, imagined[2:]) == 0


def test_an_untrained_model_shows_no_effect_where_the_real_world_does():
    starts = [initial_start("push_red", 3), initial_start("red_on_plate", 4)]
    real = effects(real_moves(starts))
    world = WorldModel(FrameGroupCodec(width=16, blocks=1), ActionWanTransformer(num_layers=1)).eval()
    imagined = effects(imagined_moves(world, starts, 0))
    assert real.shape == imagined.shape == (2, 3, 8, 32, 32, 3)
    assert np.abs(real).max() > 100
    assert strength(real, imagined) == 0  # a new transformer answers "nothing moves"


def test_in_pixels_the_hand_that_is_imagined_first_is_what_is_seen_to_move():
    world = load_world_model(Path(__file__).parents[3] / "data/pixel_backbone")
    assert channels_of(world) == (*CHANNELS, STILL_HAND)
    starts = [initial_start("push_red", 3), initial_start("red_on_plate", 4)]
    real = effects(real_moves(starts))
    usual, still = (effects(imagined_moves(world, starts, 0, channels)) for channels in ("both", STILL_HAND))
    assert agreement(real, usual).mean() > 0.7
    assert strength(real, still) < 0.5 * strength(real, usual)
    assert np.array_equal(effects(imagined_moves(world, starts, 0)), usual)  # nothing is left behind
