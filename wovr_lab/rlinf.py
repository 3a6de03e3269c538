"""Starts in RLinf's files: `trajN.npy` holds an initial frame, `*_kir.npy` a keyframe's context (paper section 3, KIR).

In and out: one file a start, an object array of frames, each a dictionary (`image` uint8 [H, W, 3], upright;
`delta_action` float [7], which led to it; `instruction`); the first is o_0, the last four are o_{k-3..k}. Object arrays
are pickles, which may run anything: they are read by an unpickler that knows arrays and plain containers, no more.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import re
import tokenize
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from wovr_lab.borders import as_floats, as_path
from wovr_lab.errors import UserError
from wovr_lab.runs import replacing
from wovr_lab.types import ACTION_DIM, MEMORY, NOOP, Start

LARGEST_FILE = 2**28  # bytes; a long trajectory of large pictures
LARGEST_NUMBER = 2**20  # of a pickle's own numbering of what it holds
NUMBERING = ("PUT", "BINPUT", "LONG_BINPUT")
DAMAGE = (
    ValueError, TypeError, EOFError, IndexError, KeyError, AttributeError, ImportError, OverflowError, RecursionError,
    pickle.UnpicklingError, tokenize.TokenError,
)  # fmt: skip
KIR = "_kir"


def _empty_array(kind: Any, shape: Any, letter: Any) -> np.ndarray:
    """What NumPy's pickles begin every array with; its contents come afterwards, and no more than the file has."""
    if shape != (0,):
        raise UserError(f"it asks for an empty array of {shape}; do not trust this file")
    return np.ndarray((0,), letter)


ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): "ndarray",  # named only, never called
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _empty_array,
    ("numpy._core.multiarray", "_reconstruct"): _empty_array,
    ("numpy.core.multiarray", "scalar"): np.dtype("f8").type(0).__reduce__()[0],
    ("numpy._core.multiarray", "scalar"): np.dtype("f8").type(0).__reduce__()[0],
}


class _ArraysOnly(pickle.Unpickler):
    """Builds arrays, numbers, strings, lists, tuples and dictionaries; refuses to look up anything else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ADMITTED:
            raise UserError(f"it asks for {module}.{name}, which is no array; do not trust this file")
        return ADMITTED[module, name]


def import_start(path: Path | str) -> Start:
    """The start in a file; a keyframe's k is read from its name (`step_K_...`) or counted from its frames.

    Raises UserError, having run nothing, if the file holds anything but such frames.
    """
    path = as_path(path)
    frames = _read_frames(path)
    is_keyframe = path.stem.endswith(KIR)
    memory = frames[-MEMORY:] if is_keyframe else frames[:1] * MEMORY
    named = re.search(r"step_(\d+)", path.stem)
    words = frames[0].get("instruction", frames[0].get("task", ""))
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
        array = _read_object_array(io.BytesIO(path.read_bytes()))
        return _checked(list(array.ravel()), 1 + MEMORY if path.stem.endswith(KIR) else 1)
    except UserError as error:
        raise UserError(f"{path} cannot be used as a start: {error}") from error
    except DAMAGE as error:
        raise UserError(f"{path} is damaged or no .npy file of frames ({error}); fetch it again") from error


def _read_object_array(file: BinaryIO) -> np.ndarray:
    version = npy.read_magic(file)
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    _, _, dtype = read_header(file)
    if not dtype.hasobject:
        raise UserError(f"it holds plain {dtype} numbers, not frames")
    begin = file.tell()
    _check_claims(file)
    file.seek(begin)
    array = _ArraysOnly(file).load()
    if not isinstance(array, np.ndarray):
        raise UserError("it holds no array")
    return array


def _check_claims(file: BinaryIO) -> None:
    """Reads a pickle without building anything. Raises ValueError or UserError where it announces more than it brings:
    the unpickler sets memory aside for what is announced."""
    for opcode, value, _ in pickletools.genops(file):
        if opcode.name in NUMBERING and value > LARGEST_NUMBER:
            raise UserError(f"it numbers something {value}; do not trust this file")
        if opcode.name == "FRAME" and value > LARGEST_FILE:
            raise UserError(f"it announces {value} bytes; do not trust this file")


def _checked(frames: list[Any], least: int) -> list[dict[str, Any]]:
    if len(frames) < least:
        raise UserError(f"it holds {len(frames)} frames, {least} are needed")
    for frame in frames:
        image = frame.get("image") if isinstance(frame, dict) else None
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise UserError("each frame must be a dictionary with 'image' uint8 [H, W, 3]")
        if not image.size:
            raise UserError(f"its frames have no pixels: {image.shape}")
        if not isinstance(frame.get("instruction", frame.get("task", "")), str):
            raise UserError("an 'instruction' must be text")
        if image.shape != frames[0]["image"].shape:
            raise UserError(f"its frames differ in size: {image.shape} and {frames[0]['image'].shape}")
        as_floats(
            frame.get("delta_action", NOOP),
            f"a 'delta_action' must be {ACTION_DIM} finite numbers; these",
            (ACTION_DIM,),
        )
    return frames
