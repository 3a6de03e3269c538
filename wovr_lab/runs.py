"""Files that survive a kill: atomic writes, safetensors checkpoints, a metrics log that repeats and forgets nothing.

In: tensors, dictionaries, a folder. Out: files that are either the old or the new version, never half of one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
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


def check_layout(path: Path, tensors: Mapping[str, Tensor], layout: Mapping[str, Layout]) -> None:
    """Raises UserError naming the first tensor that is not of its declared type and shape, is missing, is not known or
    holds NaN or infinity; what is declared "optional" may be missing. A letter is the same size wherever it stands."""
    sizes: dict[str, int] = {}
    for name in sorted(layout.keys() | tensors.keys()):
        if name not in layout or (name not in tensors and not layout[name].optional):
            is_there = "an unknown" if name in tensors else "no"
            raise UserError(f"{path} holds {is_there} tensor {name!r}; restore or make it again")
        if name in tensors:
            defect = layout[name].defect(tensors[name], sizes)
            if defect:
                raise UserError(f"{path}: {name!r} {defect}; restore or make it again")


@dataclass(frozen=True)
class Layout:
    """What a tensor in a file must be: numbers in its shape are sizes, letters sizes that others share."""

    dtype: torch.dtype
    shape: tuple[int | str, ...]
    optional: bool = False

    def defect(self, tensor: Tensor, sizes: dict[str, int]) -> str:
        """What is wrong with it, "" if nothing is; notes the sizes of letters."""
        if tensor.dtype != self.dtype or tensor.ndim != len(self.shape):
            return f"is {tensor.dtype} {tuple(tensor.shape)}, expected {self.dtype} {self.shape}"
        for wanted, size in zip(self.shape, tensor.shape, strict=True):
            if (sizes.setdefault(wanted, size) if isinstance(wanted, str) else wanted) != size:
                return f"has shape {tuple(tensor.shape)}, expected {self.shape} with {sizes}"
        return "" if torch.isfinite(tensor).all() else "holds NaN or infinity"


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
    wrong = [name for name, value in row.items() if name != "phase" and type(value) not in (int, float)]
    if wrong or not all(math.isfinite(value) for name, value in row.items() if name != "phase"):
        raise UserError(f"line {number} of {path} holds what is no number ({', '.join(wrong)}); remove that line")
    return row


class Metrics:
    """`metrics.jsonl` plus TensorBoard. A run that goes back (resumed, or on other inputs) says its steps again: a
    phase that comes to a step it has logged before loses its rows from there on, so none is there twice or stale."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "metrics.jsonl"
        self.seen = {(row["phase"], row["step"]) for row in self.rows()}

    @cached_property
    def board(self) -> SummaryWriter:
        """TensorBoard's writer, which keeps a thread and a file: only where something is logged."""
        return SummaryWriter(str(self.path.parent / "tensorboard"))

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
