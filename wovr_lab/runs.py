"""Files that survive a kill: atomic writes, safetensors checkpoints, a metrics log that repeats and forgets nothing.

In: tensors, dictionaries, a folder. Out: files that are either the old or the new version, never half of one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from wovr_lab.borders import as_path
from wovr_lab.errors import UserError
from wovr_lab.fields import check
from wovr_lab.outputs import replacing

LARGEST_JSON = 2**28  # bytes; ten times the largest of ours


def write_text(path: Path, text: str) -> None:
    """Writes a text file atomically."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Writes strict JSON atomically; raises ValueError on NaN or infinity."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: Path | str) -> Any:
    """Reads strict JSON. Raises UserError if the file is missing, broken, or far larger than any of ours."""
    path = as_path(path)
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise UserError(f"{path} has more than {LARGEST_JSON} bytes, far more than it needs; give another file")
        return _strict(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist; run the stage that writes it first") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error}); give another file") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON ({error}); delete it to have it made anew") from error


def read_object(path: Path | str, **entries: Any) -> dict[str, Any]:
    """A JSON object with these entries of these declared types (see `fields`). Raises UserError naming what is not."""
    found = read_json(path)
    if not isinstance(found, dict):
        raise UserError(f"{path} holds a {type(found).__name__}, not the entries of an object; restore it")
    for name, hint in entries.items():
        if name not in found:
            raise UserError(f"{path} names no {name}; restore it, or give another one")
        check(f"{path}: {name}", found[name], hint)
    return found


def read_rows(path: Path | str, **entries: Any) -> list[dict[str, Any]]:
    """A JSON list of objects, each with these entries of these declared types. Raises UserError naming what is not."""
    rows = read_json(path)
    if not isinstance(rows, list):
        raise UserError(f"{path} is no list; restore it, or give another file")
    for number, row in enumerate(rows):
        missing = [name for name in entries if not isinstance(row, dict) or name not in row]
        if missing or not isinstance(row, dict):
            told = ", ".join(missing or entries)
            raise UserError(f"{path}: entry {number} ({str(row)[:60]}) names no {told}; restore it")
        for name, hint in entries.items():
            check(f"{path}: entry {number}: {name}", row[name], hint)
    return rows


def _strict(text: str) -> Any:
    """JSON without NaN and infinity, which are no JSON, however they are written."""

    def finite(number: str) -> float:
        if not math.isfinite(float(number)):
            raise ValueError(f"it holds {number}")
        return float(number)

    return json.loads(text, parse_constant=finite, parse_float=finite)


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Writes a safetensors file atomically."""
    with replacing(path) as partial:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, partial, metadata)


def load_tensors(path: Path | str) -> dict[str, Tensor]:
    """Reads a safetensors file. Raises UserError if it is missing, truncated or of another format."""
    path = as_path(path)
    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist; train it first or give another checkpoint") from error
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is not a whole safetensors file ({error}); restore or retrain it") from error


def load_into(module: torch.nn.Module, tensors: dict[str, Tensor], source: Path) -> None:
    """Loads a state dictionary strictly. Raises UserError naming a difference if it is of another architecture."""
    own = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    theirs = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if own != theirs:
        differing = sorted(name for name in own.keys() | theirs.keys() if own.get(name) != theirs.get(name))
        example = f"{differing[0]}: here {own.get(differing[0])}, there {theirs.get(differing[0])}"
        raise UserError(
            f"{source} holds another architecture than {type(module).__name__} "
            f"({len(differing)} tensors differ, e.g. {example}); load it with the configuration it was saved with"
        )
    module.load_state_dict(tensors)


def check_finite(module: torch.nn.Module, source: Path) -> None:
    """Raises UserError naming the first weights that hold NaN or infinity."""
    bad = [name for name, tensor in module.state_dict().items() if not torch.isfinite(tensor).all()]
    if bad:
        raise UserError(f"{source} holds NaN or infinity in {bad[0]} and {len(bad) - 1} more; restore or retrain it")


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state as flat named tensors, so that no pickle is needed: `INDEX.NAME`."""
    state = optimizer.state_dict()["state"]
    named = ((index, name, value) for index, entry in state.items() for name, value in entry.items())
    return {f"{index}.{name}": torch.as_tensor(value) for index, name, value in named}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """The inverse of `optimizer_tensors`, for an optimizer over the same parameters in the same order."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def flatten_parts(parts: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Named tensors of several parts as those of one file: `PART/NAME`."""
    return {f"{part}/{name}": value for part, tensors in parts.items() for name, value in tensors.items()}


