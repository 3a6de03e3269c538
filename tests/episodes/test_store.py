"""Many files as one sequence: what is read, what is not, and what it amounts to."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import h5py
import numpy as np
import pytest

from wovr_lab.episodes import EpisodeStore, write_episodes
from wovr_lab.errors import UserError

FRAMES = "data/demo_0/obs/agentview_rgb"


@pytest.fixture
def episodes(make_episode):
    return [
        make_episode(0, length=4, task="push_red", success_at=2),
        make_episode(1, length=6, task="push_red"),
        make_episode(2, length=20, task="push_blue", success_at=15, labels=True),
    ]


@pytest.fixture
def store(tmp_path, episodes) -> EpisodeStore:
    write_episodes(tmp_path / "a.hdf5", episodes[:2])
    write_episodes(tmp_path / "b.hdf5", episodes[2:])
    return EpisodeStore([tmp_path / "a.hdf5", tmp_path / "b.hdf5"])


def spoil_frames(path: Path, chunk: int) -> None:
    """Overwrite the stored bytes of one chunk of frames, so that whoever unpacks it fails."""
    with h5py.File(path) as file:
        place = file[FRAMES].id.get_chunk_info(chunk)
    with path.open("r+b") as file:
        file.seek(place.byte_offset)
        file.write(b"\xff" * place.size)


def test_summaries_say_what_is_in_every_file(store, tmp_path):
    rows = [(s.task, s.seed, s.length, s.success, s.path.name, s.index) for s in store.summaries]
    assert rows == [
        ("push_red", 0, 4, True, "a.hdf5", 0),
        ("push_red", 1, 6, False, "a.hdf5", 1),
        ("push_blue", 2, 20, True, "b.hdf5", 0),
    ]
    assert store.summaries[0].instruction == "push the red cube" and store.summaries[0].frame_shape == (8, 8, 3)
    assert len(store) == 3


def test_a_hundred_demonstrations_keep_their_order(tmp_path, make_episode):
    write_episodes(tmp_path / "many.hdf5", [make_episode(seed, length=1) for seed in range(101)])
    assert [summary.seed for summary in EpisodeStore([tmp_path / "many.hdf5"]).summaries] == list(range(101))


def test_summaries_windows_and_statistics_read_no_frames(store, tmp_path):
    spoil_frames(tmp_path / "b.hdf5", 0)
    again = EpisodeStore([tmp_path / "b.hdf5"])
    assert again.summaries[0].length == 20 and len(again.windows(8)) == 13
    assert again.statistics().tasks[0].frames == 21
    with pytest.raises(UserError, match=r"b\.hdf5 can no longer be read"):
        again[0]


def test_a_window_reads_only_the_frames_around_it(store, episodes, tmp_path):
    spoil_frames(tmp_path / "b.hdf5", 0)  # the frames after actions 0 to 7
    window = store.window(2, 9, 8)
    assert np.array_equal(window.frames, episodes[2].frames[9:18])
    with pytest.raises(UserError, match="can no longer be read"):
        store.window(2, 8, 8)


@pytest.mark.parametrize("start", [0, 1, 7, 8, 12])
def test_a_window_is_that_part_of_the_episode(store, episodes, start):
    window, whole = store.window(2, start, 8), episodes[2]
    assert np.array_equal(window.frames, whole.frames[start : start + 9])
    assert np.array_equal(window.actions, whole.actions[start : start + 8])
    assert np.array_equal(window.states, whole.states[start : start + 9])
    assert np.array_equal(window.success, whole.success[start : start + 8])
    assert np.array_equal(window.expert_actions, whole.expert_actions[start : start + 8])


@pytest.mark.parametrize(("start", "length"), [(-1, 4), (0, 0), (13, 8), (0, 21)])
def test_a_window_outside_the_episode_is_refused(store, start, length):
    with pytest.raises(IndexError, match="of an episode of 20 actions"):
        store.window(2, start, length)


def test_the_window_index_lists_every_window_once(store):
    index = store.windows(5)
    assert index.dtype == np.int64
    assert index.tolist() == [[1, 0], [1, 1], *[[2, start] for start in range(16)]]
    assert all(len(store.window(*row, 5)) == 5 for row in index)


def test_windows_longer_than_every_episode_are_an_error(store):
    with pytest.raises(UserError, match="no stored episode has a window of 21 actions"):
        store.windows(21)


def test_the_anchor_is_the_first_frame_upright(store, episodes):
    assert np.array_equal(store.anchor(1), episodes[1].frames[0])


def test_episodes_are_a_sequence(store, episodes):
    assert [episode.seed for episode in store] == [0, 1, 2]
    assert np.array_equal(store[-1].frames, episodes[2].frames)
    with pytest.raises(IndexError):
        store[3]


def test_statistics_agree_with_a_calculation_by_hand(tmp_path, make_episode):
    short, long = make_episode(0, length=2, success_at=0), make_episode(1, length=4)
    short.actions[:] = np.array([[1, 0, 0, 0, 0, 0, -1], [0, 0, 0, 0, 0, 0, -1]])
    long.actions[:] = np.array([[0.5, 0, 0, 0, 0, 0, 1]] * 4)
    write_episodes(tmp_path / "batch.hdf5", [short, long])
    found = EpisodeStore([tmp_path / "batch.hdf5"]).statistics()
    (task,) = found.tasks
    assert (task.task, task.episodes, task.frames) == ("push_red", 2, 8)
    assert (task.success_rate, task.mean_length) == (0.5, 3.0)
    assert found.action_mean == pytest.approx([0.5, 0, 0, 0, 0, 0, 1 / 3])
    assert found.action_std[0] == pytest.approx((0.5 / 6) ** 0.5)  # deviations .5, -.5 and four times 0
    assert found.action_min == pytest.approx([0, 0, 0, 0, 0, 0, -1])
    assert found.action_max == pytest.approx([1, 0, 0, 0, 0, 0, 1])


def test_statistics_count_each_task_alone(store):
    tasks = {each.task: each for each in store.statistics().tasks}
    assert list(tasks) == ["push_blue", "push_red"]
    assert tasks["push_red"].success_rate == 0.5 and tasks["push_blue"].success_rate == 1


def test_a_selection_is_a_store_of_its_own(store, episodes):
    assert [summary.seed for summary in store.select(task="push_red").summaries] == [0, 1]
    assert [summary.seed for summary in store.select(success=True).summaries] == [0, 2]
    both = store.select(task="push_red", success=False)
    assert len(both) == 1 and np.array_equal(both[0].frames, episodes[1].frames)
    assert len(store) == 3


def test_an_empty_selection_has_no_statistics(store):
    nothing = store.select(task="elsewhere")
    assert len(nothing) == 0 and list(nothing) == []
    with pytest.raises(UserError, match="no episodes to take statistics of"):
        nothing.statistics()


def test_files_with_frames_of_different_sizes_are_not_mixed(tmp_path, make_episode):
    write_episodes(tmp_path / "small.hdf5", [make_episode(0)])
    write_episodes(tmp_path / "large.hdf5", [make_episode(1, size=16)])
    with pytest.raises(UserError, match=r"different sizes \(8 x 8 in .*small.hdf5, 16 x 16 in .*large.hdf5\)"):
        EpisodeStore([tmp_path / "small.hdf5", tmp_path / "large.hdf5"])


def test_forked_processes_read_what_this_one_reads(store, episodes):
    store[0]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        read = pool.map(store.__getitem__, [0, 1, 2, 0, 1, 2])
    for index, episode in enumerate(read):
        assert np.array_equal(episode.frames, episodes[index % 3].frames)
