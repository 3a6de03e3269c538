"""Every defect of a file has its message, and none is read past."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from wovr_lab.episodes import EpisodeStore, validate_file, write_episodes
from wovr_lab.errors import UserError

DEMO = "data/demo_1"
NAMES = ("actions", "obs/agentview_rgb", "rewards", "dones", "wovr/initial_frame", "wovr/success")


def put(file: h5py.File, name: str, values) -> None:
    del file[f"{DEMO}/{name}"]
    file[f"{DEMO}/{name}"] = values


def act(file: h5py.File, step: int, value: float, name: str = "actions") -> None:
    file[f"{DEMO}/{name}"][step, 2] = value


def link(file: h5py.File, name: str, target) -> None:
    del file[name]
    file[name] = target


def declare(file: h5py.File, length: int) -> None:
    del file[f"{DEMO}/obs/agentview_rgb"]
    file.create_dataset(f"{DEMO}/obs/agentview_rgb", (length, 2**12, 2**12, 3), "u1", chunks=(1, 64, 64, 3))


def elsewhere(file: h5py.File) -> None:
    del file[f"{DEMO}/rewards"]
    file.create_dataset(f"{DEMO}/rewards", (12,), "u1", external=[("/etc/hostname", 0, 12)])


def virtual(file: h5py.File) -> None:
    del file[f"{DEMO}/rewards"]
    layout = h5py.VirtualLayout((12,), "u1")
    layout[:] = h5py.VirtualSource("other.hdf5", "x", (12,))
    file.create_virtual_dataset(f"{DEMO}/rewards", layout)


DEFECTS = {
    **{f"demo_1: dataset '{name}' is missing": lambda f, name=name: f.__delitem__(f"{DEMO}/{name}") for name in NAMES},
    "demo_1: 'actions' has shape [12, 6], expected [12, 7]": lambda f: put(f, "actions", np.zeros((12, 6))),
    "demo_1: 'actions' holds int64, expected floating point": lambda f: put(f, "actions", np.zeros((12, 7), int)),
    "demo_1: actions hold NaN or infinity, first at step 5": lambda f: act(f, 5, np.nan),
    "demo_1: actions reach 1.25 at step 3, outside [-1, 1]": lambda f: act(f, 3, -1.25),
    "demo_1: expert_actions hold NaN or infinity, first at step 0": lambda f: act(f, 0, np.inf, "expert_actions"),
    "demo_1: states hold NaN or infinity": lambda f: act(f, 0, np.nan, "states"),
    "demo_1: 'obs/agentview_rgb' holds float64, expected uint8": lambda f: put(
        f, "obs/agentview_rgb", np.zeros((12, 8, 8, 3))
    ),
    "demo_1: 'obs/agentview_rgb' holds uint16, expected uint8": lambda f: put(
        f, "obs/agentview_rgb", np.zeros((12, 8, 8, 3), np.uint16)
    ),
    "demo_1: 'obs/agentview_rgb' has shape [12, 8, 8, 4], expected [12, *, *, 3]": lambda f: put(
        f, "obs/agentview_rgb", np.zeros((12, 8, 8, 4), np.uint8)
    ),
    "demo_1: 'obs/agentview_rgb' has shape [11, 8, 8, 3], expected [12, *, *, 3]": lambda f: put(
        f, "obs/agentview_rgb", np.zeros((11, 8, 8, 3), np.uint8)
    ),
    "demo_1: 'wovr/initial_frame' has another size than the other frames": lambda f: put(
        f, "wovr/initial_frame", np.zeros((4, 4, 3), np.uint8)
    ),
    "demo_1: 'wovr/success' has shape [3], expected [12]": lambda f: put(f, "wovr/success", np.zeros(3, bool)),
    "demo_1: success is lost again after its first hit": lambda f: put(f, "wovr/success", np.arange(12) == 4),
    "demo_1: 'wovr/final_state' does not fit 'states'": lambda f: put(f, "wovr/final_state", np.zeros(4)),
    "demo_1: 'wovr/proprio' does not fit 'wovr/initial_proprio'": lambda f: put(f, "wovr/proprio", np.zeros((12, 4))),
    "demo_1: 'wovr/proprio' has shape [3, 5], expected [12, *]": lambda f: put(f, "wovr/proprio", np.zeros((3, 5))),
    "demo_1: 'wovr/proprio' holds NaN or infinity": lambda f: act(f, 3, np.nan, "wovr/proprio"),
    "demo_1: 'rewards' is not a dataset": lambda f: link(f, f"{DEMO}/rewards", f["data"].create_group("x")),
    "demo_1: attribute 'task' of 'wovr' is missing": lambda f: f[f"{DEMO}/wovr"].attrs.__delitem__("task"),
    "demo_1: attribute 'seed' of 'wovr' is not a whole number": lambda f: f[f"{DEMO}/wovr"].attrs.update({"seed": "x"}),
    "demo_1: 'num_samples' says 5, there are 12 actions": lambda f: f[DEMO].attrs.update({"num_samples": 5}),
    "'num_demos' says 9, there are 3 demonstrations": lambda f: f["data"].attrs.update({"num_demos": 9}),
    "demo_1: it is not a group": lambda f: link(f, DEMO, np.zeros(3)),
    "demo_1: 'wovr' is not a group": lambda f: link(f, f"{DEMO}/wovr", np.zeros(3)),
    "there is no group 'data'; this is not a LIBERO demonstration file": lambda f: f.__delitem__("data"),
    "there are no demonstrations in 'data'": lambda f: [f.__delitem__(f"data/demo_{index}") for index in range(3)],
    "/data is a link, not data of this file; links are not followed": lambda f: link(
        f, "data", h5py.ExternalLink("other.hdf5", "/data")
    ),
    "/data/demo_1 is a link, not data of this file; links are not followed": lambda f: link(
        f, DEMO, h5py.ExternalLink("other.hdf5", "/data/demo_1")
    ),
    "demo_1: /data/demo_1/obs/agentview_rgb is a link, not data of this file; links are not followed": lambda f: link(
        f, f"{DEMO}/obs/agentview_rgb", h5py.SoftLink("/data/demo_0/obs/agentview_rgb")
    ),
    "demo_1: 'rewards' keeps its data in another file; copy the data into this one": elsewhere,
    "demo_1: 'obs/agentview_rgb' declares 192.0 GiB, more than any episode needs": lambda f: resize(f),
}


def resize(file: h5py.File) -> None:
    """4,096 steps of 4,096 x 4,096 pixels, none of them stored."""
    for name in ("actions", "expert_actions", "states", "rewards", "dones", "wovr/success", "wovr/proprio"):
        old = file[f"{DEMO}/{name}"]
        put(file, name, np.zeros((4096, *old.shape[1:]), old.dtype))
    put(file, "wovr/initial_frame", np.zeros((4096, 4096, 3), np.uint8))
    file[DEMO].attrs["num_samples"] = 4096
    declare(file, 4096)


@pytest.fixture
def path(tmp_path, make_episode) -> Path:
    path = tmp_path / "batch.hdf5"
    write_episodes(path, [make_episode(seed, labels=True, proprio=5) for seed in range(3)])
    return path


@pytest.mark.parametrize("message", DEFECTS)
def test_a_defect_has_its_message_and_the_file_is_refused(path, message):
    with h5py.File(path, "r+") as file:
        DEFECTS[message](file)
    assert validate_file(path) == [message]
    with pytest.raises(UserError) as error:
        EpisodeStore([path])
    assert f"{path} cannot be used" in str(error.value) and message in str(error.value)


def test_data_of_a_virtual_dataset_is_in_another_file(path):
    with h5py.File(path, "r+") as file:
        virtual(file)
    assert validate_file(path) == ["demo_1: 'rewards' keeps its data in another file; copy the data into this one"]


def test_an_external_link_is_never_opened(path, tmp_path):
    """The target is a whole demonstration: following the link would find nothing wrong."""
    target = tmp_path / "target.hdf5"
    target.write_bytes(path.read_bytes())
    with h5py.File(path, "r+") as file:
        link(file, DEMO, h5py.ExternalLink(str(target), "/data/demo_1"))
    assert "is a link" in validate_file(path)[0]


def test_a_file_cut_anywhere_is_refused(path):
    whole = path.read_bytes()
    for part in (0.999, 0.7, 0.3, 0.05):
        path.write_bytes(whole[: int(len(whole) * part)])
        assert "it is truncated or damaged" in validate_file(path)[0], part
    path.write_bytes(b"")
    assert validate_file(path) == ["it is not an HDF5 file, or its beginning is damaged"]


def test_what_is_not_hdf5_or_not_there_is_refused(tmp_path):
    (tmp_path / "notes.hdf5").write_text("not a demonstration")
    assert validate_file(tmp_path / "notes.hdf5") == ["it is not an HDF5 file, or its beginning is damaged"]
    assert validate_file(tmp_path / "absent.hdf5") == ["there is no such file"]
    with pytest.raises(UserError, match=r"absent\.hdf5 cannot be used as episodes:\n- there is no such file"):
        EpisodeStore([tmp_path / "absent.hdf5"])


def test_every_defect_is_reported_not_only_the_first(path):
    with h5py.File(path, "r+") as file:
        file["data/demo_0/actions"][1, 0] = np.nan
        file["data/demo_2/actions"][4, 0] = 3
    assert [defect[:6] for defect in validate_file(path)] == ["demo_0", "demo_2"]


def test_demonstrations_of_one_file_have_frames_of_one_size(tmp_path, make_episode):
    for name, size in (("batch", 8), ("other", 16)):
        write_episodes(tmp_path / f"{name}.hdf5", [make_episode(0, size=size)])
    with h5py.File(tmp_path / "batch.hdf5", "r+") as file, h5py.File(tmp_path / "other.hdf5") as other:
        other.copy("data/demo_0", file["data"], "demo_1")
        file["data"].attrs["num_demos"] = 2
    assert validate_file(tmp_path / "batch.hdf5") == ["demo_1: frames are [16, 16, 3], those of demo_0 [8, 8, 3]"]


def test_an_official_file_must_say_what_was_asked_for(tmp_path, make_episode, make_official_file):
    path = tmp_path / "x_demo.hdf5"
    make_official_file(path, make_episode(0))
    with h5py.File(path, "r+") as file:
        file["data"].attrs["problem_info"] = '{"problem_name": "x"}'
    (defect,) = validate_file(path)
    assert defect.startswith("attribute 'problem_info' of 'data' is missing or holds no 'language_instruction'")


def test_one_sample_of_an_official_file_is_no_episode(tmp_path, make_episode, make_official_file):
    path = tmp_path / "x_demo.hdf5"
    make_official_file(path, make_episode(0, length=6))
    assert validate_file(path) == ["demo_0: 1 samples are too few for an action between two known frames"]
