"""What everything that uses a world model knows of it, and how one is loaded whatever its kind.

There are two: `WorldModel` imagines in a codec's latents, the paper's geometry (section 2); `PixelWorldModel` moves
pixels round a hand that it imagines first. A folder says which of them it holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import torch
from torch import Tensor

from wovr_lab.borders import as_path
from wovr_lab.robot import Robot
from wovr_lab.runs import read_object
from wovr_lab.types import Start
from wovr_lab.world.context import ContextBuilder, Imagined
from wovr_lab.world.model import WorldModel
from wovr_lab.world.pixel_model import KIND, PixelWorldModel
from wovr_lab.world.sampler import FlowSampler
from wovr_lab.world.transformer import ActionWanTransformer


class WorldContext(Protocol):
    """What a world model remembers of some rows."""

    def select(self, rows: Tensor) -> Self: ...

    def put(self, rows: Tensor, other: Self) -> Self: ...


class ImaginingModel(Protocol):
    """A world model of any kind."""

    context: ContextBuilder
    sampler: FlowSampler
    transformer: ActionWanTransformer

    @property
    def resolution(self) -> int: ...

    @property
    def robot(self) -> Robot | None: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def noise_shape(self) -> tuple[int, ...]: ...

    def with_settings(self, context: ContextBuilder, sampler: FlowSampler) -> Self: ...

    def initial_context(self, starts: Sequence[Start]) -> Any: ...

    def answer(self, context: Any, chunk: Tensor, noise: Tensor) -> Tensor: ...

    def imagine(
        self, context: Any, actions: np.ndarray | Tensor, generators: Sequence[torch.Generator]
    ) -> Imagined: ...  # fmt: skip

    def save(self, folder: Path) -> None: ...


def load_world_model(folder: Path) -> WorldModel | PixelWorldModel:
    """The world model in a folder, of the kind that it says. Raises UserError if there is no whole one."""
    settings = read_object(as_path(folder) / "world.json")
    return (PixelWorldModel if settings.get("kind") == KIND else WorldModel).load(folder)
