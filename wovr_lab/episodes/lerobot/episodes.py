"""The table of a set's episodes: how long each is, what was asked for, and in which files it stands.

In: a set's `info`. Out: one `EpisodeRow` an episode, in order, whose numbers agree with each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wovr_lab.episodes.lerobot.schema import EPISODES, LONGEST_EPISODE, MOST_ROWS, OUR_SEED, OUR_TASK, Camera, SetInfo
from wovr_lab.episodes.lerobot.tables import as_rows, parquet, read_rows
from wovr_lab.errors import UserError

LONGEST_TEXT = 4096
COUNTS = ("episode_index", "length", "dataset_from_index", "dataset_to_index", "data/chunk_index", "data/file_index")


@dataclass(frozen=True)
class EpisodeRow:
    """Where an episode stands."""

    number: int
    instruction: str
    length: int  # rows, one more than actions
    data: Path
    row: int  # its first in that file
    video: Path | None  # without one the pictures stand in the rows
    video_begin: float  # seconds
    ours: tuple[str, int] | None  # task and seed, of sets that were written here


def read_episode_rows(info: SetInfo, camera: Camera) -> list[EpisodeRow]:
    """Raises UserError if the table is missing, or contradicts itself."""
    paths = sorted((info.folder / EPISODES).rglob("*.parquet"))
    found = [row for path in paths for row in _table(path, camera)]
    if not found:
        raise UserError(f"{info.folder}/{EPISODES} lists no episode; fetch the set again")
    firsts: dict[Path, int] = {}  # of each data file, the number of its first row in the whole set
    rows, at = [], 0
    for number, row in enumerate(found):
        _check(info.folder, number, at, row)
        data = info.data_file(row["data/chunk_index"], row["data/file_index"])
        begin = firsts.setdefault(data, at)
        rows.append(_row(info, camera, row, data, at - begin))
        at = row["dataset_to_index"]
    return rows


def _table(path: Path, camera: Camera) -> list[dict[str, Any]]:
    with parquet(path) as file:
        there = set(file.schema_arrow.names)
    wanted = [*COUNTS, "tasks", *(_video_columns(camera) if camera.is_video else ())]
    wanted += [name for name in (OUR_TASK, OUR_SEED) if name in there]
    return as_rows(read_rows(path, wanted), path)


def _video_columns(camera: Camera) -> tuple[str, str, str]:
    begin = f"videos/{camera.name}/"
    return f"{begin}chunk_index", f"{begin}file_index", f"{begin}from_timestamp"


def _check(folder: Path, number: int, at: int, row: dict[str, Any]) -> None:
    told = f"{folder}: episode {number} of {EPISODES}"
    wrong = [name for name in COUNTS if type(row[name]) is not int or not 0 <= row[name] < 2**40]
    if wrong:
        raise UserError(f"{told}: {wrong[0]} is {row[wrong[0]]!r}, not a whole number; fetch the set again")
    if row["episode_index"] != number or row["dataset_from_index"] != at:
        raise UserError(
            f"{told} has number {row['episode_index']} and begins at row {row['dataset_from_index']}, "
            f"expected {number} and {at}; fetch the set again"
        )
    if row["length"] != row["dataset_to_index"] - at or not 2 <= row["length"] <= LONGEST_EPISODE:
        raise UserError(
            f"{told} has {row['length']} rows; 2 to {LONGEST_EPISODE} are needed, as many as its indices say"
        )
    words = row["tasks"]
    if not isinstance(words, list) or not words or not all(isinstance(each, str) for each in words):
        raise UserError(f"{told} has no words that say what was asked for (tasks); record them")
    if not 0 < len(words[0]) <= LONGEST_TEXT:
        raise UserError(f"{told}: its instruction has {len(words[0])} characters; 1 to {LONGEST_TEXT} are needed")


def _row(info: SetInfo, camera: Camera, row: dict[str, Any], data: Path, first: int) -> EpisodeRow:
    video, begin = None, 0.0
    if camera.is_video:
        chunk, file, begin = (row[name] for name in _video_columns(camera))
        if (
            type(chunk) is not int
            or type(file) is not int
            or not isinstance(begin, float)
            or not 0 <= begin < MOST_ROWS
        ):
            raise UserError(f"{info.folder}: episode {row['episode_index']} has no place in a video; fetch it again")
        video = info.video_file(camera.name, chunk, file)
    task, seed = row.get(OUR_TASK), row.get(OUR_SEED)
    return EpisodeRow(
        number=row["episode_index"],
        instruction=row["tasks"][0],
        length=row["length"],
        data=data,
        row=first,
        video=video,
        video_begin=begin,
        ours=(task, seed) if isinstance(task, str) and type(seed) is int else None,
    )
