"""Paired rollouts made by hand: what both worlds did is what a test says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from wovr_lab.measure.paired import PairedRollouts


def latched(first: list[int], length: int) -> np.ndarray:
    """bool [N, length]: success from action `first` on, never where it is -1."""
    at = np.array(first)[:, None]
    return (np.arange(length) >= at) & (at >= 0)


def paired(
    imagined: list[int],
    real: list[int],
    length: int = 16,
    tasks: tuple[str, ...] | None = None,
    alone: list[bool] | None = None,
    cube_error: float = 0.0,
) -> PairedRollouts:
    """Rollouts by the index of their first success; the probe sees imagined cubes `cube_error` metres off."""
    count = len(imagined)
    truth = np.zeros((count, length + 1, 10), np.float32)
    found = truth.copy()
    found[..., [4, 7]] = cube_error
    return PairedRollouts(
        tasks=tasks or ("push_red",) * count,
        imagined_success=latched(imagined, length),
        real_success=latched(real, length),
        alone=np.array(alone or [first >= 0 for first in real]),
        probability=latched(imagined, length).astype(np.float32),
        psnr=np.full((count, length), 20.0, np.float32),
        found=found,
        seen=truth.copy(),
        truth=truth,
        imagined_violations=np.zeros((count, 3), bool),
        real_violations=np.zeros((count, 3), bool),
    )


@pytest.fixture
def make_pairs() -> Callable[..., PairedRollouts]:
    return paired
