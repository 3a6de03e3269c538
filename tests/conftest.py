"""What tests of several folders share: episodes made of known noise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from wovr_lab.seeding import stream
from wovr_lab.types import Episode


def noise_episode(
    seed: int,
    length: int = 12,
    size: int = 8,
    task: str = "push_red",
    success_at: int | None = None,
    states: bool = True,
    labels: bool = False,
) -> Episode:
    """An episode whose every frame, action and state is different, so that a shift by one shows."""
    rng = stream(seed, "test episode")
    actions = rng.uniform(-1, 1, (length, 7)).astype(np.float32)
    return Episode(
        task=task,
        instruction=task.replace("_", " the ") + " cube",
        seed=seed,
        frames=rng.integers(0, 256, (length + 1, size, size, 3)).astype(np.uint8),
        actions=actions,
        success=np.arange(length) >= (length if success_at is None else success_at),
        states=rng.normal(size=(length + 1, 5)) if states else None,
        expert_actions=np.clip(actions + 0.1, -1, 1) if labels else None,
    )


@pytest.fixture
def make_episode() -> Callable[..., Episode]:
    return noise_episode
