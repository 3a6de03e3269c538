"""Time and memory of imagination as batch, depth, resolution and sampler steps grow, one at a time.

Each setting runs in a process of its own, so that its memory is its own: the greatest resident size less what the
process had before it imagined anything. Linux counts both in /proc; getrusage's greatest size would not do, since a
process that is started inherits that of the one that starts it.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch
from timing import Figure, in_turns

from wovr_lab.real.tabletop.chunk_env import initial_start
from wovr_lab.types import CHUNK, NOOP
from wovr_lab.world.codec import FrameGroupCodec
from wovr_lab.world.model import WorldModel
from wovr_lab.world.sampler import FlowSampler
from wovr_lab.world.transformer import WHOLE_WINDOW, ActionWanTransformer


@dataclass(frozen=True)
class Size:
    """One way to imagine; the defaults are the demo's."""

    batch: int = 32
    depth: int = 8  # frames
    resolution: int = 32  # pixels, with latent cells of 4
    steps: int = 1


AXES = {
    "batch": (1, 8, 32, 64),  # time grows slower than the batch while the cores are not busy, then with it
    "depth": (8, 32, 128),  # a chunk after the other from a context of one size: time grows with it, memory does not
    "resolution": (32, 64),  # four times the tokens, and attention grows with their square
    "steps": (1, 3, 5, 10),  # each is one forward pass; decoding is paid once
}


def measure(size: Size, turns: int) -> tuple[list[float], float]:
    """(seconds of every turn, MiB)."""
    codec = FrameGroupCodec(resolution=size.resolution)
    world = WorldModel(codec, ActionWanTransformer(WHOLE_WINDOW), sampler=FlowSampler(size.steps)).eval()
    start = initial_start("push_red", 0, size.resolution)
    actions = torch.as_tensor(NOOP).expand(size.batch, CHUNK, -1)

    def rollout() -> None:
        context, generators = (
            world.initial_context([start] * size.batch),
            [torch.Generator() for _ in range(size.batch)],
        )
        for _ in range(size.depth // CHUNK):
            context = world.imagine(context, actions, generators).context

    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the greatest size counts from here on
    seconds = in_turns({"rollout": rollout}, turns)["rollout"]
    return seconds, resident("VmHWM") - before


def resident(kind: str) -> float:
    """MiB of this process in memory: now ("VmRSS") or at most ("VmHWM")."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(kind))
    return int(line.split()[1]) / 1024


def cost_growth(turns: int) -> list[Figure]:
    """Seconds and MiB of a rollout along each axis."""
    figures = []
    with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for axis, values in AXES.items():
            for value in values:
                seconds, memory = pool.apply(measure, (Size(**{axis: value}), turns))
                setting = f"{axis}_{value}"
                figures.append(Figure(f"growth/{setting}", "seconds", tuple(seconds)))
                figures.append(Figure(f"growth/{setting}", "mebibytes", (memory,)))
                print(f"{setting:16} {statistics.median(seconds):8.3f} s {memory:8.0f} MiB", flush=True)
    return figures
