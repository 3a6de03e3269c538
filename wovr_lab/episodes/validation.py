"""Is this file what it claims to be? One message a defect, before anything large is read or any link is followed.

In: the path of a demonstration file, ours or LIBERO's (see `schema`). Out: messages, none if it can be used.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import h5py
import numpy as np

from wovr_lab.borders import as_path
from wovr_lab.episodes.schema import (
    FINAL_STATE,
    FRAMES,
    INITIAL_FRAME,
    INITIAL_PROPRIO,
    LARGEST_DATASET,
    OUR_ATTRIBUTES,
    OURS,
    PROPRIO,
    SUCCESS,
    Field,
    action_defects,
    fields_of,
    is_ours,
    latched,
)


def validate_file(path: Path) -> list[str]:
    """Everything that is wrong with the file at `path`; an empty list means that it can be read."""
    path = as_path(path)
    if not path.is_file():
        return ["there is no such file"]
    if not h5py.is_hdf5(path):
        return ["it is not an HDF5 file, or its beginning is damaged"]
    try:
        with h5py.File(path, "r") as file:
            return file_defects(file)
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        return [f"it is truncated or damaged ({error})"]


def demonstration_names(data: h5py.Group) -> list[str]:
    """demo_0, demo_1, ... in the order of their numbers; other members are nobody's business."""
    return sorted((name for name in data if re.fullmatch(r"demo_\d+", name)), key=lambda name: int(name[5:]))


def file_defects(file: h5py.File) -> list[str]:
    """What is wrong inside an open file."""
    links = link_defects(file)
    data = None if links else file.get("data")
    links = links or (link_defects(data) if isinstance(data, h5py.Group) else [])
    if links:
        return links
    if not isinstance(data, h5py.Group):
        return ["there is no group 'data'; this is not a LIBERO demonstration file"]
    names = demonstration_names(data)
    if not names:
        return ["there are no demonstrations in 'data'"]
    defects = []
    if int(data.attrs.get("num_demos", len(names))) != len(names):
        defects.append(f"'num_demos' says {data.attrs['num_demos']}, there are {len(names)} demonstrations")
    for name in names:
        is_group = isinstance(data[name], h5py.Group)
        found = demonstration_defects(data[name]) if is_group else ["it is not a group"]
        defects += [f"{name}: {defect}" for defect in found]
    if not defects:
        defects += problem_defects(data, names, Path(file.filename)) + frame_size_defects(data, names)
    return defects


def link_defects(group: h5py.Group) -> list[str]:
    """Members that point elsewhere, into another file above all."""
    kinds = {name: group.get(name, getlink=True) for name in group}
    return [
        f"{group.name.rstrip('/')}/{name} is a link, not data of this file; links are not followed"
        for name, kind in kinds.items()
        if not isinstance(kind, h5py.HardLink)
    ]


def demonstration_defects(demonstration: h5py.Group) -> list[str]:
    """What is wrong with one demonstration: links, then shapes and types, then contradictions, then values."""
    defects = link_defects(demonstration)
    for name in ("obs", OURS):
        if not defects and name in demonstration:
            member = demonstration[name]
            defects += link_defects(member) if isinstance(member, h5py.Group) else [f"'{name}' is not a group"]
    if defects:
        return defects
    fields = fields_of(demonstration)
    found = {field.name: demonstration[field.name] for field in fields if field.name in demonstration}
    samples = _samples(found)
    for field in fields:
        if field.name in found:
            defects += field_defects(found[field.name], field, samples)
        elif field.required:
            defects.append(f"dataset '{field.name}' is missing")
    return defects or _contradictions(demonstration, found, samples) or _value_defects(found)


def _samples(found: dict[str, h5py.Dataset]) -> int | None:
    """The number of actions, which all else must match; None if that cannot be told."""
    actions = found.get("actions")
    return actions.shape[0] if isinstance(actions, h5py.Dataset) and actions.ndim else None


def field_defects(dataset: h5py.Dataset, field: Field, samples: int | None) -> list[str]:
    """Whether a dataset is of the right shape and type, of a sane size, and in this file."""
    if not isinstance(dataset, h5py.Dataset):
        return [f"'{field.name}' is not a dataset"]
    if dataset.is_virtual or dataset.external:
        return [f"'{field.name}' keeps its data in another file; copy the data into this one"]
    dtype, actual = dataset.dtype, dataset.shape
    if dtype.kind not in field.kinds or (field.kinds == "u" and dtype != np.uint8):
        wanted = {"u": "uint8", "f": "floating point", "b": "bool"}.get(field.kinds, "numbers")
        return [f"'{field.name}' holds {dtype}, expected {wanted}"]
    shape = tuple(samples if size == "T" and samples is not None else size for size in field.shape)
    if len(shape) != len(actual) or any(
        wanted != size for wanted, size in zip(shape, actual, strict=True) if wanted not in ("T", "*")
    ):
        wanted = ", ".join(map(str, shape))
        return [f"'{field.name}' has shape {list(actual)}, expected [{wanted}]"]
    size = math.prod(actual) * dtype.itemsize
    if size > LARGEST_DATASET:
        return [f"'{field.name}' declares {size / 2**30:.1f} GiB, more than any episode needs"]
    return []


