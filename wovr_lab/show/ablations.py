"""A picture of ablated world models: the same held-out rollouts, real and as each variant imagines them, by depth.

In: the folder that `ablate` filled. Out: one PNG, rows named at their left, error depths above.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from wovr_lab.episodes import EpisodeStore
from wovr_lab.pace.ablations import VARIANTS
from wovr_lab.show.pictures import save_picture, strip

SCALE, MARGIN, LINE = 3, 150, 22


def draw_ablations(out: Path, path: Path, seed: int, depths: tuple[int, ...]) -> None:
    """One rollout of play and one of the base policy, at half a chunk, a chunk and doubling depths."""
    shown = sorted({4, 8, 16, *depths, *(depth * 3 // 4 for depth in depths)})
    rows: dict[str, np.ndarray] = {}
    for number, source in enumerate(("play", "base")):
        rows[f"{source}: real"] = EpisodeStore([out / "held_out" / f"{source}.hdf5"])[0].frames
        for name in VARIANTS:
            rows[f"{source}: {name}"] = np.load(out / f"{name}-{seed}" / "films.npy")[number]
    shown = [depth for depth in shown if depth < min(len(frames) for frames in rows.values())]
    films = strip([frames[shown] for frames in rows.values()], SCALE)
    canvas = Image.new("RGB", (films.shape[1] + MARGIN, films.shape[0] + LINE), "white")
    canvas.paste(Image.fromarray(films), (MARGIN, LINE))
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(12)
    height, width = films.shape[0] / len(rows), films.shape[1] / len(shown)
    for row, name in enumerate(rows):
        pen.text((4, LINE + (row + 0.5) * height), name.replace("_", " "), "black", font, anchor="lm")
    for column, depth in enumerate(shown):
        pen.text((MARGIN + (column + 0.5) * width, LINE / 2), f"{depth} frames", "black", font, anchor="mm")
    save_picture(path, np.asarray(canvas))
