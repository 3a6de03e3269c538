"""Play: reproducible in any split, of both scenes, full of contact, only from training seeds."""

import numpy as np
import pytest

from wovr_lab.errors import UserError
from wovr_lab.real.tabletop.env import BACK, FRONT, TabletopEnv
from wovr_lab.real.tabletop.play import play_episodes


@pytest.fixture(scope="module")
def episodes():
    return list(play_episodes(40, run_seed=0, first_seed=0, resolution=16))


def positions(episode):
    """float64 [T + 1, 2, 3]: both cubes."""
    physics = episode.states[:, 1:]  # after the time
    return np.stack([physics[:, FRONT][:, :3], physics[:, BACK][:, :3]], 1)


def test_any_split_of_play_gives_the_same_episodes(episodes):
    part = list(play_episodes(2, run_seed=0, first_seed=7, resolution=16))
    for one, two in zip(part, episodes[7:9], strict=True):
        assert (one.frames == two.frames).all() and (one.actions == two.actions).all() and one.seed == two.seed
    other = next(play_episodes(1, run_seed=1, first_seed=7, resolution=16))
    assert (other.actions != episodes[7].actions).any()


def test_play_claims_nothing_and_its_seeds_are_for_training(episodes):
    for episode in episodes:
        assert episode.task == "play" and not episode.success.any() and 0 <= episode.seed < 10_000
        assert episode.frames.shape == (41, 16, 16, 3) and episode.actions.shape == (40, 7)
        assert np.abs(episode.actions).max() <= 1
    assert len({episode.seed for episode in episodes}) == 40


def test_play_moves_and_lifts_cubes_in_both_scenes(episodes):
    env = TabletopEnv(resolution=16)
    moved = [np.abs(positions(episode) - positions(episode)[0]).max() > 0.01 for episode in episodes]
    lifted = [positions(episode)[:, :, 2].max() > 0.05 for episode in episodes]
    scenes = set()
    for episode in episodes:
        env.set_state(episode.states[0])
        scenes.add(env.definition.scene)
    assert np.mean(moved) > 0.8 and 0.2 < np.mean(lifted) < 0.8 and scenes == {"push", "plate"}


def test_play_replays_exactly_from_its_first_state(episodes):
    env = TabletopEnv(resolution=16)
    episode = episodes[3]
    env.set_state(episode.states[0])
    for step, action in enumerate(episode.actions):
        env.step(action)
        assert (env.get_state() == episode.states[step + 1]).all()


def test_negative_counts_are_refused():
    with pytest.raises(UserError, match="cannot play"):
        next(play_episodes(-1, 0, 0))


def test_held_out_play_begins_where_no_training_does(episodes):
    held_out = list(play_episodes(2, run_seed=0, first_seed=3, resolution=16, held_out=True))
    assert [episode.seed for episode in held_out] == [10_003, 10_004]
    assert (held_out[0].states[0] != episodes[3].states[0]).any()
