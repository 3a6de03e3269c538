"""Read LeRobot data sets of version 3 as `Episode`s (see `schema` for how rows and actions line up).

In: the folder of a set. Out: summaries of all its episodes, checked; whole episodes or windows of them, of which no
more is read than the row groups, or the part of the video, that hold them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa

from wovr_lab.episodes.lerobot.episodes import EpisodeRow, read_episode_rows
from wovr_lab.episodes.lerobot.schema import (
    ACTION,
    EPISODE,
    FRAME,
    LABELS,
    SIMULATOR,
    STATE,
    SUCCESS,
    TIME,
    Camera,
    SetInfo,
    read_info,
)
from wovr_lab.episodes.lerobot.tables import numbers, pictures, read_rows
from wovr_lab.episodes.lerobot.videos import read_video
from wovr_lab.episodes.reading import EpisodeSummary
from wovr_lab.episodes.schema import action_defects, latched
from wovr_lab.errors import UserError, warn
from wovr_lab.types import Episode

FURTHER = (STATE, SIMULATOR, LABELS)  # columns that a set may have beside its actions


@dataclass(frozen=True)
class LeRobotSummary(EpisodeSummary):
    """An episode, and where its rows and pictures are."""

    info: SetInfo
    camera: Camera
    place: EpisodeRow

    def columns(self, names: Sequence[str], first: int, stop: int) -> dict[str, np.ndarray]:
        """Its rows `first` to `stop` of these columns of numbers, float64 [rows, width]."""
        table = read_rows(self.place.data, names, self.place.row + first, stop - first)
        return _columns(table, self.info, self.place.data)


class LeRobotReader:
    """Reads what summaries of a set point at."""

    def window(self, summary: LeRobotSummary, start: int, length: int) -> Episode:
        """`length` actions from `start` on, with the frames and states before, between and after them."""
        columns = summary.columns((ACTION, *_among(summary.info, FURTHER)), start, start + length + 1)
        labels, state = columns.get(LABELS), columns.get(STATE)
        return Episode(
            task=summary.task,
            instruction=summary.instruction,
            seed=summary.seed,
            frames=self._frames(summary, start, start + length + 1),
            actions=columns[ACTION][:-1].astype(np.float32),
            success=_success(summary)[start : start + length],
            states=columns.get(SIMULATOR),
            expert_actions=None if labels is None else labels[:-1].astype(np.float32),
            proprio=None if state is None else state.astype(np.float32),
        )

    def actions(self, summary: LeRobotSummary) -> np.ndarray:
        """float32 [T, 7], those between two known frames."""
        return summary.columns((ACTION,), 0, summary.length)[ACTION].astype(np.float32)

    def anchor(self, summary: LeRobotSummary) -> np.ndarray:
        """The first frame, uint8 [H, W, 3]."""
        return self._frames(summary, 0, 1)[0]

    def _frames(self, summary: LeRobotSummary, first: int, stop: int) -> np.ndarray:
        place, camera = summary.place, summary.camera
        if place.video is None:
            return pictures(read_rows(place.data, (camera.name,), place.row + first, stop - first), camera, place.data)
        times = summary.columns((TIME,), first, stop)[TIME][:, 0]
        return read_video(place.video, camera, place.video_begin + times, fps=summary.info.fps)


@contextmanager
def reading(path: Path) -> Iterator[LeRobotReader]:
    """A reader; files are opened when something of them is asked for."""
    yield LeRobotReader()


def read_summaries(folder: Path, camera: str | None) -> list[EpisodeSummary]:
    """Validates a set and says what is in it, as `camera` shows it (the first, without a name).

    Raises UserError naming the first defect.
    """
    info = read_info(folder)
    chosen = info.camera(camera)
    if camera is None and len(info.cameras) > 1:
        others = ", ".join(each.name for each in info.cameras[1:])
        warn(f"{folder} has several cameras; {chosen.name} is read, not {others} (a camera can be named)")
    rows = read_episode_rows(info, chosen)
    if SUCCESS not in info.widths:
        warn(f"{folder} does not say which episodes succeed (no {SUCCESS}); none of them counts as a success")
    if any(row.ours is None for row in rows):
        warn(f"{folder} ends with actions whose outcome no picture shows; each episode is read without its last one")
    return [summary for data, own in groupby(rows, key=_data) for summary in _summaries(info, chosen, data, list(own))]


def _data(row: EpisodeRow) -> Path:
    return row.data


def _summaries(info: SetInfo, camera: Camera, data: Path, rows: list[EpisodeRow]) -> Iterator[LeRobotSummary]:
    """Those of one file, whose numbers are read once. Raises UserError if the rows of an episode are not its own, or
    hold what no robot does."""
    table = read_rows(data, (ACTION, EPISODE, FRAME, *_among(info, (SUCCESS, *FURTHER))))
    for row in rows:
        columns = _columns(table.slice(row.row, row.length), info, data)
        defects = _defects(columns, row)
        if defects:
            raise UserError(f"{info.folder}: episode {row.number}: {defects[0]}; fetch or record it again")
        task, seed = row.ours or (row.instruction, -1)
        yield LeRobotSummary(
            task=task,
            instruction=row.instruction,
            seed=seed,
            length=row.length - 1,
            success=bool(columns[SUCCESS][:-1].any()) if SUCCESS in columns else False,
            path=info.folder,
            index=row.number,
            frame_shape=(camera.height, camera.width, 3),
            info=info,
            camera=camera,
            place=row,
        )


def _defects(columns: dict[str, np.ndarray], row: EpisodeRow) -> list[str]:
    """What is wrong with the numbers of an episode."""
    if len(columns[ACTION]) != row.length:
        return [f"{row.data} ends within it"]
    defects = action_defects("actions", columns[ACTION][:-1])
    if (columns[EPISODE] != row.number).any() or (columns[FRAME][:, 0] != np.arange(row.length)).any():
        defects.append(f"rows {row.row} on of {row.data} are those of another")
    if LABELS in columns:
        defects += action_defects("expert actions", columns[LABELS][:-1])
    if STATE in columns and not np.isfinite(columns[STATE]).all():
        defects.append(f"{STATE} holds NaN or infinity")
    if SIMULATOR in columns and not np.isfinite(columns[SIMULATOR][:-1]).all():
        defects.append(f"{SIMULATOR} holds NaN or infinity (only the last may be unknown)")
    return defects


def _columns(table: pa.Table, info: SetInfo, path: Path) -> dict[str, np.ndarray]:
    """float64 [rows, width] by name."""
    return {name: numbers(table, name, width=info.widths.get(name, 1), path=path) for name in table.column_names}


def _among(info: SetInfo, names: Sequence[str]) -> list[str]:
    return [name for name in names if name in info.widths]


def _success(summary: LeRobotSummary) -> np.ndarray:
    """bool [T], latched; nowhere where the set does not say."""
    if SUCCESS not in summary.info.widths:
        return np.zeros(summary.length, bool)
    return latched(summary.columns((SUCCESS,), 0, summary.length)[SUCCESS][:, 0])
