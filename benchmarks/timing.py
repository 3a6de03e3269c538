"""How everything here is timed: works take turns in one run, and what is reported are ratios within a turn."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

Work = Callable[[], object]


@dataclass(frozen=True)
class Figure:
    """One measured number: the median over the turns, with the least and the greatest."""

    setting: str
    metric: str
    values: tuple[float, ...]

    def row(self) -> dict[str, Any]:
        """The entry in a results file."""
        return {
            "setting": self.setting, "metric": self.metric, "task": "all", "depth": None,
            "value": statistics.median(self.values), "low": min(self.values), "high": max(self.values),
            "n": len(self.values), "seeds": [], "per_seed": [],
        }  # fmt: skip


@torch.inference_mode()
def in_turns(works: dict[str, Work], turns: int) -> dict[str, list[float]]:
    """Seconds of each work in every turn, after one warm-up turn."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(turns + 1):
        for name, work in works.items():
            begin = time.perf_counter()
            work()
            if turn:
                seconds[name].append(time.perf_counter() - begin)
    return seconds


@torch.inference_mode()
def flops(work: Work) -> int:
    """Multiplications and additions of matmuls, convolutions and attention, two for each pair."""
    # the counter does not know the CPU's fused attention; unfused, it is two matmuls, which it does
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        work()
    return counter.get_total_flops()


def matmul(size: int = 2048) -> tuple[Work, int]:
    """A float32 matrix product as large as keeps this machine busiest, and its operations."""
    first, second = torch.randn(2, size, size)
    return lambda: first @ second, 2 * size**3
