"""The one place where pictures change between uint8 and float, rounded, so that a round trip is exact."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from wovr_lab.borders import as_frames
from wovr_lab.errors import UserError


def to_float(frames: np.ndarray | Tensor, device: torch.device | str = "cpu") -> Tensor:
    """uint8 [..., H, W, 3], an array of any strides, tensor or list -> float32 [..., 3, H, W] in [-1, 1]. Raises
    UserError on another dtype or shape."""
    pixels = frames if isinstance(frames, Tensor) else torch.as_tensor(as_frames(frames))
    if pixels.dtype != torch.uint8 or pixels.ndim < 3 or pixels.shape[-1] != 3:
        raise UserError(f"frames must be uint8 [..., H, W, 3], these are {pixels.dtype} {tuple(pixels.shape)}")
    return pixels.to(device).movedim(-1, -3).float().div(127.5).sub(1.0)


def to_uint8(pictures: Tensor) -> np.ndarray:
    """float [..., 3, H, W] -> uint8 [..., H, W, 3]; values outside [-1, 1] are cut."""
    levels = pictures.detach().float().clamp(-1, 1).add(1.0).mul(127.5).round()
    return levels.to(torch.uint8).movedim(-3, -1).cpu().numpy()
