"""Read demonstrations, ours and LIBERO's, as `Episode`s whose frames, actions and states are in step (see `schema`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from wovr_lab.episodes.schema import (
    FINAL_STATE,
    FRAMES,
    INITIAL_FRAME,
    INITIAL_PROPRIO,
    OURS,
    PROPRIO,
    READINGS,
    SUCCESS,
    first_action,
    first_frame,
    is_ours,
    latched,
    pictures_come_first,
    shown_actions,
    turned,
)
from wovr_lab.episodes.validation import demonstration_names, validate_file, words_of
from wovr_lab.errors import UserError, warn
from wovr_lab.types import Episode

MOST_DEFECTS_SHOWN = 10


@dataclass(frozen=True)
class EpisodeSummary:
    """What can be known of a stored episode without reading its frames."""

    task: str
    instruction: str
    seed: int  # of the initial state; -1 if unknown
    length: int  # actions
    success: bool
    path: Path
    index: int  # demo_INDEX in the file
    frame_shape: tuple[int, int, int]  # H, W, 3


class FileReader:
    """An open demonstration file, which gives what summaries of it point at."""

    def __init__(self, file: h5py.File):
        self.file = file

    def window(self, summary: EpisodeSummary, start: int, length: int) -> Episode:
        """`length` actions from `start` on, with the frames and states before, between and after them."""
        return read_window(self._of(summary), summary, start, length)

    def actions(self, summary: EpisodeSummary) -> np.ndarray:
        """float32 [T, 7], those between two known frames."""
        return read_actions(self._of(summary))

    def anchor(self, summary: EpisodeSummary) -> np.ndarray:
        """The first frame, uint8 [H, W, 3]."""
        return read_frames(self._of(summary), 0, 0)[0]

    def _of(self, summary: EpisodeSummary) -> h5py.Group:
        return self.file[f"data/demo_{summary.index}"]


@contextmanager
def reading(path: Path) -> Iterator[FileReader]:
    """The open file. Raises UserError if it has become unreadable since it was validated."""
    try:
        with h5py.File(path, "r") as file:
            yield FileReader(file)
    except (OSError, KeyError) as error:
        raise UserError(f"{path} can no longer be read ({error}); restore it or collect its episodes again") from error


def read_summaries(path: Path) -> list[EpisodeSummary]:
    """Validates a file and says what is in it. Raises UserError listing its defects."""
    defects = validate_file(path)
    if defects:
        shown = "\n".join(f"- {defect}" for defect in defects[:MOST_DEFECTS_SHOWN])
        more = f"\n- and {len(defects) - MOST_DEFECTS_SHOWN} more" if len(defects) > MOST_DEFECTS_SHOWN else ""
        raise UserError(
            f"{path} cannot be used as episodes:\n{shown}{more}\n"
            "Restore it, or delete it and collect its episodes again, or give another file"
        )
    with reading(path) as reader:
        data = reader.file["data"]
        if any(pictures_come_first(data[name]) for name in demonstration_names(data)):
            warn(f"{path} keeps pictures before actions; the outcome of each last action is not shown, and left out")
        return [_summary(data, name, path) for name in demonstration_names(data)]


def _summary(data: h5py.Group, name: str, path: Path) -> EpisodeSummary:
    demonstration = data[name]
    if is_ours(demonstration):
        attributes = demonstration[OURS].attrs
        task, instruction, seed = attributes["task"], attributes["instruction"], int(attributes["seed"])
    else:
        task, instruction, seed = path.stem.removesuffix("_demo"), words_of(data, path), -1
    success = read_success(demonstration)
    return EpisodeSummary(
        task=str(task),
        instruction=str(instruction),
        seed=seed,
        length=len(success),
        success=bool(success[-1]),
        path=path,
        index=int(name.removeprefix("demo_")),
        frame_shape=demonstration[FRAMES].shape[1:],
    )


def read_success(demonstration: h5py.Group) -> np.ndarray:
    """bool [T], latched. Official files mark it in `rewards`; their `dones` mark the end, reached or not."""
    if is_ours(demonstration):
        return demonstration[SUCCESS][()].astype(bool)
    return latched(demonstration["rewards"][()] > 0)[shown_actions(demonstration)]


def read_actions(demonstration: h5py.Group) -> np.ndarray:
    """float32 [T, 7], those between two known frames."""
    return demonstration["actions"][shown_actions(demonstration)].astype(np.float32)


def read_frames(demonstration: h5py.Group, first: int, last: int) -> np.ndarray:
    """uint8 [last - first + 1, H, W, 3], upright: the frames before action `first` to after action `last - 1`."""
    shift = first_frame(demonstration)  # frame t of the episode is obs[t + shift] on disk
    stored = demonstration[FRAMES][max(first + shift, 0) : last + shift + 1]
    if first + shift < 0:
        stored = np.concatenate([demonstration[INITIAL_FRAME][()][None], stored])
    return np.ascontiguousarray(turned(stored))


def read_states(demonstration: h5py.Group, first: int, last: int) -> np.ndarray | None:
    """float64 [last - first + 1, S], the states at those frames; NaN where the file does not know the last one."""
    if "states" not in demonstration:
        return None
    shift = first_action(demonstration)
    states = demonstration["states"][first + shift : last + shift + 1].astype(np.float64)
    if len(states) == last - first + 1:
        return states
    known = FINAL_STATE in demonstration
    final = demonstration[FINAL_STATE][()] if known else np.full(states.shape[1], np.nan)
    return np.concatenate([states, final[None]])


def read_proprio(demonstration: h5py.Group, first: int, last: int) -> np.ndarray | None:
    """float32 [last - first + 1, D], the robot's own states at those frames, where the file has them."""
    if PROPRIO in demonstration:
        before = [demonstration[INITIAL_PROPRIO][()][None]] if first == 0 else []
        stored = demonstration[PROPRIO][max(first - 1, 0) : last]
        return np.concatenate([*before, stored]).astype(np.float32)
    if is_ours(demonstration) or any(name not in demonstration for name in READINGS):
        return None
    return np.concatenate([demonstration[name][first : last + 1] for name in READINGS], 1).astype(np.float32)


def read_window(demonstration: h5py.Group, summary: EpisodeSummary, start: int, length: int) -> Episode:
    """`length` actions from `start` on, with the frames and states before, between and after them."""
    stop, shift = start + length, first_action(demonstration)
    has_labels = is_ours(demonstration) and "expert_actions" in demonstration
    labels = demonstration["expert_actions"][start:stop].astype(np.float32) if has_labels else None
    return Episode(
        task=summary.task,
        instruction=summary.instruction,
        seed=summary.seed,
        frames=read_frames(demonstration, start, stop),
        actions=demonstration["actions"][start + shift : stop + shift].astype(np.float32),
        success=read_success(demonstration)[start:stop],
        states=read_states(demonstration, start, stop),
        expert_actions=labels,
        proprio=read_proprio(demonstration, start, stop),
    )
