"""An episode as the columns of a LeRobot set, and what the set says of each column.

In: an `Episode`. Out: one row more than it has actions of each column, as arrays and as parquet keeps them.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from wovr_lab.episodes.lerobot.schema import (
    ACTION,
    ACTION_NAMES,
    DONE,
    EPISODE,
    FRAME,
    LABELS,
    ROW,
    SIMULATOR,
    STATE,
    SUCCESS,
    TASK,
    TIME,
)
from wovr_lab.types import ACTION_DIM, Episode

FRAMES = "frames"  # the layout's name for pictures, of whatever camera
SINGLE = {TIME: "float32", SUCCESS: "bool", DONE: "bool", FRAME: "int64", EPISODE: "int64", ROW: "int64", TASK: "int64"}
SEVERAL = {ACTION: "float32", STATE: "float32", SIMULATOR: "float64", LABELS: "float32"}
PICTURE = pa.struct({"bytes": pa.binary(), "path": pa.string()})
Layout = dict[str, tuple[int, ...]]


def layout(episode: Episode) -> Layout:
    """The sizes that all episodes of a set share: [H, W, 3] of a picture, and how many numbers a row has."""
    further = {STATE: episode.proprio, SIMULATOR: episode.states, LABELS: episode.expert_actions}
    sizes = {name: values.shape[1:] for name, values in further.items() if values is not None}
    return {FRAMES: episode.frames.shape[1:], ACTION: (ACTION_DIM,), **sizes}


def columns_of(episode: Episode) -> dict[str, np.ndarray]:
    """What the episode itself says, [T + 1, ...] each. The last action stands still, the gripper as it was."""
    length = len(episode)
    stay = np.zeros((1, ACTION_DIM), np.float32)
    stay[0, -1] = episode.actions[-1, -1]
    columns = {ACTION: np.concatenate([episode.actions, stay])}
    if episode.proprio is not None:
        columns[STATE] = episode.proprio
    if episode.states is not None:
        columns[SIMULATOR] = episode.states
    if episode.expert_actions is not None:
        columns[LABELS] = np.concatenate([episode.expert_actions, stay])
    columns[SUCCESS] = np.append(episode.success, episode.success[-1]).astype(bool)
    columns[DONE] = np.arange(length + 1) >= length - 1
    return columns


def array(name: str, values: np.ndarray) -> pa.Array:
    """A column as parquet keeps it: rows of several numbers are lists of that length, rows of one are numbers."""
    if name in SINGLE:
        return pa.array(values.astype(SINGLE[name]))
    flat = pa.array(values.astype(SEVERAL[name]).reshape(-1))
    return flat if values.shape[1] == 1 else pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


def packed(frames: np.ndarray) -> pa.Array:
    """Pictures uint8 [T + 1, H, W, 3] as PNG."""
    return pa.array([{"bytes": _png(frame), "path": f"frame-{n:06d}.png"} for n, frame in enumerate(frames)], PICTURE)


def _png(frame: np.ndarray) -> bytes:
    with BytesIO() as out:
        Image.fromarray(frame).save(out, "PNG")
        return out.getvalue()


def features(sizes: Layout, state_names: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """What `info.json` says of each column of numbers; names of the state's entries where there is one for each."""
    names = {ACTION: ACTION_NAMES, LABELS: ACTION_NAMES}
    if (len(state_names),) == sizes.get(STATE):
        names[STATE] = state_names
    several = {
        name: {"dtype": SEVERAL[name], "shape": list(size), "names": list(names[name]) if name in names else None}
        for name, size in sizes.items()
        if name in SEVERAL
    }
    return several | {name: {"dtype": kind, "shape": [1], "names": None} for name, kind in SINGLE.items()}
