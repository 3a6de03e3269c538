"""Write episodes as a LeRobot data set of version 3 (see `schema`).

In: `Episode`s, one at a time. Out: a folder that is either whole or not there, and replaces none but an earlier set of
ours. Small pictures are PNG in the parquet files, larger ones a video; both keep every pixel as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from wovr_lab.episodes.lerobot import schema
from wovr_lab.episodes.lerobot.columns import array, columns_of, features, layout, packed
from wovr_lab.episodes.lerobot.schema import CAMERA, WHAT, SetCard, filled
from wovr_lab.episodes.lerobot.statistics import SetStatistics
from wovr_lab.episodes.lerobot.videos import VideoFile
from wovr_lab.episodes.writing import episode_defects
from wovr_lab.errors import UserError
from wovr_lab.outputs import claim_folder, replacing
from wovr_lab.runs import write_json
from wovr_lab.types import Episode

SMALLEST_VIDEO = 128  # pixels a side; below, a video saves nothing
LARGEST_DATA, LARGEST_VIDEO = 100 * 2**20, 200 * 2**20  # bytes of a file, after which the next one begins


def write_lerobot(folder: Path, episodes: Iterable[Episode], card: SetCard | None = None) -> int:
    """Writes the set and returns how many episodes it has.

    Raises UserError, leaving `folder` as it was, if there are none, if one is malformed or unlike the others, if the
    disk is full, or (before the first is asked for) if something else is there.
    """
    folder = claim_folder(folder, WHAT)
    with replacing(folder, WHAT) as partial:
        partial.mkdir()
        writer = _SetWriter(partial, card or SetCard())
        for number, episode in enumerate(episodes):
            defects = episode_defects(episode) or writer.differences(episode)
            if defects:
                raise UserError(f"cannot write episode {number} to {folder}: {'; '.join(defects)}")
            writer.add(episode)
        if not writer.rows:
            raise UserError(f"there are no episodes to write to {folder}; collect some first")
        writer.finish()
    return len(writer.metas)


class _SetWriter:
    """Puts episode after episode into the files of a set."""

    def __init__(self, folder: Path, card: SetCard):
        self.folder, self.card = folder, card
        self.metas: list[dict[str, Any]] = []
        self.rows = 0
        self.words: dict[str, int] = {}
        self.statistics = SetStatistics()
        self.layout: dict[str, tuple[int, ...]] = {}
        self.data: pq.ParquetWriter | None = None
        self.video: VideoFile | None = None
        self.data_files = self.video_files = 0

    def differences(self, episode: Episode) -> list[str]:
        """What sets this episode apart from those before, which the columns of one set cannot hold."""
        own = layout(episode)
        known = self.layout = self.layout or own
        return [
            f"{name} is {own.get(name, 'missing')}, in those before {known.get(name, 'missing')}; convert it apart"
            for name in sorted(own.keys() | known.keys())
            if own.get(name) != known.get(name)
        ]

    def add(self, episode: Episode) -> None:
        """Appends its rows, its pictures and its line in the table of episodes."""
        number, length = len(self.metas), len(episode) + 1
        columns = columns_of(episode) | {
            schema.TIME: (np.arange(length) / self.card.fps).astype(np.float32),
            schema.FRAME: np.arange(length),
            schema.EPISODE: np.full(length, number),
            schema.ROW: np.arange(self.rows, self.rows + length),
            schema.TASK: np.full(length, self.words.setdefault(episode.instruction, len(self.words))),
        }
        place = self._write_video(episode.frames) if self.is_video else {}
        place |= self._write_rows(columns, episode.frames)
        stats = self.statistics.add(columns, CAMERA, episode.frames)
        told = {
            "episode_index": number,
            "tasks": [episode.instruction],
            "length": length,
            "dataset_from_index": self.rows,
            "dataset_to_index": self.rows + length,
            "meta/episodes/chunk_index": 0,
            "meta/episodes/file_index": 0,
            schema.OUR_TASK: episode.task,
            schema.OUR_SEED: int(episode.seed),
        }
        spreads = {f"stats/{name}/{key}": value for name, each in stats.items() for key, value in each.items()}
        self.metas.append(told | place | spreads)
        self.rows += length

    @property
    def is_video(self) -> bool:
        """Whether pictures are large enough for a video."""
        return min(self.layout["frames"][:2]) >= SMALLEST_VIDEO

    def _write_rows(self, columns: dict[str, np.ndarray], frames: np.ndarray) -> dict[str, int]:
        arrays = {name: array(name, values) for name, values in columns.items()}
        if not self.is_video:
            arrays = {CAMERA: packed(frames), **arrays}
        table = pa.table(arrays)
        path = self._path(schema.DATA_PATH, self.data_files)
        if self.data is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.data = pq.ParquetWriter(path, table.schema)
        self.data.write_table(table, row_group_size=len(table))  # one row group an episode
        place = {"data/chunk_index": self.data_files // schema.CHUNK, "data/file_index": self.data_files % schema.CHUNK}
        if path.stat().st_size > LARGEST_DATA:
            self.data.close()
            self.data, self.data_files = None, self.data_files + 1
        return place

    def _write_video(self, frames: np.ndarray) -> dict[str, int | float]:
        path = self._path(schema.VIDEO_PATH, self.video_files)
        if self.video is None:
            self.video = VideoFile(path, self.card.fps, *frames.shape[1:3])
        begin = self.video.add(frames)
        place = {
            f"videos/{CAMERA}/chunk_index": self.video_files // schema.CHUNK,
            f"videos/{CAMERA}/file_index": self.video_files % schema.CHUNK,
            f"videos/{CAMERA}/from_timestamp": begin,
            f"videos/{CAMERA}/to_timestamp": begin + len(frames) / self.card.fps,
        }
        if path.stat().st_size > LARGEST_VIDEO:
            self.video.close()
            self.video, self.video_files = None, self.video_files + 1
        return place

    def _path(self, pattern: str, number: int) -> Path:
        chunk, file = divmod(number, schema.CHUNK)
        return self.folder / filled(pattern, video_key=CAMERA, chunk_index=chunk, file_index=file)

    def finish(self) -> None:
        """Closes the files and writes what is known only now."""
        for file in (self.data, self.video):
            if file is not None:
                file.close()
        episodes = self._path(schema.EPISODES_PATH, 0)
        episodes.parent.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(self.metas), episodes)
        pq.write_table(_tasks(self.words), self.folder / schema.TASKS)
        write_json(self.folder / schema.STATS, self.statistics.total())
        write_json(self.folder / schema.INFO, self._info())

    def _info(self) -> dict[str, Any]:
        height, width = self.layout["frames"][:2]
        picture = {
            "dtype": "video" if self.is_video else "image",
            "shape": [height, width, 3],
            "names": ["height", "width", "channels"],
        }
        if self.is_video:
            picture["info"] = {
                "video.height": height,
                "video.width": width,
                "video.codec": "h264",
                "video.pix_fmt": "gbrp",
                "video.fps": self.card.fps,
                "video.channels": 3,
                "video.is_depth_map": False,
                "has_audio": False,
            }
        return {
            "codebase_version": schema.VERSION,
            "robot_type": self.card.robot_type,
            "total_episodes": len(self.metas),
            "total_frames": self.rows,
            "total_tasks": len(self.words),
            "chunks_size": schema.CHUNK,
            "data_files_size_in_mb": LARGEST_DATA // 2**20,
            "video_files_size_in_mb": LARGEST_VIDEO // 2**20,
            "fps": self.card.fps,
            "splits": {"train": f"0:{len(self.metas)}"},
            "data_path": schema.DATA_PATH,
            "video_path": schema.VIDEO_PATH if self.is_video else None,
            "features": {CAMERA: picture, **features(self.layout, self.card.state_names)},
        }


def _tasks(words: dict[str, int]) -> pa.Table:
    """The tasks by their words, which LeRobot reads as the index of a pandas table."""
    table = pa.table({"task_index": pa.array(words.values(), pa.int64()), "task": pa.array(words, pa.string())})
    column = {"metadata": None, "field_name": None}
    described = {
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": [
            {"name": "task_index", "pandas_type": "int64", "numpy_type": "int64", **column, "field_name": "task_index"},
            {"name": "task", "pandas_type": "unicode", "numpy_type": "object", **column, "field_name": "task"},
        ],
        "pandas_version": "2.0.0",
    }
    return table.replace_schema_metadata({b"pandas": json.dumps(described).encode()})
