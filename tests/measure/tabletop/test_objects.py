"""Cubes vanish, double or move by themselves only if they do: masks and tracks by hand, real videos as control."""

import numpy as np
import pytest

from wovr_lab.measure.tabletop.objects import (
    coloured,
    has_moved_without_contact,
    has_vanished,
    is_duplicated,
    longest_run,
    violations,
)
from wovr_lab.measure.tabletop.probes import read_states
from wovr_lab.real.tabletop.expert import expert_episodes
from wovr_lab.real.tabletop.render import COLOURS, TABLE


def test_the_longest_run_is_counted_to_both_ends():
    for flags, run in (([], 0), ([0, 0], 0), ([1], 1), ([1, 1, 0, 1], 2), ([0, 1, 0, 1, 1, 1], 3), ([1, 1, 1], 3)):
        assert longest_run(np.array(flags, bool)) == run


def test_a_colour_is_known_in_light_and_in_shadow():
    pixels = np.array([COLOURS[name] for name in ("red", "blue", "green", "left_finger")] + [TABLE])
    for light in (1.0, 0.6, 0.3):
        frame = (255 * light * pixels).astype(np.uint8)[None]
        red, green = coloured(frame, "red", "green")
        assert red.tolist() == [[True, False, False, False, False]]
        assert green.tolist() == [[False, False, True, False, False]]


def pixels_at(*squares: tuple[int, int, int], frames: int = 12) -> np.ndarray:
    """bool [frames, 32, 32] with squares (row, column, side)."""
    film = np.zeros((frames, 32, 32), bool)
    for row, column, side in squares:
        film[:, row : row + side, column : column + side] = True
    return film


def test_a_cube_has_vanished_if_hardly_a_pixel_is_left_for_a_chunk():
    film = pixels_at((10, 10, 5))
    assert not has_vanished(film)
    film[2:9] = False  # seven frames behind the hand
    assert not has_vanished(film)
    film[9] = False
    film[9, 0, :2] = True  # two pixels make no cube
    assert has_vanished(film)
    film[9, 0, 2] = True
    assert not has_vanished(film)


def test_a_cube_is_doubled_if_two_parts_are_too_far_apart_for_one():
    assert not is_duplicated(pixels_at((10, 5, 4)))
    assert not is_duplicated(pixels_at((10, 5, 3), (10, 11, 3)))  # a finger before it
    assert is_duplicated(pixels_at((10, 5, 3), (10, 20, 3)))
    assert not is_duplicated(pixels_at((10, 5, 3), (10, 20, 1)))  # a stray pixel
    flash = pixels_at((10, 5, 3), (10, 20, 3))
    flash[1:] = pixels_at((10, 5, 3), frames=11)
    assert not is_duplicated(flash)


def test_a_cube_moves_by_itself_if_nothing_was_near_all_the_while():
    far, near = np.full((12, 3), 0.5), np.zeros((12, 3))
    still = np.zeros((12, 3))
    sliding = still.copy()
    sliding[:, 0] = np.linspace(0, 0.055, 12)  # 4 cm in eight steps
    assert not has_moved_without_contact(still, far, far)
    assert has_moved_without_contact(sliding, far, far)
    assert not has_moved_without_contact(sliding, near, far) and not has_moved_without_contact(sliding, far, near)
    touched_once = far.copy()
    touched_once[6] = 0.05
    assert not has_moved_without_contact(sliding, touched_once, far)
    falling = still.copy()
    falling[:, 2] = np.linspace(0.2, 0, 12)
    assert not has_moved_without_contact(falling, far, far)


@pytest.mark.parametrize("task", ["push_blue", "red_on_plate"])
def test_real_videos_break_no_rule(task):
    episodes = list(expert_episodes(task, range(6), noise=0.2))
    for episode in episodes:
        assert not violations(episode.frames[None], read_states(episode.states)[None], [task]).any()


def test_a_cube_painted_over_has_vanished_and_only_that():
    episode = next(expert_episodes("push_red", [0], noise=0.0))
    frames = episode.frames.copy()
    frames[-8:][coloured(frames[-8:], "red")[0]] = (184, 168, 148)
    assert violations(frames[None], read_states(episode.states)[None], ["push_red"]).tolist() == [[True, False, False]]