def _contradictions(demonstration: h5py.Group, found: dict[str, h5py.Dataset], samples: int) -> list[str]:
    defects = []
    if samples <= (0 if is_ours(demonstration) else 1):
        defects.append(f"{samples} samples are too few for an action between two known frames")
    if int(demonstration.attrs.get("num_samples", samples)) != samples:
        defects.append(f"'num_samples' says {demonstration.attrs['num_samples']}, there are {samples} actions")
    if not is_ours(demonstration):
        return defects
    if found[INITIAL_FRAME].shape != found[FRAMES].shape[1:]:
        defects.append(f"'{INITIAL_FRAME}' has another size than the other frames")
    if FINAL_STATE in found and ("states" not in found or found[FINAL_STATE].shape != found["states"].shape[1:]):
        defects.append(f"'{FINAL_STATE}' does not fit 'states'")
    if (PROPRIO in found) != (INITIAL_PROPRIO in found) or (
        PROPRIO in found and found[PROPRIO].shape[1:] != found[INITIAL_PROPRIO].shape
    ):
        defects.append(f"'{PROPRIO}' does not fit '{INITIAL_PROPRIO}'")
    attributes = demonstration[OURS].attrs
    defects += [f"attribute '{name}' of '{OURS}' is missing" for name in OUR_ATTRIBUTES if name not in attributes]
    defects += [
        f"attribute '{name}' of '{OURS}' is not text"
        for name in ("task", "instruction")
        if name in attributes and not is_text(attributes[name])
    ]
    if not isinstance(attributes.get("seed", 0), int | np.integer):
        defects.append(f"attribute 'seed' of '{OURS}' is not a whole number")
    return defects


def _value_defects(found: dict[str, h5py.Dataset]) -> list[str]:
    defects = []
    for name in ("actions", "expert_actions"):
        if name in found:
            defects += action_defects(name, found[name][()])
    if "states" in found and not np.isfinite(found["states"][()]).all():
        defects.append("states hold NaN or infinity")
    for name in (PROPRIO, INITIAL_PROPRIO):
        if name in found and not np.isfinite(found[name][()]).all():
            defects.append(f"'{name}' holds NaN or infinity")
    if SUCCESS in found:
        success = found[SUCCESS][()]
        if not np.array_equal(success, latched(success)):
            defects.append("success is lost again after its first hit")
    return defects


def is_text(value: object) -> bool:
    """Whether an attribute is text that can be written down again, and not empty."""
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()


def problem_defects(data: h5py.Group, names: list[str], path: Path) -> list[str]:
    """Official files say what was asked for in `problem_info` alone, or by their name."""
    if all(is_ours(data[name]) for name in names) or words_of(data, path):
        return []
    return ["attribute 'problem_info' of 'data' is missing or holds no 'language_instruction' that is text"]


def words_of(data: h5py.Group, path: Path) -> str:
    """The instruction of an official file, "" if there is none. One without `problem_info` says it in its name, as
    LIBERO's do: KITCHEN_SCENE1_open_the_drawer_demo.hdf5."""
    if "problem_info" not in data.attrs and path.stem.endswith("_demo"):
        return re.sub(r"^[A-Z_]+_SCENE\d+_", "", path.stem.removesuffix("_demo")).replace("_", " ").strip()
    try:
        words = json.loads(data.attrs["problem_info"])["language_instruction"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return ""
    parts = [words] if isinstance(words, str) else words if isinstance(words, list) else []
    return "".join(parts).strip() if all(isinstance(part, str) for part in parts) else ""


def frame_size_defects(data: h5py.Group, names: list[str]) -> list[str]:
    """One file, one size of frames."""
    sizes = {name: data[name][FRAMES].shape[1:] for name in names}
    odd = [name for name in names if sizes[name] != sizes[names[0]]]
    return [f"{odd[0]}: frames are {list(sizes[odd[0]])}, those of {names[0]} {list(sizes[names[0]])}"] if odd else []
