"""A picture of ablated world models: the same held-out rollouts, real and as each variant imagines them, by depth.

In: the folder that `ablate` filled. Out: one PNG, rows named at their left, error depths above.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wovr_lab.episodes import EpisodeStore
from wovr_lab.experiments.ablations import VARIANTS
from wovr_lab.figures.pictures import named_strip, save_picture

SCALE = 3


def draw_ablations(out: Path, path: Path, seed: int, depths: tuple[int, ...]) -> None:
    """One rollout of play and one of the base policy, at half a chunk, a chunk and doubling depths."""
    shown = sorted({4, 8, 16, *depths, *(depth * 3 // 4 for depth in depths)})
    rows: dict[str, np.ndarray] = {}
    for number, source in enumerate(("play", "base")):
        rows[f"{source}: real"] = EpisodeStore([out / "held_out" / f"{source}.hdf5"])[0].frames
        for name in VARIANTS:
            rows[f"{source}: {name}"] = np.load(out / f"{name}-{seed}" / "films.npy")[number]
    shown = [depth for depth in shown if depth < min(len(frames) for frames in rows.values())]
    films = {name: frames[shown] for name, frames in rows.items()}
    save_picture(path, named_strip(films, [f"{depth} frames" for depth in shown], SCALE))
