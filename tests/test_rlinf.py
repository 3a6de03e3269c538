"""RLinf's files of starts: there and back, and a hostile one that gets nothing to run."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from wovr_lab.errors import UserError
from wovr_lab.rlinf import export_starts, import_start
from wovr_lab.starts import start_at
from wovr_lab.types import NOOP


def frames(count: int) -> np.ndarray:
    """An object array as RLinf writes them, with entries that we have no use for."""
    rng = np.random.default_rng(0)
    array = np.empty(count, object)
    array[:] = [
        {
            "image": rng.integers(0, 256, (16, 16, 3), np.uint8),
            "delta_action": rng.uniform(-1, 1, 7),
            "init_ee_pose": np.zeros(6),
            "instruction": "put the bowl on the plate",
            "reward": np.float64(0.5),
        }
        for _ in range(count)
    ]
    return array


def test_a_keyframe_keeps_its_first_frame_and_its_last_four(tmp_path: Path):
    array = frames(9)
    np.save(tmp_path / "traj3_kir.npy", array)
    start = import_start(tmp_path / "traj3_kir.npy")
    assert (start.kind, start.step, start.instruction) == ("keyframe", 8, "put the bowl on the plate")
    assert np.array_equal(start.anchor, array[0]["image"])
    assert np.array_equal(start.memory, np.stack([frame["image"] for frame in array[-4:]]))
    assert np.allclose(start.memory_actions, np.stack([frame["delta_action"] for frame in array[-4:]]))


def test_an_initial_state_fills_its_memory_with_its_only_frame(tmp_path: Path):
    array = frames(1)
    np.save(tmp_path / "traj0.npy", array)
    start = import_start(tmp_path / "traj0.npy")
    assert start.kind == "initial" and (start.memory_actions == NOOP).all()
    assert (start.memory == array[0]["image"]).all()


def test_our_starts_come_back_from_rlinfs_files(tmp_path: Path, make_episode):
    episode = make_episode(3, length=20)
    starts = [start_at(episode, 0), start_at(episode, 11)]
    paths = export_starts(tmp_path, starts)
    assert [path.name for path in paths] == ["traj0.npy", "step_11_traj1_kir.npy"]
    for start, path in zip(starts, paths, strict=True):
        again = import_start(path)
        assert (again.step, again.instruction) == (start.step, start.instruction)
        for name in ("anchor", "memory", "memory_actions"):
            assert np.array_equal(getattr(again, name), getattr(start, name)), name
    theirs = np.load(paths[1], allow_pickle=True)  # as RLinf reads them
    assert len(theirs) == 5 and theirs[0]["image"].shape == (8, 8, 3) and theirs[0]["delta_action"].shape == (7,)


class Hostile:
    """Unpickled by NumPy, it would leave a file behind."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("place", ["element", "value", "instead"])
def test_a_hostile_file_is_refused_and_runs_nothing(tmp_path: Path, place: str):
    trace, hostile = tmp_path / "was_here", Hostile(tmp_path / "was_here")
    array = frames(5)
    if place == "element":
        array[2] = hostile
    else:
        array[2]["image"] = hostile
    path = tmp_path / "traj0_kir.npy"
    np.save(path, array)
    if place == "instead":  # a whole header, then a pickle of something else
        header = path.read_bytes()[:128]
        path.write_bytes(header + pickle.dumps(hostile))
    with pytest.raises(UserError, match="do not trust"):
        import_start(path)
    assert not trace.exists()
    if place == "value":  # the file is live: NumPy's own loader would have run it
        np.load(path, allow_pickle=True)
        assert trace.exists()


@pytest.mark.parametrize(
    "content, said",
    [
        (np.zeros((4, 7)), "plain float64 numbers"),
        (np.array([{"image": np.zeros((8, 8, 3))}], object), "uint8"),
        (
            np.array([{"image": np.zeros((8, 8, 3), np.uint8), "delta_action": np.zeros(3)}], object),
            r"\(7,\) is needed",
        ),
        (np.array([1, "two"], object), "must be a dictionary"),
    ],
)
def test_anything_but_frames_is_refused_with_its_defect(tmp_path: Path, content: np.ndarray, said: str):
    np.save(tmp_path / "traj0.npy", content)
    with pytest.raises(UserError, match=said):
        import_start(tmp_path / "traj0.npy")


def test_missing_short_and_damaged_files_are_refused(tmp_path: Path):
    np.save(tmp_path / "short_kir.npy", frames(3))
    np.save(tmp_path / "cut.npy", frames(2))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "cut.npy").read_bytes()[:400])
    (tmp_path / "other.npy").write_bytes(b"nothing of the kind")
    defects = {"missing": "does not exist", "short_kir": "5 are needed", "cut": "damaged", "other": "damaged"}
    for name, said in defects.items():
        with pytest.raises(UserError, match=said):
            import_start(tmp_path / f"{name}.npy")