def split_parts(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """The inverse of `flatten_parts`, without the parts that have no tensors."""
    parts: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        part, name = key.split("/", 1)
        parts.setdefault(part, {})[name] = value
    return parts


class Snapshots:
    """A module's weights after each number of updates, kept in a folder; without a folder nothing is kept."""

    def __init__(self, module: torch.nn.Module, folder: Path | None, name: str):
        self.module, self.folder, self.name = module, folder, name

    def save(self, updates: int) -> None:
        """Keeps the weights as they are after so many updates."""
        if self.folder is not None:
            save_tensors(self._path(self.folder, updates), dict(self.module.state_dict()))

    def restore(self, updates: int) -> bool:
        """Loads the weights that were kept after so many updates; False if none were."""
        if self.folder is None or not (path := self._path(self.folder, updates)).exists():
            return False
        load_into(self.module, load_tensors(path), path)
        return True

    def _path(self, folder: Path, updates: int) -> Path:
        return folder / f"{self.name}-{updates:03}.safetensors"


def require_finite(phase: str, step: int, values: dict[str, float]) -> None:
    """Raises UserError if one of the values is not finite, which means that the training has diverged."""
    bad = [name for name, value in values.items() if not math.isfinite(value)]
    if bad:
        raise UserError(f"{phase} diverged at step {step}: {', '.join(bad)} is not finite; lower its learning rate")


def load_metrics(run: Path) -> list[dict[str, Any]]:
    """The whole rows of RUN/metrics.jsonl, none if there is no such file; a last line that a kill has cut is left out.
    Raises UserError naming a broken line."""
    path = run / "metrics.jsonl"
    try:
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error}); restore it") from error
    if lines and not lines[-1].endswith(b"\n"):
        lines.pop()
    return [_row(path, number, line) for number, line in enumerate(lines, start=1)]


def _row(path: Path, number: int, line: bytes) -> dict[str, Any]:
    """One row: a phase, a step, and numbers by name."""
    try:
        row = _strict(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"line {number} of {path} is not JSON ({error}); remove that line") from error
    if not isinstance(row, dict) or not isinstance(row.get("phase"), str) or type(row.get("step")) is not int:
        raise UserError(f"line {number} of {path} is no metric (it needs a phase and a step); remove that line")
    return row


class Metrics:
    """`metrics.jsonl` plus TensorBoard. A run that goes back (resumed, or on other inputs) says its steps again: a
    phase that comes to a step it has logged before loses its rows from there on, so none is there twice or stale."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "metrics.jsonl"
        self.seen = {(row["phase"], row["step"]) for row in self.rows()}
        self.board = SummaryWriter(str(folder / "tensorboard"))

    def rows(self) -> list[dict[str, Any]]:
        """Every whole line; a last line cut by a kill is dropped. Raises UserError naming a broken line."""
        rows = load_metrics(self.path.parent)
        if self.path.exists() and not self.path.read_bytes().endswith(b"\n"):
            write_text(self.path, "".join(json.dumps(row) + "\n" for row in rows))
        return rows

    def log(self, phase: str, step: int, values: dict[str, float]) -> None:
        """Appends one row. Raises UserError on a value that is not finite: the training has diverged."""
        require_finite(phase, step, values)
        if (phase, step) in self.seen:
            self._rewind(phase, step)
        self.seen.add((phase, step))
        with self.path.open("a") as file:
            file.write(json.dumps({"phase": phase, "step": step, **values}) + "\n")
        for name, value in values.items():
            self.board.add_scalar(f"{phase}/{name}", value, step)

    def _rewind(self, phase: str, step: int) -> None:
        kept = [row for row in self.rows() if row["phase"] != phase or row["step"] < step]
        write_text(self.path, "".join(json.dumps(row) + "\n" for row in kept))
        self.seen = {(row["phase"], row["step"]) for row in kept}
