"""A picture of ablated world models: the same held-out rollouts, real and as each variant imagines them, by horizon.

In: the folder that `ablate` filled. Out: one PNG, rows named at their left, horizons above.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wovr_lab.episodes import EpisodeStore
from wovr_lab.experiments.ablations import VARIANTS
from wovr_lab.figures.pictures import named_strip, save_picture

SCALE = 3


def draw_ablations(out: Path, path: Path, seed: int, horizons: tuple[int, ...]) -> None:
    """One rollout of play and one of the base policy, at half a chunk, a chunk and doubling horizons."""
    shown = sorted({4, 8, 16, *horizons, *(horizon * 3 // 4 for horizon in horizons)})
    rows: dict[str, np.ndarray] = {}
    for number, source in enumerate(("play", "base")):
        rows[f"{source}: real"] = EpisodeStore([out / "held_out" / f"{source}.hdf5"])[0].frames
        for name in VARIANTS:
            rows[f"{source}: {name}"] = np.load(out / f"{name}-{seed}" / "films.npy")[number]
    shown = [horizon for horizon in shown if horizon < min(len(frames) for frames in rows.values())]
    films = {name: frames[shown] for name, frames in rows.items()}
    save_picture(path, named_strip(films, [f"{horizon} frames" for horizon in shown], SCALE))
