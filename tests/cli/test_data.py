"""`wovr-lab convert`: there and back, and nothing lost on the way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from wovr_lab.cli import app
from wovr_lab.episodes import EpisodeStore, write_episodes
from wovr_lab.errors import UserError
from wovr_lab.runs import read_json


def convert(*arguments: object) -> str:
    """What the command says. Raises what it raises."""
    return CliRunner().invoke(app, ["convert", *map(str, arguments)], catch_exceptions=False).output


def run(*arguments: object) -> Exception | None:
    return CliRunner().invoke(app, ["convert", *map(str, arguments)]).exception


@pytest.fixture
def file(make_episode, tmp_path: Path) -> Path:
    episodes = [make_episode(seed, 5, proprio=13, labels=True) for seed in range(2)]
    write_episodes(tmp_path / "a.hdf5", episodes)
    return tmp_path / "a.hdf5"


def test_episodes_go_into_a_lerobot_set_and_back_as_they_were(file, tmp_path):
    assert "set: 2 episodes" in convert(file, tmp_path / "set")
    info = read_json(tmp_path / "set/meta/info.json")
    assert (info["fps"], info["robot_type"]) == (25, "wovr_tabletop")
    assert info["features"]["observation.state"]["names"][:2] == ["hand_x", "hand_y"]
    assert "2 episodes" in convert(tmp_path / "set", tmp_path / "back.hdf5")
    for found, wanted in zip(EpisodeStore(tmp_path / "back.hdf5"), EpisodeStore(file), strict=True):
        assert found.task == wanted.task and found.seed == wanted.seed
        for name in ("frames", "actions", "success", "states", "expert_actions", "proprio"):
            assert np.array_equal(getattr(found, name), getattr(wanted, name))


def test_a_folder_of_files_becomes_one_set(file, make_episode, tmp_path):
    write_episodes(tmp_path / "b.hdf5", [make_episode(7, 4, task="wipe", proprio=13, labels=True)])
    convert(tmp_path, tmp_path / "new/set", "--to", "lerobot", "--fps", 5, "--robot", "arm")
    info = read_json(tmp_path / "new/set/meta/info.json")
    assert (info["total_episodes"], info["total_frames"], info["fps"], info["robot_type"]) == (3, 17, 5, "arm")
    assert info["features"]["observation.state"]["names"] is None  # nothing is known of the robot that wipes
    assert [each.seed for each in EpisodeStore(tmp_path / "new/set").summaries] == [0, 1, 7]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("a.hdf5", "set", "--to", "rlds"), "unknown format 'rlds'; formats: lerobot, libero"),
        (("nowhere.hdf5", "set"), "there is no such file"),
        (("empty", "set"), "holds neither .hdf5 files nor meta/info.json"),
        (("a.hdf5", "thesis"), "choose another folder"),
        (("a.hdf5", "a.hdf5", "--to", "libero"), "is or holds a.hdf5, which is read"),
        (("a.hdf5", "letter", "--to", "libero"), "choose another name"),
        (("a.hdf5", "."), "choose another"),
    ],
)
def test_what_cannot_be_converted_is_one_message_and_nothing_is_touched(file, monkeypatch, arguments, message):
    monkeypatch.chdir(file.parent)
    Path("empty").mkdir()
    Path("thesis").mkdir()
    Path("thesis/one.txt").write_text("precious")
    Path("letter").write_text("precious")
    before = {path: path.stat().st_mtime_ns for path in Path().rglob("*")}
    failure = run(*arguments)
    assert isinstance(failure, UserError) and message in str(failure)
    assert {path: path.stat().st_mtime_ns for path in Path().rglob("*")} == before
