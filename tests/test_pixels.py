"""uint8 and float pictures: exact both ways, and nothing but pictures is let in."""

import numpy as np
import pytest
import torch

from wovr_lab.errors import UserError
from wovr_lab.pixels import to_float, to_uint8

LEVELS = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(16, 16, 3)


def test_a_round_trip_is_exact_for_all_256_levels_however_often():
    frames = LEVELS
    for _ in range(3):
        frames = to_uint8(to_float(frames))
    assert frames.dtype == np.uint8 and (frames == LEVELS).all()


def test_black_is_minus_one_white_is_one_and_channels_come_first():
    frames = np.zeros((2, 5, 4, 6, 3), np.uint8)
    frames[..., 2] = 255
    pictures = to_float(frames)
    assert pictures.shape == (2, 5, 3, 4, 6) and pictures.dtype == torch.float32
    assert (pictures[:, :, :2] == -1).all() and (pictures[:, :, 2] == 1).all()


def test_values_are_rounded_to_the_nearest_level_and_cut_at_the_ends():
    levels = torch.tensor([-7.0, 10.4 / 127.5 - 1, 10.6 / 127.5 - 1, 7.0])
    assert to_uint8(levels.view(1, 1, 4).expand(3, 1, 4))[0, :, 0].tolist() == [0, 10, 11, 255]


@pytest.mark.parametrize(
    "frames", [LEVELS.astype(np.float32), LEVELS.astype(np.int64) + 1, LEVELS[..., 0], LEVELS.transpose(2, 0, 1)]
)
def test_what_is_no_uint8_picture_is_refused(frames):
    with pytest.raises(UserError, match="frames must be uint8"):
        to_float(frames)


def test_whole_numbers_of_another_width_are_taken_where_they_are_levels():
    assert torch.equal(to_float(LEVELS.astype(np.int64)), to_float(LEVELS))
