"""Branches leave as episodes and films, episodes come in, hostile files do not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import av
import h5py
import numpy as np
import pytest
from PIL import Image

from wovr_lab.episodes import EpisodeStore, write_episodes
from wovr_lab.errors import UserError
from wovr_lab.inspector.exchange import begin_uploaded, export, notebook_cell
from wovr_lab.inspector.keys import direction_chunk
from wovr_lab.inspector.models import KEYFRAME, RunModels
from wovr_lab.inspector.session import Session
from wovr_lab.real.tabletop.expert import expert_episodes

RIGHT = direction_chunk("d", -1.0)


def test_a_branch_leaves_as_episodes_films_and_its_switches(session: Session, tmp_path: Path):
    session.step(RIGHT)
    session.switch(noise=3)
    session.step(direction_chunk("f", -1.0)[:1])
    paths = {path.name: path for path in export(session, tmp_path)}
    real, imagined = EpisodeStore([paths["real.hdf5"]])[0], EpisodeStore([paths["imagined.hdf5"]])[0]
    np.testing.assert_array_equal(real.frames, session.branch.real)
    np.testing.assert_array_equal(imagined.frames, session.branch.imagined)
    np.testing.assert_array_equal(real.actions, session.branch.actions)
    assert real.states.shape[0] == 10 and imagined.states is None
    with av.open(str(paths["side_by_side.mp4"])) as film:
        assert sum(1 for _ in film.decode(video=0)) == 10
    assert Image.open(paths["side_by_side.gif"]).n_frames > 1
    described = json.loads(paths["branch.json"].read_text())
    assert [step["noise"] for step in described["steps"]] == [0, 3]


def test_the_notebook_cell_replays_the_branch(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    session.step(RIGHT)
    cell = notebook_cell(session)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(cell, names)
    np.testing.assert_array_equal(names["branch"].imagined, session.branch.imagined)
    assert (tmp_path / "branch.gif").exists()


@pytest.mark.parametrize("name", ["real.hdf5", "imagined.hdf5"])
def test_an_exported_episode_can_be_begun_in_again(session: Session, tmp_path: Path, name: str):
    session.step(RIGHT)
    export(session, tmp_path)
    first = session.branch.real[0]
    begin_uploaded(session, tmp_path / name, name)
    np.testing.assert_array_equal(session.branch.real[0], first)
    assert session.recording is not None
    with pytest.raises(UserError, match="download it instead"):
        notebook_cell(session)
    session.step(RIGHT)
    assert [path.name for path in export(session, tmp_path / "again")][-1] == "branch.json"


def test_a_branch_from_a_keyframe_begins_there_again(session: Session, models: RunModels, tmp_path: Path):
    session.start_recorded(next(place for place in models.start_options() if place.kind == KEYFRAME).origin)
    step = session.step(RIGHT)
    export(session, tmp_path)
    begin_uploaded(session, tmp_path / "real.hdf5", "real.hdf5")
    np.testing.assert_array_equal(session.step(RIGHT).real, step.real)
    with pytest.raises(UserError, match="no simulator state"):  # the imagined one knows neither state nor seed
        begin_uploaded(session, tmp_path / "imagined.hdf5", "imagined.hdf5")


def test_an_empty_branch_is_not_exported(session: Session, tmp_path: Path):
    with pytest.raises(UserError, match="act first"):
        export(session, tmp_path)


def _good(path: Path) -> None:
    write_episodes(path, expert_episodes("push_red", [3], 0.0))


def _not_hdf5(path: Path) -> None:
    path.write_bytes(b"cos\nsystem\n(S'echo hacked'\ntR.")  # a pickle that would run a command


def _truncated(path: Path) -> None:
    _good(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _wrong_shapes(path: Path) -> None:
    _good(path)
    with h5py.File(path, "a") as file:
        actions = file["data/demo_0/actions"][()]
        del file["data/demo_0/actions"]
        file["data/demo_0/actions"] = actions[:, :5]


def _huge(path: Path) -> None:
    _good(path)
    with h5py.File(path, "a") as file:
        count = len(file["data/demo_0/actions"])
        del file["data/demo_0/obs/agentview_rgb"]
        shape = (count, 60_000, 60_000, 3)
        file["data/demo_0/obs"].create_dataset("agentview_rgb", shape, np.uint8, chunks=(1, 100, 100, 3))


def _external_link(path: Path) -> None:
    _good(path)
    with h5py.File(path, "a") as file:
        del file["data/demo_0/actions"]
        file["data/demo_0/actions"] = h5py.ExternalLink("/etc/passwd", "/data")


def _nan_actions(path: Path) -> None:
    _good(path)
    with h5py.File(path, "a") as file:
        file["data/demo_0/actions"][2, 3] = np.nan


def _foreign_state(path: Path) -> None:
    _good(path)
    with h5py.File(path, "a") as file:
        file["data/demo_0/states"][...] = 1e300


def _other_task(path: Path) -> None:
    _good(path)
    with h5py.File(path, "a") as file:
        file["data/demo_0/wovr"].attrs.update({"task": "<b>x</b>", "instruction": "<img src=x>"})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_not_hdf5, "not an HDF5 file"), (_truncated, "truncated or damaged"), (_wrong_shapes, "shape"),
        (_huge, "GiB"), (_external_link, "links are not followed"), (_nan_actions, "NaN"),
        (_foreign_state, "not a tabletop state"), (_other_task, "reward was trained on"),
    ],
)  # fmt: skip
def test_broken_and_hostile_files_give_one_message_and_the_session_lives_on(
    session: Session, tmp_path: Path, damage: Callable[[Path], None], message: str, caplog: pytest.LogCaptureFixture
):
    session.step(RIGHT)
    path = tmp_path / "secret place" / "episode.hdf5"
    path.parent.mkdir()
    damage(path)
    with pytest.raises(UserError, match=message) as refused:
        begin_uploaded(session, path, "episode.hdf5")
    assert str(tmp_path) not in str(refused.value)
    assert "upload refused" in caplog.text
    assert len(session.steps) == 1 and session.step(RIGHT).after.horizon == 16


def test_an_upload_must_fit_the_models(session: Session, tmp_path: Path, make_episode: Callable):
    write_episodes(tmp_path / "small.hdf5", [make_episode(1, size=16)])
    with pytest.raises(UserError, match=r"\(16, 16\).*fit these models|16"):
        begin_uploaded(session, tmp_path / "small.hdf5", "small.hdf5")
    _good(tmp_path / "good.hdf5")
    with pytest.raises(UserError, match="none has number 1"):
        begin_uploaded(session, tmp_path / "good.hdf5", "good.hdf5", 1)
    with pytest.raises(UserError, match="outside an episode"):
        begin_uploaded(session, tmp_path / "good.hdf5", "good.hdf5", 0, 999)
