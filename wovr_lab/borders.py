"""What comes in from outside, taken where it can be understood and refused with one message where it cannot.

Paths may be text, `~` means the home folder. Arrays may be lists, tensors, views with negative strides and of another
width; dictionaries, text, ragged lists, complex numbers and objects are no arrays.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from wovr_lab.errors import UserError

NUMBERS = "biuf"  # NumPy kinds: truth values, whole numbers, whole numbers without a sign, floating point


def as_path(value: str | os.PathLike[str], what: str = "a path") -> Path:
    """`value` as a path, with `~` expanded. Raises UserError on what is no path, or if there is no home folder."""
    if not isinstance(value, str | os.PathLike):
        raise UserError(f"{what} must be a path or text, not {type(value).__name__}: {str(value)[:80]}")
    text = os.fspath(value)
    if not isinstance(text, str) or not text or "\0" in text:
        raise UserError(f"{what} must not be empty or hold a null character: {text!r}")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise UserError(f"{text}: the home folder is not known here ({error}); write the whole path") from error


def as_array(value: Any, what: str, kinds: str = NUMBERS) -> np.ndarray:
    """`value` as an array of numbers of these NumPy kinds, contiguous. Raises UserError naming what was expected."""
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        value = value.float().numpy() if value.is_floating_point() else value.resolve_conj().numpy()
    if not isinstance(value, np.ndarray | np.generic | list | tuple | bool | int | float):
        raise UserError(f"{what} must be an array of numbers, not {type(value).__name__}: {str(value)[:60]}")
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise UserError(f"{what} must be an array of numbers, of one shape throughout ({error})") from error
    if array.dtype.kind not in kinds:
        raise UserError(f"{what} must be an array of numbers, this one is {array.dtype} {array.shape}")
    return np.ascontiguousarray(array) if array.ndim else array


def as_floats(value: Any, what: str, shape: tuple[int, ...]) -> np.ndarray:
    """`value` as float32 of exactly that shape. Raises UserError if it is of another, or holds NaN or infinity."""
    array = as_array(value, what)
    if array.shape != shape:
        raise UserError(f"{what} have shape {array.shape}, {shape} is needed")
    with np.errstate(over="ignore"):
        array = array.astype(np.float32)
    if not np.isfinite(array).all():
        raise UserError(f"{what} contain NaN or infinity; check what produced them")
    return array


def as_actions(value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """`value` as actions float32 of exactly that shape. Raises UserError as `as_floats` does, and outside [-1, 1]."""
    actions = as_floats(value, "actions", shape)
    if np.abs(actions).max() > 1.0 + 1e-6:
        raise UserError(f"actions reach {np.abs(actions).max():.3g}, the range is [-1, 1]; clip or rescale them")
    return actions


def as_frames(value: Any, what: str = "frames") -> np.ndarray:
    """`value` as uint8 [..., H, W, 3]; whole numbers from 0 to 255 of another width are taken, floats are not."""
    array = as_array(value, what)
    if array.dtype != np.uint8:
        whole = array.dtype.kind in "iu" and array.size and array.min() >= 0 and array.max() <= 255
        array = array.astype(np.uint8) if whole else array
    if array.dtype != np.uint8 or array.ndim < 3 or array.shape[-1] != 3:
        raise UserError(f"{what} must be uint8 [..., H, W, 3], these are {array.dtype} {array.shape}")
    return array


def as_texts(value: Any, what: str, count: int) -> tuple[str, ...]:
    """`value` as `count` texts. Raises UserError on a single text, another number of them, or what is no text."""
    if isinstance(value, str) or not isinstance(value, list | tuple | np.ndarray):
        raise UserError(f"{what} must be a tuple of texts, one a row, not {type(value).__name__} {str(value)[:60]!r}")
    wrong = [each for each in value if not isinstance(each, str)]
    if wrong or len(value) != count:
        raise UserError(f"{what} must be {count} texts, one a row, these are {len(value)} ({str(value)[:80]})")
    return tuple(map(str, value))
