"""Published checkpoints of models too large to build twice, and what they take of a GPU's memory.

In: a folder of safetensors in one file or many. Out: a model that was built without storage (on torch's meta device),
filled one file at a time. Nothing but safetensors is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from wovr_lab.errors import UserError
from wovr_lab.runs import load_tensors

Rename = Callable[[str, Tensor], dict[str, Tensor]]  # a tensor there -> tensors here, none if it is not needed
GIGABYTE = 1e9


def shards(folder: Path) -> Iterator[dict[str, Tensor]]:
    """The tensors of each safetensors file in a folder. Raises UserError if there is none, or half of one."""
    files = sorted(Path(folder).glob("*.safetensors"))
    if not files:
        raise UserError(f"{folder} holds no .safetensors file; download the checkpoint in that format")
    for path in files:
        yield load_tensors(path)


def fill(model: nn.Module, folder: Path, rename: Rename, new: tuple[str, ...], dtype: torch.dtype) -> None:
    """Gives `model` the tensors of a folder as `dtype`; those whose names begin with `new` stay as they are.

    Raises UserError if a tensor is missing, of another shape, or unknown.
    """
    wanted = {name: tensor.shape for name, tensor in model.state_dict().items() if not name.startswith(new)}
    for tensors in shards(folder):
        for there, tensor in tensors.items():
            here = {name: value.to(dtype) for name, value in rename(there, tensor).items()}
            for name, value in here.items():
                if wanted.pop(name, None) != value.shape:
                    raise UserError(f"{folder}: {there} {tuple(tensor.shape)} does not fit its config.json")
            model.load_state_dict(here, strict=False, assign=True)
    if wanted:
        raise UserError(f"{folder}: {len(wanted)} tensors are missing, e.g. {min(wanted)}; download it again")


@dataclass(frozen=True)
class GpuMemory:
    """Gigabytes that parameters take on GPUs, activations aside."""

    parameters: int

    @property
    def inference(self) -> float:
        """bfloat16 weights."""
        return 2 * self.parameters / GIGABYTE

    @property
    def training(self) -> float:
        """bfloat16 weights and gradients, float32 master weights and both of AdamW's moments; FSDP divides it by the
        number of GPUs."""
        return (2 + 2 + 4 + 8) * self.parameters / GIGABYTE


def gpu_memory_of(model: nn.Module) -> GpuMemory:
    """GPU memory of any model, also one without storage."""
    return GpuMemory(sum(parameter.numel() for parameter in model.parameters()))
