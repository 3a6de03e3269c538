"""Episodes from one format into another: LIBERO's HDF5 and LeRobot data sets, either way.

In: a demonstration file, a folder of such files, or a LeRobot set. Out: a set's folder, or one file.
"""

from __future__ import annotations

from pathlib import Path

from wovr_lab.episodes.formats import LEROBOT
from wovr_lab.episodes.lerobot.schema import WHAT, SetCard
from wovr_lab.episodes.store import EpisodeStore
from wovr_lab.episodes.writing import made_by_us, write_episodes
from wovr_lab.errors import UserError
from wovr_lab.machine import require_extra
from wovr_lab.outputs import claim_file, claim_folder

LIBERO = "libero"
TARGETS = (LEROBOT, LIBERO)
SUFFIXES = (".hdf5", ".h5")


def open_source(source: Path, camera: str | None = None) -> EpisodeStore:
    """All episodes of a file, of a LeRobot set, or of all demonstration files in a folder. Raises UserError if there
    are none."""
    if not source.is_dir() or (source / "meta").is_dir():
        return EpisodeStore(source, camera)
    files = sorted(path for path in source.iterdir() if path.suffix in SUFFIXES)
    if not files:
        raise UserError(f"{source} holds neither {SUFFIXES[0]} files nor meta/info.json; give episodes")
    return EpisodeStore(files, camera)


def target_of(source: Path, target: str | None) -> str:
    """The format to convert to: the named one, or the other one. Raises UserError on an unknown name."""
    if target is None:
        return LIBERO if (source / "meta").is_dir() else LEROBOT
    if target not in TARGETS:
        raise UserError(f"unknown format {target!r}; formats: {', '.join(TARGETS)}")
    return target


def claim_target(dest: Path, target: str, source: Path) -> Path:
    """The path, if the converted episodes may be written there. Raises UserError if it holds something else, or what is
    read, or if LeRobot's extra is not installed."""
    if target == LIBERO:
        return claim_file(dest, made_by_us, inputs=[source])
    require_extra(LEROBOT, "pyarrow")
    return claim_folder(dest, WHAT, inputs=[source])


def convert(store: EpisodeStore, dest: Path, target: str, card: SetCard | None = None) -> int:
    """Writes the episodes of a store and returns how many. Raises UserError as the writers do."""
    if target == LIBERO:
        return write_episodes(dest, store)
    from wovr_lab.episodes.lerobot.writing import write_lerobot  # needs the lerobot extra

    return write_lerobot(dest, store, card)
