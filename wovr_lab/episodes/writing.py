"""Write a batch of episodes as one demonstration file that LIBERO's tools open (paper section 6).

In: `Episode`s, as a list or one at a time. Out: a file that is either whole or not there. See `schema` for the layout.
The (compressed) file is put together in memory and written in one go: HDF5 cannot let go of a file that it failed to
finish on a full disk, and takes the process down with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np

from wovr_lab.episodes.schema import (
    FINAL_STATE,
    FRAMES,
    INITIAL_FRAME,
    INITIAL_PROPRIO,
    LARGEST_DATASET,
    OURS,
    PROPRIO,
    SUCCESS,
    action_defects,
    latched,
    turned,
)
from wovr_lab.errors import UserError
from wovr_lab.outputs import claim_file, replacing
from wovr_lab.types import ACTION_DIM, Episode

KINDS = {  # NumPy kinds and dimensions of an episode's arrays
    "frames": ("ui", 4), "actions": ("fiu", 2), "success": ("biu", 1), "states": ("fiu", 2),
    "expert_actions": ("fiu", 2), "proprio": ("fiu", 2),
}  # fmt: skip
MAY_BE_MISSING = ("states", "expert_actions", "proprio")
LONGEST_TEXT = 4096
FRAMES_PER_CHUNK = 8  # what is unpacked together when a window is read


@dataclass(frozen=True)
class Origin:
    """What LIBERO's tools want to know of where episodes come from, beyond what an `Episode` holds."""

    attributes: dict[str, str] = field(default_factory=dict)  # of the file's `data`
    model_file: str = ""  # XML of the scene
    further: Callable[[Episode], dict[str, np.ndarray]] = lambda _: {}  # dataset name -> one row an action


def write_episodes(path: Path, episodes: Iterable[Episode], origin: Origin | None = None) -> int:
    """Writes the episodes to `path`, replacing earlier ones of ours, and returns how many.

    Raises UserError, leaving `path` as it was, if there are none, if one is malformed, if the disk is full, or (before
    the first is asked for) if another's file is there.
    """
    path = claim_file(path, made_by_us)
    image = BytesIO()
    with h5py.File(image, "w") as file:
        count = _write_demonstrations(file.create_group("data"), episodes, path, origin or Origin())
    with replacing(path) as partial:
        partial.write_bytes(image.getbuffer())
    return count


def made_by_us(path: Path) -> bool:
    """Whether all demonstrations of a file were written here."""
    try:
        with h5py.File(path, "r") as file:
            found = [OURS in demonstration for demonstration in file["data"].values()]
            return bool(found) and all(found)
    except (OSError, KeyError, AttributeError, TypeError):
        return False


def _write_demonstrations(data: h5py.Group, episodes: Iterable[Episode], path: Path, origin: Origin) -> int:
    tasks: dict[str, str] = {}
    count = total = 0
    size: tuple[int, ...] = ()
    for count, episode in enumerate(episodes, start=1):
        defects = episode_defects(episode)
        if defects:
            raise UserError(f"cannot write episode {count - 1} to {path}: {'; '.join(defects)}")
        size = size or episode.frames.shape[1:]
        if episode.frames.shape[1:] != size:
            found = episode.frames.shape[1:]
            raise UserError(f"cannot write episode {count - 1} to {path}: its frames are {found}, those before {size}")
        _write_demonstration(data.create_group(f"demo_{count - 1}"), episode, origin)
        tasks[episode.task] = episode.instruction
        total += len(episode)
    if not count:
        raise UserError(f"there are no episodes to write to {path}; collect some first")
    _describe(data, tasks, count, total)
    data.attrs.update(origin.attributes)
    return count


def episode_defects(episode: Episode) -> list[str]:
    """What keeps an episode from being stored, one message a defect."""
    defects = _kind_defects(episode)
    if defects:
        return defects
    length = len(episode.actions)
    shapes = {
        "frames": (episode.frames, (length + 1, *episode.frames.shape[1:3], 3)),
        "actions": (episode.actions, (length, ACTION_DIM)),
        "success": (episode.success, (length,)),
    }
    if episode.states is not None:
        shapes["states"] = (episode.states, (length + 1, *episode.states.shape[1:2]))
    if episode.proprio is not None:
        shapes["proprio"] = (episode.proprio, (length + 1, *episode.proprio.shape[1:2]))
    if episode.expert_actions is not None:
        shapes["expert_actions"] = (episode.expert_actions, (length, ACTION_DIM))
    defects = [
        f"{name} have shape {list(array.shape)} and should have {list(shape)}"
        for name, (array, shape) in shapes.items()
        if array.shape != shape
    ]
    if episode.frames.dtype != np.uint8:
        defects.append(f"frames are {episode.frames.dtype} and should be uint8")
    if not length:
        defects.append("it holds no action")
    return defects or _value_defects(episode)


