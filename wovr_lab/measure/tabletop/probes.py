"""State probes: where is the hand, how far is it open, where is each cube, as far as a frame shows it?

In: uint8 frames, real or imagined. Out: metres. Trained on real frames only (`probe_training`), so that on imagined
ones they say where the *model* thinks the cube is. The truth beside them is the exact simulator state.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from wovr_lab.errors import UserError
from wovr_lab.networks import Network, convolutions
from wovr_lab.pixels import to_float
from wovr_lab.real.tabletop.env import TabletopEnv
from wovr_lab.real.tabletop.tasks import CUBES, get_task
from wovr_lab.shipped import shipped

# What a read-out float32 [..., 10] holds, in metres. "front" is the red cube, "back" the blue or the green one.
COLUMNS = {"hand": slice(0, 3), "opening": slice(3, 4), "front": slice(4, 7), "back": slice(7, 10)}
WIDTH = 10
BATCH = 512
SHIPPED = "probe"


def read_states(states: np.ndarray) -> np.ndarray:
    """The true read-outs float32 [..., 10] of simulator states float64 [..., S]."""
    env, rows = TabletopEnv(resolution=8), []
    for state in states.reshape(-1, states.shape[-1]):
        env.set_state(state)
        rows.append(read_env(env))
    return np.array(rows, np.float32).reshape(*states.shape[:-1], WIDTH)


def read_env(env: TabletopEnv) -> np.ndarray:
    """The true read-out float32 [10] of a simulator's present."""
    view = env.readout()
    return np.concatenate([view.hand, [view.opening], *view.cubes.values()]).astype(np.float32)


def object_columns(tasks: Sequence[str]) -> np.ndarray:
    """int64 [N, 3]: the columns of the cube that each task is about."""
    first = [COLUMNS["front" if (t := get_task(name)).cube == CUBES[t.scene][0] else "back"].start for name in tasks]
    return np.array(first)[:, None] + np.arange(3)


def error_cm(found: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """Euclidean distance [...] of read-outs [..., 10] in centimetres, by what is read."""
    return {name: 100 * np.linalg.norm((found - truth)[..., part], axis=-1) for name, part in COLUMNS.items()}


def object_error_cm(found: np.ndarray, truth: np.ndarray, tasks: Sequence[str]) -> np.ndarray:
    """Distance [N, T] in centimetres of the cube that each task is about, from read-outs [N, T, 10]."""
    columns = object_columns(tasks)[:, None]
    difference = np.take_along_axis(found, columns, 2) - np.take_along_axis(truth, columns, 2)
    return 100 * np.linalg.norm(difference, axis=-1)


class StateProbe(Network):
    """A small convolutional network, a linear layer on all cells of its last map, one hidden layer."""

    @register_to_config
    def __init__(self, resolution: int = 32, width: int = 24, hidden: int = 128):
        super().__init__()
        if resolution % 8 or width % 8:
            raise UserError(f"a probe needs a resolution and a width divisible by 8, not {resolution} and {width}")
        self.layers = nn.Sequential(
            *convolutions(width),
            nn.Linear(2 * width * (resolution // 8) ** 2, hidden),
            nn.SiLU(),
            nn.Linear(hidden, WIDTH),
        )
        self.register_buffer("mean", torch.zeros(WIDTH))
        self.register_buffer("scale", torch.ones(WIDTH))

    def forward(self, pictures: Tensor) -> Tensor:
        """float [B, 3, H, W] in [-1, 1] -> read-outs [B, 10] in units of the training data's deviations."""
        return self.layers(pictures)

    @torch.no_grad()
    def read(self, frames: np.ndarray) -> np.ndarray:
        """uint8 [..., H, W, 3] -> float32 [..., 10] in metres. Raises UserError on frames of another size."""
        size = self.config.resolution
        if frames.shape[-3:] != (size, size, 3):
            raise UserError(
                f"this state probe reads frames [..., {size}, {size}, 3], not {frames.shape}; "
                "train one of that size with wovr-lab train-probe --resolution"
            )
        flat = frames.reshape(-1, size, size, 3)
        parts = [self(to_float(flat[i : i + BATCH], self.device)) for i in range(0, len(flat), BATCH)]
        found = torch.cat(parts) * self.scale + self.mean
        return found.cpu().numpy().reshape(*frames.shape[:-3], WIDTH)


def load_probe(folder: Path | None = None) -> StateProbe:
    """The probe in a folder, or the shipped one. Raises UserError if there is none."""
    chosen = shipped(SHIPPED) if folder is None else folder
    if not chosen.is_dir():
        raise UserError(f"there is no state probe in {chosen}; run wovr-lab train-probe first")
    return StateProbe.load(chosen)
