"""Prints how fast imagination is, as ratios within this run: to the machine's peak, to the naive loop, GRPO's share,
and how time and memory grow. With `--write` the figures go to data/results/speed.json.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import torch
from cost_growth import cost_growth
from grpo_share import bookkeeping
from naive_loop import against_naive
from roofline import roofline
from timing import Figure

from wovr_lab.publish.results import provenance
from wovr_lab.runs import write_json
from wovr_lab.world.model import WorldModel
from wovr_lab.world.pretraining import load_backbone
from wovr_lab.world.sampler import FlowSampler

COLUMNS = ("roofline_fraction", "frames_per_second", "share_sampling", "share_decoding", "share_policy",
           "share_reward", "speedup_over_naive", "grpo_bookkeeping_share")  # fmt: skip


def shown(figures: list[Figure]) -> list[Figure]:
    """Prints them as they come."""
    for figure in figures:
        row = figure.row()
        print(f"{figure.setting:10} {figure.metric:24} {row['value']:12.4g} [{row['low']:.4g}, {row['high']:.4g}]")
    return figures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("world", nargs="?", default="backbone", help="a world model folder, or the name of a backbone")
    parser.add_argument("--turns", type=int, default=7, help="how often each is timed")
    parser.add_argument("--steps", type=int, default=1, help="sampler steps")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32, 64])
    parser.add_argument("--write", action="store_true", help="write data/results/speed.json")
    chosen = parser.parse_args()
    world = WorldModel.load(Path(chosen.world)) if Path(chosen.world).exists() else load_backbone(chosen.world)
    world.sampler = FlowSampler(chosen.steps)
    figures = [figure for batch in chosen.batches for figure in shown(roofline(world, batch, chosen.turns))]
    figures += shown(against_naive(world, max(chosen.batches), 48, max(1, chosen.turns // 3)))
    figures += shown(bookkeeping(world, max(1, max(chosen.batches) // 8), max(1, chosen.turns // 3)))
    figures += cost_growth(max(1, chosen.turns // 3))
    if chosen.write:
        table = {
            "schema": 1,
            "title": "Speed of imagination",
            "command": f"python benchmarks/imagination_speed.py --turns {chosen.turns} --steps {chosen.steps} --write",
            **provenance(),
            "protocol": {
                "values": "medians over turns in one run, with the least and the greatest; works take turns",
                "machine": f"{os.cpu_count()} cores, {torch.get_num_threads()} threads, no GPU, float32",
                "sampler_steps": chosen.steps,
            },
            "columns": [[name, None] for name in COLUMNS],
            "rows": [figure.row() for figure in figures],
        }
        write_json(Path("data/results/speed.json"), table)
