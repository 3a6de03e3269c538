"""Rows of parquet files as arrays, no more of them than asked for.

In: a path, names of columns, a range of rows. Out: a table, or arrays of it. What is cut, foreign or far too large is
one UserError.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from wovr_lab.episodes.lerobot.schema import MOST_ROWS, Camera
from wovr_lab.errors import UserError

LARGEST_GROUP = 2**32  # bytes of the columns that are read together
PICTURE_FORMATS = ("PNG", "JPEG")


@contextmanager
def parquet(path: Path) -> Iterator[pq.ParquetFile]:
    """The open file. Raises UserError if it is not there, damaged, or absurdly long."""
    try:
        with pq.ParquetFile(path) as file:
            if file.metadata.num_rows > MOST_ROWS:
                raise UserError(f"{path} declares {file.metadata.num_rows} rows, more than {MOST_ROWS}; split the set")
            yield file
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UserError(f"{path} cannot be read as parquet ({error}); fetch it again") from error


def read_rows(path: Path, columns: Sequence[str], first: int = 0, count: int | None = None) -> pa.Table:
    """`count` rows (all without it) from row `first` on, of the row groups that hold them. Raises UserError if they are
    not there."""
    with parquet(path) as file:
        missing = sorted(set(columns) - set(file.schema_arrow.names))
        if missing:
            raise UserError(f"{path} has no column {missing[0]!r}; fetch it again")
        count = file.metadata.num_rows - first if count is None else count
        groups, begin = _groups(file, first, first + count)
        size = sum(_bytes(file, group, columns) for group in groups)
        if size > LARGEST_GROUP:
            raise UserError(f"{path} declares {size / 2**30:.0f} GiB in one piece; write it in smaller row groups")
        rows = file.read_row_groups(groups, columns=list(columns)).slice(first - begin, count)
        if len(rows) != count:
            raise UserError(f"{path} ends before row {first + count}; fetch it again")
        return rows


def _groups(file: pq.ParquetFile, first: int, stop: int) -> tuple[list[int], int]:
    """The row groups that hold rows `first` to `stop`, and which row they begin with."""
    found, begin, at = [], first, 0
    for group in range(file.metadata.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if at < stop and at + rows > first:
            begin = begin if found else at
            found.append(group)
        at += rows
    return found, begin


def _bytes(file: pq.ParquetFile, group: int, columns: Sequence[str]) -> int:
    metadata = file.metadata.row_group(group)
    every = (metadata.column(number) for number in range(metadata.num_columns))
    return sum(each.total_uncompressed_size for each in every if each.path_in_schema.startswith(tuple(columns)))


def numbers(table: pa.Table, name: str, width: int, path: Path) -> np.ndarray:
    """A column as float64 [rows, width]. Raises UserError if a row has another number of them, or is empty."""
    column = table[name].combine_chunks()
    nested = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    if nested or pa.types.is_fixed_size_list(column.type):
        column = column.flatten()
    kind = column.type
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    if not is_number or column.null_count or len(column) != len(table) * width:
        raise UserError(f"{path}: {name!r} does not hold {width} numbers in each row; fetch it again")
    return column.to_numpy(zero_copy_only=False).astype(np.float64).reshape(len(table), width)


def pictures(table: pa.Table, camera: Camera, path: Path) -> np.ndarray:
    """uint8 [rows, H, W, 3]. Raises UserError if one is missing, no picture, or of another size than declared."""
    return np.stack([_picture(row[camera.name], camera, path) for row in as_rows(table, path)])


def as_rows(table: pa.Table, path: Path) -> list[dict[str, Any]]:
    """The rows as Python's own values. Raises UserError on text that is no UTF-8, times that no calendar has."""
    try:
        return table.to_pylist()
    except (ValueError, OverflowError, pa.ArrowException) as error:
        raise UserError(f"{path} holds values that cannot be read ({error}); fetch it again") from error


def _picture(value: Any, camera: Camera, path: Path) -> np.ndarray:
    packed = value.get("bytes") if isinstance(value, dict) else None
    if not isinstance(packed, bytes):
        raise UserError(f"{path}: {camera.name!r} does not hold its pictures; embed them in the parquet files")
    try:
        with Image.open(BytesIO(packed), formats=PICTURE_FORMATS) as picture:
            if picture.size != (camera.width, camera.height):
                size = f"{picture.size[0]} x {picture.size[1]}"
                raise UserError(f"{path}: a picture of {camera.name!r} is {size}, not as large as info.json says")
            return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: a picture of {camera.name!r} is damaged ({error}); fetch it again") from error
