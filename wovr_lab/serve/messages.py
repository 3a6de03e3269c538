"""What goes over the wire: msgpack, with arrays as openpi packs them. In and out: bytes and dictionaries of arrays.

An array is {"__ndarray__": true, "data": bytes, "dtype": "<f4", "shape": [...]}, whose keys may be bytes or text.
"""

from __future__ import annotations

import math
from typing import Any

import msgpack
import numpy as np

from wovr_lab.errors import UserError

LARGEST = 2**26  # bytes of a message; 64 starts of 128 x 128 pixels are 16 million
_KINDS = [np.dtype(code).newbyteorder(order) for order in "><=" for code in "?bBhHiIqQefd"]
PLAIN = {name: kind for kind in _KINDS for name in (kind.str, kind.name)}  # no objects, no text, no fields
MOST_DIMENSIONS = 8


def pack(value: Any) -> bytes:
    """Dictionaries, lists, text, numbers and arrays of plain numbers as bytes."""
    return msgpack.packb(value, default=_packed)


def unpack(message: bytes | str) -> Any:
    """The inverse of `pack`. Raises UserError on text, on bytes that are no message, and on arrays of objects."""
    if isinstance(message, str):
        raise UserError(f"a message must be msgpack bytes, not text: {message[:60]!r}")
    try:
        return msgpack.unpackb(message, object_hook=_unpacked, strict_map_key=False)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise UserError(f"a message of {len(message)} bytes is no msgpack of plain arrays ({error})") from error


def _packed(value: Any) -> dict[bytes, Any]:
    if isinstance(value, np.ndarray) and value.dtype.str in PLAIN:
        return {b"__ndarray__": True, b"data": value.tobytes(), b"dtype": value.dtype.str, b"shape": value.shape}
    if isinstance(value, np.generic) and value.dtype.str in PLAIN:
        return {b"__npgeneric__": True, b"data": value.item(), b"dtype": value.dtype.str}
    raise TypeError(f"{type(value).__name__} cannot be sent; send plain numbers")


def _unpacked(found: dict[Any, Any]) -> Any:
    named = {name.decode() if isinstance(name, bytes) else name: value for name, value in found.items()}
    if "__ndarray__" in named:
        return _array(named)
    if "__npgeneric__" in named:
        return _number(named)
    return found


def _array(named: dict[str, Any]) -> np.ndarray:
    kind, shape = _plain(named["dtype"]), tuple(named["shape"])
    if len(shape) > MOST_DIMENSIONS or not all(type(size) is int and size >= 0 for size in shape):
        raise ValueError(f"an array of shape {shape}")
    if math.prod(shape) * kind.itemsize != len(named["data"]):
        raise ValueError(f"an array of {len(named['data'])} bytes that says it is {kind} {shape}")
    return np.frombuffer(named["data"], kind).reshape(shape).copy()  # bytes cannot be written to


def _number(named: dict[str, Any]) -> np.generic:
    if not isinstance(named["data"], bool | int | float):
        raise ValueError(f"a number that is {type(named['data']).__name__}")
    return _plain(named["dtype"]).type(named["data"])


def _plain(name: Any) -> np.dtype:
    """The type of that name; NumPy itself would take the name for a small language."""
    text = name.decode() if isinstance(name, bytes) else name
    if text not in PLAIN:
        raise ValueError(f"an array of {str(text)[:40]!r}")
    return PLAIN[text]
