"""Validator, reader and writer agree: what one lets pass, the others take; what one refuses, none has let through."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from wovr_lab.episodes import EpisodeStore, validate_file, write_episodes
from wovr_lab.errors import InputWarning, UserError
from wovr_lab.types import Episode

WRONG: dict[str, tuple[Any, ...]] = {
    "task": (None, 3, "", b"push", "a\0b", ["push"], "x" * 5000),
    "instruction": (None, 3, "", {"en": "push"}, np.array(["push"]), "\ud800"),
    "seed": (None, 4.0, "4", True, 2**70, np.nan, [1]),
    "frames": (None, [[1]], np.zeros((7, 8, 8, 3), np.float32), np.zeros((7, 8, 8), np.uint8)),
    "actions": (None, np.full((6, 7), np.nan), np.zeros((6, 8)), np.zeros((6, 7), complex), np.full((6, 7), 2.0)),
    "success": (None, np.zeros(5, bool), np.array(["a"] * 6), [False] * 6),
    "states": (np.zeros((6, 5)), np.zeros(7), np.full((7, 5), np.nan), {}, np.zeros((7, 5), object)),
    "expert_actions": (np.zeros((5, 7)), np.full((6, 7), np.inf), 3),
    "proprio": (np.zeros((6, 3)), np.full((7, 3), np.nan), "none"),
}  # fmt: skip


def episode(size: int = 8, length: int = 6) -> Episode:
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (length + 1, size, size, 3)).astype(np.uint8)
    actions = rng.uniform(-1, 1, (length, 7)).astype(np.float32)
    return Episode("push_red", "push it", 1, frames, actions, np.zeros(length, bool), rng.normal(size=(length + 1, 5)))


@pytest.mark.parametrize("field", WRONG)
def test_what_cannot_be_read_is_refused_before_it_is_written(tmp_path, field):
    path = tmp_path / "a.hdf5"
    for value in WRONG[field]:
        with pytest.raises(UserError, match="cannot write episode 1"):
            write_episodes(path, [episode(), replace(episode(), **{field: value})])
        assert not list(tmp_path.iterdir())
    with pytest.raises(UserError, match="frames are"):
        write_episodes(path, [episode(), episode(size=16)])


def test_what_is_written_passes_and_is_read(tmp_path):
    rng = np.random.default_rng(1)
    for number in range(20):
        made = episode(int(rng.integers(1, 9)), int(rng.integers(1, 12)))
        changes = {
            "seed": np.int64(-1), "instruction": "推到区域 ü", "states": None,
            "actions": made.actions.astype(np.float64),
            "success": np.ones(len(made), np.uint8), "proprio": np.zeros((len(made) + 1, 3)),
        }  # fmt: skip
        made = replace(made, **{name: value for name, value in changes.items() if rng.random() < 0.5})
        path = tmp_path / f"{number}.hdf5"
        write_episodes(path, [made])
        assert validate_file(path) == []
        found = EpisodeStore(str(path))[0]
        assert (found.frames == made.frames).all() and np.allclose(found.actions, made.actions)
        assert found.instruction == made.instruction and found.seed == made.seed


def test_anothers_file_is_not_replaced_and_nothing_is_asked_for_before_that_is_known(tmp_path):
    theirs = official(tmp_path / "open_the_drawer_demo.hdf5")
    before = theirs.read_bytes()

    def never():
        raise AssertionError("work has begun")
        yield

    with pytest.raises(UserError, match="was not made by this command"):
        write_episodes(theirs, never())
    (tmp_path / "thesis.hdf5").write_text("precious")
    with pytest.raises(UserError, match="was not made by this command"):
        write_episodes(tmp_path / "thesis.hdf5", never())
    assert theirs.read_bytes() == before and (tmp_path / "thesis.hdf5").read_text() == "precious"


def test_a_file_given_twice_under_any_name_is_refused(tmp_path):
    write_episodes(tmp_path / "a.hdf5", [episode()])
    (tmp_path / "b.hdf5").symlink_to(tmp_path / "a.hdf5")
    for paths in ([tmp_path / "a.hdf5"] * 2, [tmp_path / "a.hdf5", str(tmp_path / "b.hdf5")]):
        with pytest.raises(UserError, match="given twice"):
            EpisodeStore(paths)


def official(path: Path, problem: Any = None, first: bool | None = None, length: int = 6) -> Path:
    """A file as LIBERO's; `first`: its pictures come before its actions, and the hand says so."""
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        if problem is not None:
            data.attrs["problem_info"] = json.dumps(problem)
        demo = data.create_group("demo_0")
        steps = np.arange(length)
        demo["obs/agentview_rgb"] = np.broadcast_to(
            (10 * steps).astype(np.uint8)[:, None, None, None], (length, 8, 8, 3)
        )
        demo["actions"], demo["states"] = np.tile(steps[:, None] / 10, (1, 7)), np.tile(steps[:, None] * 1.0, (1, 4))
        demo["rewards"] = demo["dones"] = (steps == length - 1).astype(np.uint8)
        if first is not None:
            place = np.arange(length + 1)[:, None] * np.array([0.01, 0.02, 0.03])
            demo["robot_states"] = np.hstack([np.zeros((length, 2)), place[:length], np.zeros((length, 4))])
            demo["obs/ee_pos"] = place[:length] if first else place[1:]
    return path


@pytest.mark.parametrize("words", [None, 3, {"en": "push"}, [1, 2], [["a"]], "", " ", []])
def test_an_instruction_that_is_no_text_is_a_defect_and_an_error(tmp_path, words):
    path = official(tmp_path / "a_demo.hdf5", {"language_instruction": words})
    assert "language_instruction" in validate_file(path)[0]
    with pytest.raises(UserError, match="language_instruction"):
        EpisodeStore([path])


def test_what_says_its_instruction_otherwise_is_understood(tmp_path):
    for name, problem in {
        "x_demo": {"language_instruction": ["open", " it"]},
        "KITCHEN_SCENE1_open_it_demo": None,
    }.items():
        path = official(tmp_path / f"{name}.hdf5", problem)
        assert validate_file(path) == [] and EpisodeStore([path]).summaries[0].instruction == "open it"


def test_pictures_before_actions_are_told_by_the_hand_and_read_in_step(tmp_path):
    for first in (False, True, None):
        path = official(tmp_path / f"{first}_demo.hdf5", {"language_instruction": "open"}, first)
        if first:
            with pytest.warns(InputWarning, match="pictures before actions"):
                found = EpisodeStore([path])[0]
        else:
            found = EpisodeStore([path])[0]
        shown, actions, states = found.frames[:, 0, 0, 0] / 10, found.actions[:, 0] * 10, found.states[:, 0]
        known = np.isfinite(states)
        offset = 0 if first else 1  # picture i shows state i, or i + 1
        assert (shown + offset == states)[known].all() and np.allclose(actions, shown[:-1] + offset)
        assert found.success.tolist() == [False] * len(found) if first else found.success[-1]
