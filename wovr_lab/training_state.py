"""What a training needs to go on after a kill: weights, optimizer state and how far it came, as named tensors.

In: modules and optimizers of torch. Out: flat names for one safetensors file, and back, with each misfit refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from wovr_lab.errors import UserError
from wovr_lab.runs import load_into, load_tensors, save_tensors

KEPT_BY = {"AdamW": {"step", "exp_avg", "exp_avg_sq"}, "Muon": {"momentum_buffer"}}  # of every parameter


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state as flat named tensors, so that no pickle is needed: `INDEX.NAME`."""
    state = optimizer.state_dict()["state"]
    named = ((index, name, value) for index, entry in state.items() for name, value in entry.items())
    return {f"{index}.{name}": torch.as_tensor(value) for index, name, value in named}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], source: Path) -> None:
    """The inverse of `optimizer_tensors`, for an optimizer over the same parameters in the same order. Raises UserError
    if the tensors of `source` do not fit those parameters, or hold NaN or infinity."""
    state: dict[int, dict[str, Tensor]] = {}
    parameters = [weight for group in optimizer.param_groups for weight in group["params"]]
    for key, value in tensors.items():
        index, _, name = key.partition(".")
        known = index.isdecimal() and int(index) < len(parameters)
        if not known or value.shape not in ((), parameters[int(index)].shape) or not torch.isfinite(value).all():
            raise UserError(
                f"{source} does not fit this optimizer ({key} {tuple(value.shape)}); delete it to begin anew"
            )
        state.setdefault(int(index), {})[name] = value
    kept = KEPT_BY[type(optimizer).__name__]
    if any(entry.keys() != kept for entry in state.values()):
        raise UserError(f"{source} lacks a part of its optimizer's state; delete it to begin anew")
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def saved_count(tensors: dict[str, Tensor], name: str, source: Path) -> int:
    """Takes a count of steps or iterations out of what training has saved. Raises UserError if there is none."""
    count = tensors.pop(name, None)
    if count is None or count.dtype != torch.int64 or count.shape or count < 0:
        raise UserError(f"{source} does not say how far it came ({name}); delete it to begin anew")
    return int(count)


def flatten_parts(parts: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Named tensors of several parts as those of one file: `PART/NAME`."""
    return {f"{part}/{name}": value for part, tensors in parts.items() for name, value in tensors.items()}


def split_parts(tensors: Mapping[str, Tensor], source: Path) -> dict[str, dict[str, Tensor]]:
    """The inverse of `flatten_parts`, without the parts that have no tensors. Raises UserError on a name without a
    part before it."""
    parts: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        part, slash, name = key.partition("/")
        if not slash:
            raise UserError(f"{source} holds an unknown tensor {key!r}; delete it to begin anew")
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