def _kind_defects(episode: Episode) -> list[str]:
    """What is no array, text or number at all: what a reader would refuse is not written."""
    defects = []
    for name, (kinds, dimensions) in KINDS.items():
        value = getattr(episode, name)
        if value is None and name in MAY_BE_MISSING:
            continue
        if not isinstance(value, np.ndarray) or value.dtype.kind not in kinds or value.ndim != dimensions:
            told = f"{value.dtype} {list(value.shape)}" if isinstance(value, np.ndarray) else type(value).__name__
            defects.append(f"{name} are {told} and should be an array of {dimensions} dimensions")
        elif value.nbytes > LARGEST_DATASET:
            defects.append(f"{name} take {value.nbytes / 2**30:.1f} GiB, more than a reader takes")
    for name in ("task", "instruction"):
        value = getattr(episode, name)
        if not _is_text(value):
            defects.append(f"{name} is {str(value)[:60]!r} and should be text of 1 to {LONGEST_TEXT} bytes")
    seed = episode.seed
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not -(2**63) <= seed < 2**63:
        defects.append(f"seed is {seed!r} and should be a whole number")
    return defects


def _is_text(value: object) -> bool:
    """Whether HDF5 can hold it as an attribute, and a reader gets it back."""
    if not isinstance(value, str) or "\0" in value:
        return False
    try:
        return 0 < len(value.encode("utf-8")) <= LONGEST_TEXT
    except UnicodeEncodeError:
        return False


def _value_defects(episode: Episode) -> list[str]:
    defects = action_defects("actions", episode.actions)
    if episode.expert_actions is not None:
        defects += action_defects("expert_actions", episode.expert_actions)
    if not np.array_equal(episode.success, latched(episode.success)):
        defects.append("success is lost again after its first hit; latch it")
    if episode.proprio is not None and not np.isfinite(episode.proprio).all():
        defects.append("proprio holds NaN or infinity")
    if episode.states is not None and not np.isfinite(episode.states[:-1]).all():
        defects.append("states hold NaN or infinity (only the last may be unknown)")
    return defects


def _write_demonstration(group: h5py.Group, episode: Episode, origin: Origin) -> None:
    frames = turned(episode.frames)
    chunks = (min(FRAMES_PER_CHUNK, len(episode)), *frames.shape[1:])
    group.create_dataset(FRAMES, data=frames[1:], chunks=chunks, compression="gzip", compression_opts=1)
    group["actions"] = episode.actions.astype(np.float32)
    group["rewards"] = (np.arange(len(episode)) == episode.first_success).astype(np.uint8)
    group["dones"] = (np.arange(len(episode)) == len(episode) - 1).astype(np.uint8)
    group[INITIAL_FRAME] = frames[0]
    group[SUCCESS] = episode.success.astype(bool)
    group[OURS].attrs.update({"task": episode.task, "instruction": episode.instruction, "seed": episode.seed})
    if episode.expert_actions is not None:
        group["expert_actions"] = episode.expert_actions.astype(np.float32)
    if episode.states is not None:
        group["states"] = episode.states[:-1].astype(np.float64)
        group.attrs["init_state"] = episode.states[0].astype(np.float64)
        if np.isfinite(episode.states[-1]).all():
            group[FINAL_STATE] = episode.states[-1].astype(np.float64)
    if episode.proprio is not None:
        group[INITIAL_PROPRIO] = episode.proprio[0].astype(np.float32)
        group[PROPRIO] = episode.proprio[1:].astype(np.float32)
    for name, rows in origin.further(episode).items():
        group.create_dataset(name, data=rows, compression="gzip", compression_opts=1)
    group.attrs.update({"num_samples": len(episode), "model_file": origin.model_file})


def _describe(data: h5py.Group, tasks: dict[str, str], count: int, total: int) -> None:
    """The attributes that LIBERO's tools expect of a file; one that mixes tasks names them all."""
    names, instructions = "; ".join(tasks), "; ".join(dict.fromkeys(tasks.values()))
    problem = {"problem_name": names, "domain_name": "wovr_lab", "language_instruction": instructions}
    arguments = {"type": 1, "env_name": "wovr_lab", "problem_name": names, "bddl_file": "", "env_kwargs": {}}
    data.attrs.update(
        {
            "env_name": "wovr_lab",
            "env_args": json.dumps(arguments),
            "problem_info": json.dumps(problem),
            "macros_image_convention": "opengl",
            "num_demos": count,
            "total": total,
        }
    )
