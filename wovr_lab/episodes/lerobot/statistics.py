"""How the columns of a set are spread, as LeRobot's training expects to find it (`stats.json`).

In: the values of each episode. Out: for each column the least, largest and mean value, deviation and quantiles of each
entry; for pictures those of each colour, in [0, 1], from a sample of the frames. Unknown values (NaN) do not count.
"""

from __future__ import annotations

from typing import Any

import numpy as np

QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
FRAMES_SAMPLED = 4  # of an episode


class SetStatistics:
    """Collects episodes, of which it keeps the numbers and a few pixels."""

    def __init__(self) -> None:
        self._numbers: dict[str, list[np.ndarray]] = {}
        self._pixels: dict[str, list[np.ndarray]] = {}
        self._frames = 0

    def add(self, numbers: dict[str, np.ndarray], camera: str, frames: np.ndarray) -> dict[str, dict[str, Any]]:
        """Adds one episode: columns [T + 1, ...] and frames uint8 [T + 1, H, W, 3]. Returns its own statistics."""
        sampled = frames[np.linspace(0, len(frames) - 1, min(FRAMES_SAMPLED, len(frames))).astype(int)]
        pixels = (sampled[:, ::4, ::4] if min(frames.shape[1:3]) > 64 else sampled).reshape(-1, 3)
        for name, values in numbers.items():
            self._numbers.setdefault(name, []).append(values)
        self._pixels.setdefault(camera, []).append(pixels)
        self._frames += len(frames)
        return {**{name: spread(values) for name, values in numbers.items()}, camera: _colours(pixels, len(frames))}

    def total(self) -> dict[str, dict[str, Any]]:
        """The statistics of all episodes so far, as JSON keeps them."""
        found = {name: spread(np.concatenate(values)) for name, values in self._numbers.items()}
        return found | {name: _colours(np.concatenate(pixels), self._frames) for name, pixels in self._pixels.items()}


def spread(values: np.ndarray) -> dict[str, Any]:
    """The statistics of rows [n, ...], entry by entry."""
    rows = np.asarray(values, np.float64).reshape(len(values), -1)
    found = {
        "min": np.nanmin(rows, 0),
        "max": np.nanmax(rows, 0),
        "mean": np.nanmean(rows, 0),
        "std": np.nanstd(rows, 0),
    }
    found |= {name: np.nanquantile(rows, share, axis=0) for name, share in QUANTILES.items()}
    return {name: value.tolist() for name, value in found.items()} | {"count": [len(rows)]}


def _colours(pixels: np.ndarray, frames: int) -> dict[str, Any]:
    """Each colour as [[value]], so that it fits a picture [3, H, W]."""
    found = spread(pixels / 255) | {"count": [frames]}
    return {name: value if name == "count" else [[[each]] for each in value] for name, value in found.items()}
