"""Driving: reproducible in any split, on a policy's grid, blocked and holding more often than play."""

import numpy as np
import pytest

from wovr_lab.errors import UserError
from wovr_lab.real.tabletop.driving import driven_episodes
from wovr_lab.real.tabletop.play import POLICY_GRID, play_episodes
from wovr_lab.real.tabletop.proprioception import proprioception_of, tabletop_robot

HEIGHT, OPENING = tabletop_robot().columns("hand_z", "opening")
TARGET_HEIGHT, FALL = tabletop_robot().columns("target_z", "velocity_z")


@pytest.fixture(scope="module")
def episodes():
    return list(driven_episodes(24, run_seed=0, resolution=16))


def test_any_split_gives_the_same_episodes_and_another_seed_others(episodes):
    part = list(driven_episodes(2, run_seed=0, first_index=7, resolution=16))
    for one, two in zip(part, episodes[7:9], strict=True):
        assert (one.frames == two.frames).all() and (one.actions == two.actions).all() and one.seed == two.seed
    other = next(driven_episodes(1, run_seed=1, first_index=7, resolution=16))
    assert (other.actions != episodes[7].actions).any()


def test_it_claims_nothing_has_training_seeds_and_a_policys_actions(episodes):
    for episode in episodes:
        assert episode.task == "play" and not episode.success.any() and 0 <= episode.seed < 10_000
        assert episode.actions.shape == (48, 7) and np.abs(episode.actions).max() <= 1
        on_grid = episode.actions / POLICY_GRID
        assert np.abs(on_grid - on_grid.round()).max() < 1e-5


def test_hands_press_on_what_blocks_them_more_often_than_in_play(episodes):
    def blocked(found) -> float:
        states = np.concatenate([proprioception_of(episode.states) for episode in found])
        lags = states[:, HEIGHT] - states[:, TARGET_HEIGHT] > 0.012
        return float((lags & (np.abs(states[:, FALL]) < 0.002)).mean())

    play = list(play_episodes(24, run_seed=0, first_seed=0, resolution=16))
    assert blocked(episodes) > 1.5 * blocked(play)


def test_some_hands_hold_a_cube_for_long(episodes):
    openings = np.stack([proprioception_of(episode.states)[:, OPENING] for episode in episodes])
    held = (np.abs(openings - 0.056) < 0.006).sum(1)  # a cube is 5.6 cm wide
    assert (held > 12).sum() >= 3


def test_negative_counts_are_refused():
    with pytest.raises(UserError, match="cannot drive"):
        next(driven_episodes(-1, 0))
