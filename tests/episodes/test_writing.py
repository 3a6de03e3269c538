"""What is on disk after writing, and what is left when writing fails."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import h5py
import numpy as np
import pytest

from wovr_lab.episodes import EpisodeStore, validate_file, write_episodes
from wovr_lab.errors import UserError


def assert_same(one, other):
    assert (one.task, one.instruction, one.seed) == (other.task, other.instruction, other.seed)
    for name in ("frames", "actions", "success", "states", "expert_actions", "proprio"):
        left, right = getattr(one, name), getattr(other, name)
        if right is None:
            assert left is None, name
        else:
            assert left.dtype == right.dtype and np.array_equal(left, right), name


def test_episodes_come_back_exactly_as_they_were_written(tmp_path, make_episode):
    episodes = [
        make_episode(0, length=12, success_at=7, labels=True, proprio=5),
        make_episode(1, length=1, states=False),
        make_episode(4, length=1, proprio=3),
        make_episode(2, length=20, task="push_blue", success_at=0),
    ]
    assert write_episodes(tmp_path / "batch.hdf5", iter(episodes)) == 4
    assert validate_file(tmp_path / "batch.hdf5") == []
    for read, written in zip(EpisodeStore([tmp_path / "batch.hdf5"]), episodes, strict=True):
        assert_same(read, written)


def test_a_file_keeps_the_schema_that_liberos_tools_expect(tmp_path, make_episode):
    episode = make_episode(3, length=6, success_at=4)
    write_episodes(tmp_path / "batch.hdf5", [episode, make_episode(4, length=9)])
    with h5py.File(tmp_path / "batch.hdf5") as file:
        data, demo = file["data"], file["data/demo_0"]
        assert data.attrs["num_demos"] == 2 and data.attrs["total"] == 15
        assert json.loads(data.attrs["problem_info"])["language_instruction"] == episode.instruction
        assert "env_name" in json.loads(data.attrs["env_args"])
        assert demo.attrs["num_samples"] == 6 and "model_file" in demo.attrs
        assert np.array_equal(demo.attrs["init_state"], episode.states[0])
        assert np.array_equal(demo["obs/agentview_rgb"][2], np.rot90(episode.frames[3], 2))  # after the action, turned
        assert np.array_equal(demo["states"][2], episode.states[2])  # before the action
        assert np.array_equal(demo["actions"][2], episode.actions[2])
        assert demo["rewards"][()].tolist() == [0, 0, 0, 0, 1, 0]
        assert demo["dones"][()].tolist() == [0, 0, 0, 0, 0, 1]


def test_a_failed_episode_earns_no_reward_on_disk(tmp_path, make_episode):
    write_episodes(tmp_path / "batch.hdf5", [make_episode(0, length=4)])
    with h5py.File(tmp_path / "batch.hdf5") as file:
        assert not file["data/demo_0/rewards"][()].any()


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """Writing past `size` bytes of any file fails meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [100, 20_000])
def test_a_full_disk_is_one_clear_error_and_leaves_the_old_file_untouched(tmp_path, make_episode, size):
    path = tmp_path / "batch.hdf5"
    write_episodes(path, [make_episode(0)])
    before = path.read_bytes()
    with disk_of(size), pytest.raises(UserError, match=r"cannot write .*batch\.hdf5.*free some space"):
        write_episodes(path, [make_episode(seed) for seed in range(20)])
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["batch.hdf5"]


def test_a_collection_that_breaks_off_leaves_the_old_file_untouched(tmp_path, make_episode):
    path = tmp_path / "batch.hdf5"
    write_episodes(path, [make_episode(0)])
    before = path.read_bytes()

    def breaks_off():
        yield make_episode(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_episodes(path, breaks_off())
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["batch.hdf5"]


MALFORMED = {
    "frames have shape": lambda e: {"frames": e.frames[1:]},
    "frames are float64": lambda e: {"frames": e.frames / 255},
    "actions have shape": lambda e: {"actions": e.actions[:, :6]},
    "actions hold NaN or infinity, first at step 3": lambda e: {"actions": changed(e.actions, 3, np.nan)},
    "actions reach 1.5 at step 2": lambda e: {"actions": changed(e.actions, 2, -1.5)},
    "expert_actions reach 7": lambda e: {"expert_actions": changed(e.actions, 0, 7)},
    "expert_actions have shape": lambda e: {"expert_actions": e.actions[1:]},
    "states have shape": lambda e: {"states": e.states[1:]},
    "states hold NaN": lambda e: {"states": changed(e.states, 0, np.nan)},
    "proprio have shape": lambda e: {"proprio": e.states[1:].astype(np.float32)},
    "proprio holds NaN": lambda e: {"proprio": changed(e.states, 3, np.nan).astype(np.float32)},
    "success is lost again": lambda e: {"success": np.arange(len(e)) == 2},
    "success have shape": lambda e: {"success": e.success[1:]},
    "it holds no action": lambda e: {
        "frames": e.frames[:1], "actions": e.actions[:0], "success": e.success[:0], "states": e.states[:1]
    },
}  # fmt: skip


def changed(values: np.ndarray, row: int, value: float) -> np.ndarray:
    copy = values.copy()
    copy[row, 0] = value
    return copy


@pytest.mark.parametrize("message", MALFORMED)
def test_a_malformed_episode_is_refused_before_anything_is_written(tmp_path, make_episode, message):
    episode = make_episode(0)
    with pytest.raises(UserError, match=f"cannot write episode 1 .*{message}"):
        write_episodes(tmp_path / "batch.hdf5", [episode, replace(episode, **MALFORMED[message](episode))])
    assert not list(tmp_path.iterdir())


def test_no_episodes_make_no_file(tmp_path):
    with pytest.raises(UserError, match="no episodes to write"):
        write_episodes(tmp_path / "batch.hdf5", [])
    assert not list(tmp_path.iterdir())
