"""LeRobot data sets: what LeRobot wrote is read, what is written is read back whole, what is broken is one message."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from wovr_lab.episodes import EpisodeStore
from wovr_lab.episodes.lerobot import writing
from wovr_lab.episodes.lerobot.schema import CAMERA, SetCard, filled
from wovr_lab.episodes.lerobot.writing import write_lerobot
from wovr_lab.errors import InputWarning, UserError
from wovr_lab.runs import read_json, write_json
from wovr_lab.types import Episode

HERE = Path(__file__).parent
SETS = HERE.parent / "data" / "lerobot"  # written by LeRobot 0.6.1
ROWS, TABLE = "data/chunk-000/file-000.parquet", "meta/episodes/chunk-000/file-000.parquet"
spec = importlib.util.spec_from_file_location("make_lerobot_sets", HERE / "make_lerobot_sets.py")
known = importlib.util.module_from_spec(spec)
spec.loader.exec_module(known)


def same(found: Episode, wanted: Episode) -> bool:
    """Every field, values and types."""
    pairs = [(getattr(found, each.name), getattr(wanted, each.name)) for each in fields(Episode)]
    return all(
        a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
        if isinstance(a, np.ndarray) and isinstance(b, np.ndarray)
        else a == b
        for a, b in pairs
    )


@pytest.fixture
def ours(make_episode: Callable[..., Episode], tmp_path: Path) -> Path:
    """A small set of three episodes, the second of which succeeds."""
    episodes = [make_episode(n, 6, labels=True, proprio=3, success_at=4 if n == 1 else None) for n in range(3)]
    write_lerobot(tmp_path / "set", episodes)
    return tmp_path / "set"


@pytest.mark.filterwarnings("ignore::wovr_lab.errors.InputWarning")
@pytest.mark.parametrize("camera", [known.FRONT, known.WRIST])
@pytest.mark.parametrize("kind, error", [("pictures", 0), ("videos", 8)])
def test_what_lerobot_wrote_is_read(kind, error, camera):
    store = EpisodeStore(SETS / kind, camera)
    side = known.SIDE if kind == "videos" else known.SIDE // 4
    assert [each.length for each in store.summaries] == [length - 1 for length in known.LENGTHS]
    assert [each.success for each in store.summaries] == [True, False]
    for number, episode in enumerate(store):
        wanted = np.stack([known.frame(camera, number, step, side) for step in range(known.LENGTHS[number])])
        assert np.abs(episode.frames.astype(int) - wanted).max() <= error  # the videos' encoding loses a little
        steps = range(len(episode))
        assert np.array_equal(episode.actions, [known.action(number, step) for step in steps])
        assert np.array_equal(episode.proprio, [known.state(number, step) for step in range(len(episode) + 1)])
        assert (episode.task, episode.instruction, episode.seed) == (known.WORDS[number], known.WORDS[number], -1)
        part = store.window(number, 1, 2)
        assert np.array_equal(part.frames, episode.frames[1:4]) and np.array_equal(part.actions, episode.actions[1:3])


@pytest.mark.parametrize("size", [8, 128], ids=["pictures", "video"])
@pytest.mark.parametrize("more", [{}, {"labels": True, "proprio": 3}, {"states": False, "proprio": 1}])
def test_what_is_written_is_read_back_exactly(make_episode, tmp_path, size, more):
    episodes = [make_episode(seed, 5 + seed, size, success_at=3 if seed else None, **more) for seed in range(3)]
    if episodes[0].states is not None:
        episodes[0].states[-1] = np.nan  # as of an official file, which does not know it
    assert write_lerobot(tmp_path / "set", iter(episodes), SetCard(10, "arm")) == 3
    store = EpisodeStore(tmp_path / "set")
    assert all(map(same, store, episodes)) and len(store) == 3
    part = store.window(2, 3, 2)
    assert np.array_equal(part.frames, episodes[2].frames[3:6]) and np.array_equal(part.success, [True, True])
    assert np.array_equal(store.anchor(1), episodes[1].frames[0])
    assert np.allclose(store.statistics().action_mean, np.concatenate([each.actions for each in episodes]).mean(0))
    assert (tmp_path / "set/videos").exists() == (size == 128)


def test_files_end_where_they_are_large_enough_and_the_next_one_begins(make_episode, tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "LARGEST_DATA", 1)
    monkeypatch.setattr(writing, "LARGEST_VIDEO", 1)
    episodes = [make_episode(seed, 4, 128) for seed in range(3)]
    write_lerobot(tmp_path / "set", episodes)
    assert len(list((tmp_path / "set/data").rglob("*.parquet"))) == 3
    assert all(map(same, EpisodeStore(tmp_path / "set"), episodes))


def test_rows_of_one_group_are_told_apart_by_their_episodes(ours, tmp_path):
    table = pq.read_table(ours / ROWS)
    pq.write_table(table, ours / ROWS, row_group_size=len(table))
    assert [each.seed for each in EpisodeStore(ours)] == [0, 1, 2]
    pq.write_table(table, ours / ROWS, row_group_size=3)
    store = EpisodeStore(ours)
    whole, part = store[1], store.window(1, 2, 3)
    for name, more in {"frames": 1, "actions": 0, "success": 0, "states": 1, "expert_actions": 0, "proprio": 1}.items():
        assert np.array_equal(getattr(part, name), getattr(whole, name)[2 : 5 + more]), name


def test_names_of_the_state_stand_in_the_set_where_they_fit(ours, make_episode, tmp_path):
    assert read_json(ours / "meta/info.json")["features"]["observation.state"]["names"] is None
    for names in (("x", "y", "z"), ("x", "y")):
        write_lerobot(tmp_path / "set", [make_episode(1, proprio=3)], SetCard(state_names=names))
        found = read_json(tmp_path / "set/meta/info.json")["features"]
        assert found["observation.state"]["names"] == (list(names) if len(names) == 3 else None)
        assert found["action"]["names"][-1] == "gripper"


def test_what_is_probably_not_meant_is_doubted(ours):
    with pytest.warns(
        InputWarning, match=r"several cameras; observation.images.front is read, not observation.images.wrist"
    ):
        EpisodeStore(SETS / "pictures")
    with pytest.warns(InputWarning, match="without its last one"):
        EpisodeStore(SETS / "pictures", known.WRIST)
    change_info(ours, lambda info: info["features"].pop("next.success"))
    with pytest.warns(InputWarning, match="none of them counts as a success"):
        assert not EpisodeStore(ours)[1].success.any()


def change_info(folder: Path, change: Callable[[dict], object]) -> None:
    info = json.loads((folder / "meta/info.json").read_text())
    change(info)
    write_json(folder / "meta/info.json", info)


def put(file: str, column: str, row: int, value: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        table = pq.read_table(folder / file)
        values = table[column].to_pylist()
        values[row] = value
        index = table.column_names.index(column)
        pq.write_table(
            table.set_column(index, column, pa.array(values, table.schema.field(column).type)), folder / file
        )

    return change


def put_bytes(file: str, column: str, content: bytes) -> Callable[[Path], None]:
    """The texts of a column are these bytes, whatever they are."""

    def change(folder: Path) -> None:
        table = pq.read_table(folder / file)
        texts = pa.array([content] * len(table), pa.binary()).view(pa.string())
        kept = pa.ListArray.from_arrays(range(len(table) + 1), texts) if column == "tasks" else texts
        pq.write_table(table.set_column(table.column_names.index(column), column, kept), folder / file)

    return change


def drop(file: str, column: str) -> Callable[[Path], None]:
    return lambda folder: pq.write_table(pq.read_table(folder / file).drop_columns(column), folder / file)


def cut(file: str) -> Callable[[Path], None]:
    return lambda folder: (folder / file).write_bytes((folder / file).read_bytes()[:-100])


def info(change: Callable[[dict], object]) -> Callable[[Path], None]:
    return lambda folder: change_info(folder, change)


def feature(name: str, **entries: object) -> Callable[[Path], None]:
    return info(lambda found: found["features"][name].update(entries))


DEFECTS = {
    "holds no meta/info.json": lambda folder: (folder / "meta/info.json").unlink(),
    "is not valid JSON": lambda folder: (folder / "meta/info.json").write_text("{"),
    "of version v2.1; convert it to v3.0 first: python -m lerobot": info(lambda i: i.update(codebase_version="v2.1")),
    "of version v4.0; versions 3 are read": info(lambda i: i.update(codebase_version="v4.0")),
    "names no fps": info(lambda i: i.pop("fps")),
    "fps is 0, not a rate": info(lambda i: i.update(fps=0)),
    "has no dtype and shape": feature("action", shape="x"),
    "has no camera": info(lambda i: i["features"].pop(CAMERA)),
    "its actions are missing; 7 numbers": info(lambda i: i["features"].pop("action")),
    r"its actions are of shape \[6\]": feature("action", shape=[6]),
    "pictures of three colours are read": feature(CAMERA, shape=[8, 8, 1], names={"height": 0}),
    "not as large as info.json says": feature(CAMERA, shape=[9, 9, 3]),
    "'observation.state' does not hold 4 numbers": feature("observation.state", shape=[4]),
    "leads out of the data set": info(lambda i: i.update(data_path="../{chunk_index:03d}")),
    "asks for secret": info(lambda i: i.update(data_path="{secret}")),
    "lists no episode": lambda folder: (folder / TABLE).unlink(),
    f"{TABLE} cannot be read as parquet": cut(TABLE),
    f"{ROWS} cannot be read as parquet": cut(ROWS),
    "file-000.parquet cannot be read as parquet": lambda folder: (folder / ROWS).unlink(),
    f"{ROWS} has no column 'action'": drop(ROWS, "action"),
    f"{TABLE} has no column 'tasks'": drop(TABLE, "tasks"),
    "episode 1 of meta/episodes: length is -1": put(TABLE, "length", 1, -1),
    "has 8 rows; 2 to": put(TABLE, "length", 1, 8),
    "has number 7 and begins at row 7, expected 1 and 7": put(TABLE, "episode_index", 1, 7),
    "has no words that say what was asked for": put(TABLE, "tasks", 2, []),
    "episode 0: actions reach 3 at step 1": put(ROWS, "action", 1, [3.0] * 7),
    "episode 1: actions hold NaN": put(ROWS, "action", 8, [float("nan")] * 7),
    "'action' does not hold 7 numbers in each row": put(ROWS, "action", 8, None),
    "episode 2: observation.state holds NaN or infinity": put(ROWS, "observation.state", 20, [float("inf")] * 3),
    "those of another": put(ROWS, "episode_index", 9, 0),
    "ends within it": lambda folder: pq.write_table(pq.read_table(folder / ROWS).slice(0, 18), folder / ROWS),
    "holds values that cannot be read": put_bytes(TABLE, "tasks", b"push \xff"),
    "is damaged": put(ROWS, CAMERA, 0, {"bytes": b"GIF89a", "path": "x"}),
    "embed them": put(ROWS, CAMERA, 0, {"bytes": None, "path": "/etc/passwd"}),
}


@pytest.mark.parametrize("message", DEFECTS)
def test_what_is_broken_is_one_message(ours, message):
    DEFECTS[message](ours)
    with pytest.raises(UserError, match=message):
        list(EpisodeStore(ours))


@pytest.mark.filterwarnings("ignore::wovr_lab.errors.InputWarning")
@pytest.mark.parametrize("kind", ["pictures", "videos"])
def test_any_damage_is_read_past_or_one_message(tmp_path, kind):
    rng = np.random.default_rng(3)
    files = sorted(path for path in (SETS / kind).rglob("*") if path.is_file())
    refused = 0
    for number in range(40):
        folder = Path(shutil.copytree(SETS / kind, tmp_path / str(number)))
        path = folder / files[number % len(files)].relative_to(SETS / kind)
        damaged = bytearray(path.read_bytes())[: None if number % 4 else rng.integers(1, 500)]
        for place in rng.integers(0, len(damaged), number % 20):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            list(EpisodeStore(folder))
        except UserError as error:
            refused += str(folder) in str(error)
    assert refused > 10


def test_a_camera_that_is_not_there_is_refused_by_the_names_of_those_that_are(ours):
    with pytest.raises(UserError, match=f"no camera 'x'; it has {CAMERA}"):
        EpisodeStore(ours, "x")


def test_a_video_that_is_cut_or_short_is_one_message(make_episode, tmp_path):
    folder = tmp_path / "set"
    for change, message in (
        (lambda path: path.write_bytes(path.read_bytes()[:200]), "cannot be read as a video"),
        (lambda path: path.write_text("no video"), "cannot be read as a video"),
        (lambda path: path.unlink(), "cannot be read as a video"),
    ):
        write_lerobot(folder, [make_episode(1, 4, 128)])
        change(next(folder.rglob("*.mp4")))
        with pytest.raises(UserError, match=message):
            EpisodeStore(folder)[0]
    write_lerobot(folder, [make_episode(1, 4, 128)])
    put(TABLE, f"videos/{CAMERA}/from_timestamp", 0, 1.0)(folder)
    with pytest.raises(UserError, match="has no picture at 1"):
        EpisodeStore(folder)[0]


def test_episodes_that_one_set_cannot_hold_are_refused_and_nothing_is_left(make_episode, tmp_path):
    first = make_episode(1, proprio=3)
    for other, message in (
        (make_episode(2, size=16, proprio=3), r"frames is \(16, 16, 3\), in those before \(8, 8, 3\)"),
        (make_episode(2), "observation.state is missing"),
        (replace(first, actions=first.actions * 3), "outside"),
    ):
        with pytest.raises(UserError, match=f"cannot write episode 1 .*{message}"):
            write_lerobot(tmp_path / "set", [first, other])
        assert not list(tmp_path.iterdir())
    with pytest.raises(UserError, match="no episodes to write"):
        write_lerobot(tmp_path / "set", [])


def test_only_an_earlier_set_of_ours_is_replaced(ours, make_episode, tmp_path):
    write_lerobot(ours, [make_episode(9)])
    assert [each.seed for each in EpisodeStore(ours).summaries] == [9]
    copy = shutil.copytree(SETS / "pictures", tmp_path / "theirs")
    with pytest.raises(UserError, match="choose another folder"):
        write_lerobot(copy, [make_episode(9)])
    assert (copy / ROWS).read_bytes() == (SETS / "pictures" / ROWS).read_bytes()


def test_a_pattern_of_file_names_is_filled_and_obeys_nothing_else():
    assert filled("a/{video_key}/{chunk_index:03d}.mp4", video_key="x", chunk_index=7) == "a/x/007.mp4"
    for pattern in ("{chunk_index.__class__}", "/etc/{chunk_index}", "a/../../b", "{chunk_index:99999d}"):
        with pytest.raises(UserError, match=r"restore (its )?info.json"):
            filled(pattern, chunk_index=1)
