"""Configurations as JSON and back, and changes to them by dotted names.

In: a frozen dataclass whose fields are numbers, texts, tuples, dataclasses, or a choice between dataclasses. Out: a
dictionary in which every dataclass names its class as `kind`, and from it the same object again. So a run folder says
all there is to know of its run, however it was configured.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import MappingProxyType, NoneType
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from wovr_lab.borders import as_path
from wovr_lab.errors import UserError
from wovr_lab.pace.layout import CONFIG
from wovr_lab.runs import read_object

KIND = "kind"
T = TypeVar("T")


def to_dict(value: Any) -> Any:
    """A configuration as JSON, mechanisms by their class names."""
    if is_dataclass(value) and not isinstance(value, type):
        entries = {each.name: to_dict(getattr(value, each.name)) for each in fields(value)}
        return {KIND: type(value).__name__} | entries
    if isinstance(value, list | tuple):
        return [to_dict(entry) for entry in value]
    return value


def from_dict(kind: type[T], found: Any, where: str = "") -> T:
    """The `kind` that `to_dict` gave; what is missing has its default, as in a file that an older version wrote. Raises
    UserError on unknown names, on values of another type, and on what the dataclass itself refuses."""
    return _parsed(kind, found, where or kind.__name__)


def changed(config: T, changes: Mapping[str, Any]) -> T:
    """The configuration with other values by dotted name, such as {"rl.learning_rate": 1e-4, "rl.mask": NoMask()}.
    Raises UserError on names that it does not have and on values that do not fit."""
    found = to_dict(config)
    for name, value in changes.items():
        *path, last = name.split(".")
        inner, kind = found, type(config)
        for part in path:
            kind = _dataclass_at(kind, inner, part, name)
            inner = inner[part]
        _require_known(kind, [last], name, inner)
        inner[last] = to_dict(value)
    return from_dict(type(config), found)


def assignment(text: str) -> tuple[str, Any]:
    """("rl.groups", 12) of "rl.groups=12": the value as JSON, or the text itself where it is none. Raises UserError
    if there is no "="."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise UserError(f"{text!r} sets nothing; write NAME=VALUE, such as rl.learning_rate=1e-4")
    try:
        return name.strip(), json.loads(value)
    except json.JSONDecodeError:
        return name.strip(), value.strip()


def flattened(changes: Mapping[str, Any], before: str = "", into_kinds: bool = False) -> dict[str, Any]:
    """{"rl.groups": 12} of {"rl": {"groups": 12}}, as a file of changes is nested; a table that names its `kind` is
    one value, unless `into_kinds`."""
    found: dict[str, Any] = {}
    for name, value in changes.items():
        if isinstance(value, Mapping) and (into_kinds or KIND not in value):
            found |= flattened(value, f"{before}{name}.", into_kinds)
        else:
            found[before + name] = value
    return found


def differing(one: Any, other: Any) -> list[str]:
    """Dotted names, sorted, of the settings in which two configurations differ."""
    found, wanted = (flattened(to_dict(each), into_kinds=True) for each in (one, other))
    names = found.keys() | wanted.keys()
    return sorted(name for name in names if name not in found or name not in wanted or found[name] != wanted[name])


def _dataclass_at(kind: type, found: dict[str, Any], name: str, whole: str) -> type:
    """The class of the dataclass in a field of `kind`, as it is now."""
    _require_known(kind, [name], whole, found)
    inner = found[name]
    if not isinstance(inner, dict):
        raise UserError(f"{whole}: {name} is {inner!r}, it has no parts to set")
    return _dataclasses_in(get_type_hints(kind)[name])[inner[KIND]]


def _parsed(annotation: Any, found: Any, where: str) -> Any:
    kinds = _dataclasses_in(annotation)
    if not kinds or (found is None and NoneType in get_args(annotation)):
        return _leaf(annotation, found, where)
    if not isinstance(found, dict):
        raise UserError(f"{where} is {found!r}; it should be a table of settings of {' or '.join(kinds)}")
    name = found.get(KIND, next(iter(kinds)) if len(kinds) == 1 else None)
    if name not in kinds:
        raise UserError(f"{where} is of kind {name!r}; the kinds known here are {', '.join(kinds)}")
    kind, given = kinds[name], {key: value for key, value in found.items() if key != KIND}
    _require_known(kind, given, where)
    hints = get_type_hints(kind)
    return kind(**{key: _parsed(hints[key], value, f"{where}.{key}") for key, value in given.items()})


def _dataclasses_in(annotation: Any) -> dict[str, type]:
    """The dataclasses among which a field of this type chooses, by name."""
    choices = get_args(annotation) or (annotation,)
    return {each.__name__: each for each in choices if isinstance(each, type) and is_dataclass(each)}


def _require_known(
    kind: type, names: Iterable[str], where: str, parts: Mapping[str, Any] = MappingProxyType({})
) -> None:
    """Raises UserError on a name that `kind` does not have, with the nearest one, or the one of a part that has it."""
    known = [each.name for each in fields(kind)]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            near += [path for path in flattened(parts, into_kinds=True) if path.endswith(f".{name}")]
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(known)}"
            raise UserError(f"{where}: {kind.__name__} has no setting {name!r}; {hint}")


def _leaf(annotation: Any, found: Any, where: str) -> Any:
    if isinstance(found, bool) and annotation in (int, float):
        raise UserError(f"{where} is {found!r}; it should be a number")
    try:
        return TypeAdapter(annotation, config=ConfigDict(allow_inf_nan=False)).validate_python(found)
    except ValidationError as error:
        raise UserError(f"{where} is {found!r}: {error.errors()[0]['msg'].lower()}") from error


def read_config(folder: Path | str) -> dict[str, Any]:
    """What RUN/config.json says. Raises UserError if `folder` is no run, or if its configuration is lost or damaged."""
    folder = as_path(folder)
    path = folder / CONFIG
    if (folder / "stages").is_dir() and not path.exists():
        raise UserError(
            f"{path} does not exist, although {folder} is a run: put it back from a run with the same settings "
            "(wovr-lab demonstrate --scale SCALE --seed SEED --run OTHER writes OTHER/config.json)"
        )
    if not path.exists():
        raise UserError(f"{path} does not exist: {folder} is no run folder; choose another, or make one: wovr-lab run")
    found = read_object(path)
    tasks = found.get("tasks")
    told = {"scale": str, "seed": int, "tasks": list}
    wrong = [name for name, kind in told.items() if type(found.get(name)) is not kind]
    if wrong or not all(isinstance(task, str) for task in tasks):
        raise UserError(
            f"{folder} is no run folder (its {CONFIG} names no {wrong[0] if wrong else 'tasks'}); choose another folder"
        )
    return found
