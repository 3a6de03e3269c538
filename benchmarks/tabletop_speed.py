"""Prints rendered steps a second of one tabletop on one core: physics plus one picture a step, median of repeats."""

from __future__ import annotations

import statistics
import time

import gymnasium
import numpy as np

import wovr_lab  # noqa: F401 (registers the tabletop)
from wovr_lab.real.env import RealEnv


def steps_per_second(resolution: int, steps: int) -> float:
    """Speed of a random walk in `wovr_lab/Tabletop-v0`."""
    env = gymnasium.make("wovr_lab/Tabletop-v0", resolution=resolution).unwrapped
    assert isinstance(env, RealEnv)
    env.reset(seed=0)
    actions = np.random.default_rng(0).uniform(-1, 1, (steps, 7)).astype(np.float32)
    began = time.perf_counter()
    for action in actions:
        env.step(action)
    return steps / (time.perf_counter() - began)


if __name__ == "__main__":
    for resolution, steps in ((32, 1000), (64, 1000), (256, 60)):
        rates = [steps_per_second(resolution, steps) for _ in range(5)]
        print(f"{resolution:3d} pixels: {statistics.median(rates):7.0f} steps/s (best {max(rates):.0f})")
