"""Starts in RLinf's files: `trajN.npy` holds an initial frame, `*_kir.npy` a keyframe's context (paper section 3, KIR).

In and out: one file a start, an object array of frames, each a dictionary (`image` uint8 [H, W, 3], upright;
`delta_action` float [7], which led to it; `instruction`); the first is o_0, the last four are o_{k-3..k}. Object arrays
are pickles, which may run anything: they are read by an unpickler that knows arrays and plain containers, no more.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from wovr_lab.borders import as_path
from wovr_lab.errors import UserError
from wovr_lab.runs import replacing
from wovr_lab.types import ACTION_DIM, MEMORY, NOOP, Start

LARGEST_FILE = 2**30  # bytes
KIR = "_kir"
ADMITTED = {
    (module, name)
    for module, names in {
        "numpy": ("ndarray", "dtype"),
        "numpy.core.multiarray": ("_reconstruct", "scalar"),
        "numpy._core.multiarray": ("_reconstruct", "scalar"),
    }.items()
    for name in names
}


class _ArraysOnly(pickle.Unpickler):
    """Builds arrays, numbers, strings, lists, tuples and dictionaries; refuses to look up anything else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ADMITTED:
            raise UserError(f"it asks for {module}.{name}, which is no array; do not trust this file")
        return super().find_class(module, name)


def import_start(path: Path | str) -> Start:
    """The start in a file; a keyframe's k is read from its name (`step_K_...`) or counted from its frames.

    Raises UserError, having run nothing, if the file holds anything but such frames.
    """
    path = as_path(path)
    frames = _read_frames(path)
    is_keyframe = path.stem.endswith(KIR)
    memory = frames[-MEMORY:] if is_keyframe else frames[:1] * MEMORY
    named = re.search(r"step_(\d+)", path.stem)
    words = str(frames[0].get("instruction", frames[0].get("task", "")))
    produced = [frame.get("delta_action", NOOP) for frame in memory] if is_keyframe else [NOOP] * MEMORY
    return Start(
        task=words,
        instruction=words,
        anchor=frames[0]["image"],
        memory=np.stack([frame["image"] for frame in memory]),
        memory_actions=np.stack(produced).astype(np.float32),
        step=(int(named.group(1)) if named else len(frames) - 1) if is_keyframe else 0,
    )


def export_starts(folder: Path | str, starts: Sequence[Start]) -> list[Path]:
    """Writes each start as `trajN.npy`, keyframes as `step_K_trajN_kir.npy`; returns the paths."""
    paths, folder = [], as_path(folder)
    for number, start in enumerate(starts):
        frames = [_frame(start.anchor, NOOP, start.instruction)]
        name = f"traj{number}.npy"
        if start.step:
            pairs = zip(start.memory, start.memory_actions, strict=True)
            frames += [_frame(image, action, start.instruction) for image, action in pairs]
            name = f"step_{start.step}_traj{number}{KIR}.npy"
        array = np.empty(len(frames), object)
        array[:] = frames
        with replacing(folder / name) as partial, partial.open("wb") as file:
            np.save(file, array)
        paths.append(folder / name)
    return paths


def _frame(image: np.ndarray, action: np.ndarray, instruction: str) -> dict[str, Any]:
    return {"image": image, "delta_action": np.asarray(action, np.float32), "instruction": instruction}


def _read_frames(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        raise UserError(f"{path} does not exist; give RLinf's traj*.npy or *{KIR}.npy")
    if path.stat().st_size > LARGEST_FILE:
        raise UserError(f"{path} has more than {LARGEST_FILE} bytes, far more than a start needs; give another file")
    try:
        with path.open("rb") as file:
            array = _read_object_array(file)
        return _checked(list(array.ravel()), 1 + MEMORY if path.stem.endswith(KIR) else 1)
    except UserError as error:
        raise UserError(f"{path} cannot be used as a start: {error}") from error
    except (ValueError, TypeError, EOFError, IndexError, KeyError, AttributeError, pickle.UnpicklingError) as error:
        raise UserError(f"{path} is damaged or no .npy file of frames ({error}); fetch it again") from error


def _read_object_array(file: BinaryIO) -> np.ndarray:
    version = npy.read_magic(file)
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    _, _, dtype = read_header(file)
    if not dtype.hasobject:
        raise UserError(f"it holds plain {dtype} numbers, not frames")
    array = _ArraysOnly(file).load()
    if not isinstance(array, np.ndarray):
        raise UserError("it holds no array")
    return array


def _checked(frames: list[Any], least: int) -> list[dict[str, Any]]:
    if len(frames) < least:
        raise UserError(f"it holds {len(frames)} frames, {least} are needed")
    for frame in frames:
        image = frame.get("image") if isinstance(frame, dict) else None
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise UserError("each frame must be a dictionary with 'image' uint8 [H, W, 3]")
        if image.shape != frames[0]["image"].shape:
            raise UserError(f"its frames differ in size: {image.shape} and {frames[0]['image'].shape}")
        action = frame.get("delta_action", NOOP)
        if np.shape(action) != (ACTION_DIM,) or not np.isfinite(np.asarray(action, np.float64)).all():
            raise UserError(f"a 'delta_action' must be {ACTION_DIM} finite numbers")
    return frames
