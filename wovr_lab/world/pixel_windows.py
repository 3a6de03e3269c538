"""Windows of real episodes in pixels, with the robot's states, for the pixel world model.

In: a `FrameTable`. Out: batches of windows by their latest real frame; nothing is encoded.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from wovr_lab.errors import UserError
from wovr_lab.types import CHUNK, MEMORY
from wovr_lab.world.pixel_model import PixelWorldModel
from wovr_lab.world.windows import FrameTable


def pixel_window(table: FrameTable, index: np.ndarray, chunks: int) -> dict[str, Tensor]:
    """Windows whose latest real frame is `index` [B]: pictures uint8 anchor [B, H, W, 3], memory [B, 4, H, W, 3] and
    future [B, n, 8, H, W, 3]; memory_actions [B, 4, 7] and actions [B, n, 8, 7]; memory_states [B, 4, D] and states
    [B, n * 8, D], D = 0 where the table has none."""
    before = np.maximum(index[:, None] + np.arange(1 - MEMORY, 1), table.first_index[index][:, None])
    after = index[:, None] + np.arange(1, chunks * CHUNK + 1)
    states = np.zeros((len(table.frames), 0), np.float32) if table.proprio is None else table.proprio
    arrays = {
        "anchor": table.frames[table.first_index[index]],
        "memory": table.frames[before],
        "future": table.frames[after],
        "memory_actions": table.actions[before],
        "actions": table.actions[after],
        "memory_states": states[before],
        "states": states[after],
    }
    batch = {name: torch.as_tensor(array) for name, array in arrays.items()}
    return batch | {name: batch[name].unflatten(1, (chunks, CHUNK)) for name in ("future", "actions")}


def check_states(world: PixelWorldModel, table: FrameTable) -> None:
    """Raises UserError if the model needs states that the table does not have, or has in other units."""
    if world.robot is None:
        return
    if table.proprio is None:
        raise UserError("this world model needs the robot's states and some episodes have none; collect them again")
    world.robot.check(table.proprio, "an episode")
