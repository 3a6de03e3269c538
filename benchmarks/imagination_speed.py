"""Prints imagined frames a second of the shipped world model by sampler steps and batch, and what decoding takes."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from wovr_lab.real.chunks import initial_start
from wovr_lab.types import CHUNK, HOLD
from wovr_lab.world.model import WorldModel
from wovr_lab.world.pretraining import load_backbone


def median_seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Of `repeats` calls after one warm-up."""
    work()
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def measure(world: WorldModel, batch: int, steps: int) -> tuple[float, float]:
    """(imagined frames a second, share of the time spent decoding)."""
    world.sampler.steps = steps
    context = world.begin([initial_start("push_red", 0, world.codec.config.resolution)] * batch)
    actions = torch.as_tensor(HOLD).expand(batch, CHUNK, -1)
    generators = [torch.Generator().manual_seed(row) for row in range(batch)]
    latents = torch.zeros(batch * 2, *world.codec.latent_shape)
    whole = median_seconds(lambda: world.imagine(context, actions, generators))
    return batch * CHUNK / whole, median_seconds(lambda: world.codec.decode(latents)) / whole


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("world", nargs="?", default="backbone", help="a world model folder, or the name of a backbone")
    folder = parser.parse_args().world
    chosen = WorldModel.load(Path(folder)) if Path(folder).exists() else load_backbone(folder)
    for batch in (1, 8, 64):
        for steps in (1, 2, 5):
            speed, decoding = measure(chosen, batch, steps)
            print(f"batch {batch:3d}, {steps} steps: {speed:6.0f} frames/s, decoding {decoding:.0%}")
