"""Branches leave as episodes (LIBERO's HDF5), films and a notebook cell; episode files come in, checked.

In: a branch, or somebody's file. Out: files in a folder, or an `Episode`.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from wovr_lab.episodes import EpisodeStore, write_episodes
from wovr_lab.errors import UserError
from wovr_lab.figures.pictures import save_gif, save_video, side_by_side
from wovr_lab.inspector.links import UPLOAD, write_link
from wovr_lab.inspector.session import Session
from wovr_lab.inspector.timeline import Branch, Origin
from wovr_lab.runs import write_json, write_text
from wovr_lab.types import Episode

MOST_UPLOADED = "8mb"
LONGEST_UPLOADED = 1000  # actions of an uploaded episode
FILM_SCALE = 6
CELL = """from pathlib import Path

from IPython.display import Image
from wovr_lab.inspector.links import session_from
from wovr_lab.inspector.models import RunModels
from wovr_lab.figures.pictures import save_gif, side_by_side

session = session_from(RunModels(Path({run!r})), {query!r})
branch = session.branch  # branch.imagined, branch.real: uint8 [T + 1, H, W, 3]; branch.actions: float32 [T, 7]
save_gif(Path("branch.gif"), side_by_side(branch.real, branch.imagined), scale=6)
Image("branch.gif")
"""
log = logging.getLogger(__name__)


def episodes_of(branch: Branch) -> tuple[Episode, Episode]:
    """The branch as a real and an imagined episode. Raises UserError if nothing has happened on it.

    A branch that begins within an episode has no seed of its own: its first simulator state says where it begins.
    """
    if not len(branch.actions):
        raise UserError("nothing has happened on this branch yet; act first")
    begun = branch.initial.real
    believed, reached = (
        np.logical_or.accumulate(np.concatenate([getattr(step, name) for step in branch.steps]))
        for name in ("success_imagined", "success_real")
    )
    states = np.concatenate([begun.state[None], *(step.states for step in branch.steps)])
    seed = begun.seed if begun.step == 0 else -1
    real = Episode(begun.task, begun.instruction, seed, branch.real, branch.actions, reached, states)
    return real, replace(real, frames=branch.imagined, success=believed, states=None)


def export(session: Session, folder: Path) -> list[Path]:
    """Writes the current branch into `folder`: both episodes, films (real, imagined, difference), switches and link,
    a notebook cell. Raises UserError if nothing has happened on it, or the disk is full."""
    branch = session.branch
    real, imagined = episodes_of(branch)
    folder.mkdir(parents=True, exist_ok=True)
    names = ("real.hdf5", "imagined.hdf5", "side_by_side.mp4", "side_by_side.gif", "branch.json", "replay.py")
    paths = [folder / name for name in names]
    write_episodes(paths[0], [real])
    write_episodes(paths[1], [imagined])
    film = side_by_side(branch.real, branch.imagined)
    save_video(paths[2], film, scale=FILM_SCALE)
    save_gif(paths[3], film, scale=FILM_SCALE)
    link = None if branch.origin.source == UPLOAD else write_link(branch, session.switches)
    steps = [{"kind": step.kind, "actions": len(step.actions), **asdict(step.switches)} for step in branch.steps]
    write_json(paths[4], {"origin": asdict(branch.origin), "link": link, "steps": steps})
    if link is None:
        return paths[:5]
    write_text(paths[5], notebook_cell(session))
    return paths


def notebook_cell(session: Session) -> str:
    """Python that replays the current branch. Raises UserError as `write_link` does."""
    return CELL.format(run=str(session.models.run), query=write_link(session.branch, session.switches))


def begin_uploaded(session: Session, path: Path, name: str, index: int = 0, step: int = 0) -> None:
    """Begins in an uploaded file, read as HDF5 and nothing else. Raises UserError if it is broken or does not fit."""
    try:
        store = EpisodeStore([path])
        if not 0 <= index < len(store):
            raise UserError(f"{name} holds {len(store)} episodes, none has number {index}")
        summary, size = store.summaries[index], session.models.resolution
        if summary.length > LONGEST_UPLOADED or summary.frame_shape != (size, size, 3):
            found = f"{summary.length} actions and frames of {summary.frame_shape[:2]} pixels"
            raise UserError(f"{name} has {found}; at most {LONGEST_UPLOADED} and {(size, size)} fit these models")
        session.start_episode(store[index], Origin(summary.task, summary.seed, UPLOAD, index, step))
    except UserError as error:
        log.warning("upload refused: %s", error)
        raise UserError(str(error).replace(str(path), name)) from error
