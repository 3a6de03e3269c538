"""Which format a path has: a file is LIBERO's HDF5, a folder is a LeRobot data set.

In: a path. Out: what reads it. LeRobot's reader is imported only where a folder is given: it needs the extra.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from wovr_lab.episodes import reading as hdf5
from wovr_lab.episodes.reading import EpisodeSummary
from wovr_lab.machine import require_extra
from wovr_lab.types import Episode

LEROBOT = "lerobot"  # the extra


class Reader(Protocol):
    """What is read of one path, given summaries of its own."""

    def window(self, summary: Any, start: int, length: int) -> Episode:
        """`length` actions from `start` on, and the frames around them."""

    def actions(self, summary: Any) -> np.ndarray:
        """float32 [T, 7]"""

    def anchor(self, summary: Any) -> np.ndarray:
        """The first frame, uint8 [H, W, 3]."""


def read_summaries(path: Path, camera: str | None = None) -> list[EpisodeSummary]:
    """Validates a file or a set and says what is in it. Raises UserError listing its defects."""
    return lerobot().read_summaries(path, camera) if path.is_dir() else hdf5.read_summaries(path)


def reading(path: Path) -> AbstractContextManager[Reader]:
    """What reads episodes of this path. Raises UserError if it has become unreadable since it was validated."""
    return lerobot().reading(path) if path.is_dir() else hdf5.reading(path)


def lerobot() -> ModuleType:
    """The reader of LeRobot sets. Raises UserError if its extra is not installed."""
    require_extra(LEROBOT, "pyarrow")
    from wovr_lab.episodes.lerobot import reading as lerobot_reading

    return lerobot_reading
