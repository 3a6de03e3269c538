"""Branches recorded by a key, a file each, for training: reality, in LIBERO's HDF5.

In: a session. Out: FOLDER/NAME.hdf5, which `wovr-lab convert FOLDER OUT --to lerobot` makes a LeRobot set of.
"""

from __future__ import annotations

from pathlib import Path

from wovr_lab.episodes import write_episodes
from wovr_lab.errors import UserError
from wovr_lab.inspector.exchange import episodes_of
from wovr_lab.inspector.session import Session

MOST = 999  # files in a folder


class Recorder:
    """Keeps what people find worth keeping; no file is ever replaced."""

    def __init__(self, folder: Path):
        self.folder = folder

    def record(self, session: Session) -> Path:
        """Writes the real side of the current branch, up to where the session stands. Raises UserError if nothing has
        happened on it, if the folder is full, or the disk."""
        real, _ = episodes_of(session.branch.cut(session.position))
        paths = (self.folder / f"{real.task}_{number:03}.hdf5" for number in range(1, MOST + 1))
        path = next((path for path in paths if not path.exists()), None)
        if path is None:
            raise UserError(f"{self.folder} holds {MOST} episodes of {real.task}; move some away to record more")
        self.folder.mkdir(parents=True, exist_ok=True)
        write_episodes(path, [real])
        return path
