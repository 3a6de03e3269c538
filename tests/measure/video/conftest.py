"""Videos of moving squares, whose motion and damage are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from wovr_lab.seeding import stream


@pytest.fixture
def make_videos() -> Callable[..., np.ndarray]:
    def make(count: int = 4, frames: int = 33, damage: float = 0.0) -> np.ndarray:
        """uint8 [count, frames, 32, 32, 3]: a bright square wanders over a textured table; `damage` is added noise."""
        rng = stream(0, "videos")
        table = rng.integers(60, 120, (count, 1, 32, 32, 3))
        videos = np.repeat(table, frames, 1)
        for video in videos:
            x, y = rng.integers(4, 20, 2)
            for time, frame in enumerate(video):
                left, top = (x + time // 4) % 24, (y + time // 6) % 24
                frame[top : top + 8, left : left + 8] = (230, 60, 40)
        noise = damage * stream(1, "damage").normal(size=videos.shape)
        return np.clip(videos + noise, 0, 255).round().astype(np.uint8)

    return make
