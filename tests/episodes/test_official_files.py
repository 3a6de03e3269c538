"""LIBERO's own files: pictures after, states before the action, first frame missing; read back in step."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from wovr_lab.episodes import EpisodeStore, validate_file, write_episodes

LENGTH = 20
DROPPED = 6  # five actions that the official script leaves out, and one more whose first frame it does not store


@pytest.fixture
def both(tmp_path, make_episode, make_official_file):
    """One trajectory written by us and by LIBERO's procedure: (ours, official)."""
    trajectory = make_episode(11, length=LENGTH, success_at=LENGTH - 1, proprio=8)
    write_episodes(tmp_path / "ours.hdf5", [trajectory])
    make_official_file(tmp_path / "push_the_red_cube_demo.hdf5", trajectory)
    return EpisodeStore([tmp_path / "ours.hdf5"]), EpisodeStore([tmp_path / "push_the_red_cube_demo.hdf5"])


def test_an_official_file_agrees_with_ours_on_every_step_that_both_know(both):
    ours, official = both
    expected = ours.window(0, DROPPED, LENGTH - DROPPED)
    episode = official[0]
    assert len(episode) == LENGTH - DROPPED
    assert np.array_equal(episode.frames, expected.frames)
    assert np.array_equal(episode.actions, expected.actions)
    assert np.array_equal(episode.success, expected.success)
    assert np.array_equal(episode.states[:-1], expected.states[:-1])
    assert np.array_equal(episode.proprio, expected.proprio)


def test_the_last_state_of_an_official_episode_is_unknown_and_says_so(both):
    ours, official = both
    assert np.isnan(official[0].states[-1]).all()
    assert np.isfinite(ours[0].states).all()


def test_windows_of_an_official_file_are_cut_from_the_same_steps(both):
    ours, official = both
    for start, length in ((0, 1), (3, 8), (LENGTH - DROPPED - 1, 1)):
        left, right = official.window(0, start, length), ours.window(0, start + DROPPED, length)
        assert np.array_equal(left.frames, right.frames)
        assert np.array_equal(left.actions, right.actions)
        assert np.array_equal(left.states[:-1], right.states[:-1])
        assert np.array_equal(left.proprio, right.proprio)
    assert np.array_equal(official.window(0, 2, 3).states, ours.window(0, 2 + DROPPED, 3).states)
    assert np.array_equal(official.anchor(0), ours[0].frames[DROPPED])


def test_our_file_without_our_group_is_read_as_an_official_one(tmp_path, make_episode):
    episode = make_episode(2, length=10, success_at=6)
    write_episodes(tmp_path / "ours.hdf5", [episode])
    with h5py.File(tmp_path / "ours.hdf5", "r+") as file:
        del file["data/demo_0/wovr"]
    read = EpisodeStore([tmp_path / "ours.hdf5"])[0]
    assert np.array_equal(read.frames, episode.frames[1:])
    assert np.array_equal(read.actions, episode.actions[1:])
    assert np.array_equal(read.success, episode.success[1:])
    assert np.array_equal(read.states[:-1], episode.states[1:-1])


def test_the_task_is_the_files_name_and_the_instruction_its_problem(both):
    summary = both[1].summaries[0]
    assert (summary.task, summary.instruction) == ("push_the_red_cube", "push the red cube")
    assert (summary.seed, summary.success, summary.length) == (-1, True, LENGTH - DROPPED)


def test_the_end_of_a_recording_is_no_success_without_a_reward(tmp_path, make_episode, make_official_file):
    path = tmp_path / "failed_demo.hdf5"
    make_official_file(path, make_episode(1, length=LENGTH))
    with h5py.File(path, "r+") as file:
        file["data/demo_0/rewards"][...] = 0
    assert not EpisodeStore([path]).summaries[0].success


def test_an_official_episode_can_be_written_and_read_again(tmp_path, both):
    episode = both[1][0]
    write_episodes(tmp_path / "again.hdf5", [episode])
    again = EpisodeStore([tmp_path / "again.hdf5"])[0]
    assert np.array_equal(again.frames, episode.frames)
    assert np.array_equal(again.states, episode.states, equal_nan=True)


def test_an_official_file_without_states_has_none(tmp_path, make_episode, make_official_file):
    path = tmp_path / "x_demo.hdf5"
    make_official_file(path, make_episode(1, length=LENGTH))
    with h5py.File(path, "r+") as file:
        del file["data/demo_0/states"]
    assert validate_file(path) == []
    assert EpisodeStore([path])[0].states is None
