"""Damaged and hostile .npy files of objects, which are pickles (see `mutations`); and what takes a value's place."""

from __future__ import annotations

import io
import pickle
import struct
from typing import Any

import numpy as np

VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 7, 1.5, -2.5, 1e308, 2**31, 10**30, "", "x", "1", "../../etc/passwd", "\ud800",
    "ß" * 300, [], [1], ["x"], [[]], {}, {"x": 1}, [None] * 3, {"": {}},
)  # fmt: skip


def change_pickle(content: bytes, rng: np.random.Generator) -> bytes:
    """Frames of RLinf's of which one entry is another, or which are fewer."""
    array = np.load(io.BytesIO(content), allow_pickle=True)
    frame = array[rng.integers(len(array))]
    key, image = str(rng.choice(sorted(frame))), frame["image"]
    laughs: Any = ["ha"]
    for _ in range(60):
        laughs = [laughs, laughs]
    values = (
        *VALUES, laughs, image[:0], image[:, :0], image.astype(float), image[..., :2], image[::-1], b"x", 1j,
        np.zeros(7), np.full(7, np.nan), ["1"] * 7, [1j] * 7, np.array(["a"] * 7), np.float64(3), (1, 2),
        np.zeros((7, 1)), [[1], [2, 3]],
    )  # fmt: skip
    frame[key] = values[rng.integers(len(values))]
    return _saved(array if rng.random() < 0.8 else array[: rng.integers(len(array))])


def change_opcodes(content: bytes, rng: np.random.Generator) -> bytes:
    """Pickles that ask for much more than they bring."""
    head = content[: 10 + struct.unpack("<H", content[8:10])[0]]
    size = int(rng.choice([2**31 - 1, 2**33, 2**40, 2**62]))
    wide = struct.pack("<Q", size)
    return (
        head
        + (
            b"\x80\x04\x8e" + wide + b"x.",  # bytes
            b"\x80\x04\x8d" + wide + b"x.",  # text
            b"\x80\x05\x96" + wide + b"x.",  # a byte array
            b"\x80\x04Nr" + struct.pack("<I", 2**32 - 1) + b".",  # a memo of four thousand million entries
            b"\x80\x04\x95" + wide + b"N.",  # a frame
            b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"x.",  # a number
            b"\x80\x02cnumpy\nndarray\n" + pickle.dumps((size,), 2)[2:-1] + b"\x85R.",
            b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n"
            + pickle.dumps((size,), 2)[2:-1]
            + b"C\x01btR.",
        )[rng.integers(8)]
    )


def change_array_header(content: bytes, rng: np.random.Generator) -> bytes:
    """What a .npy file says of itself."""
    length = struct.unpack("<H", content[8:10])[0]
    headers = (
        "{'descr': '|O', 'fortran_order': False, 'shape': (5000000000000,), }",
        "{'descr': '<f8', 'fortran_order': False, }", "__import__('os').abort()", "(" * 900, "1+1",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (5000000000,), }",
        "{'descr': 'x', 'fortran_order': 3, 'shape': -1, }",
        "{'descr': [('a', '|O')], 'fortran_order': True, 'shape': (), }",
    )  # fmt: skip
    header = headers[rng.integers(len(headers))].encode()
    return content[:8] + struct.pack("<H", len(header)) + header + content[10 + length :]


def _saved(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()
