"""What actions do in both worlds, in pictures (paper section 2: dual-channel actions)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from wovr_lab.figures.style import IMAGINED, INK, OTHERS, error_bars, styled
from wovr_lab.measure.tabletop.control import STILL_HAND
from wovr_lab.types import Interval

COLOURS = {"both": IMAGINED, "modulation": OTHERS[2], "attention": OTHERS[1], STILL_HAND: OTHERS[0]}
LABELS = {"both": "both channels", "modulation": "modulation left", "attention": "attention left"}


def agreement_figure(found: Mapping[str, Interval], strength: Mapping[str, float]) -> go.Figure:
    """Correlation of imagined with real effects by the action channels that are left, with intervals, and beside it how
    strong the imagined effects are. In: by the names of `COLOURS`."""
    rates = list(found.values())
    names = [LABELS.get(name, name) for name in found]
    figure = go.Figure()
    figure.add_bar(
        x=names, y=[rate.rate for rate in rates], name="agrees with the real effect (correlation)", offsetgroup=0,
        marker_color=[COLOURS[name] for name in found], text=[f"{rate.rate:.2f}" for rate in rates],
        insidetextanchor="start", textposition="inside",
        error_y=error_bars(rates),
    )  # fmt: skip
    figure.add_bar(
        x=names, y=[strength[name] for name in found], name="its size, as a share of the real effect's", offsetgroup=1,
        marker={"color": "white", "line": {"color": [COLOURS[name] for name in found], "width": 2}},
        text=[f"{strength[name]:.0%}" for name in found], insidetextanchor="start", textposition="inside",
        insidetextfont_color=INK,
    )  # fmt: skip
    figure.update_yaxes(title_text="1 is perfect", range=[0, 1.15])
    return styled(figure, 360).update_layout(barmode="group", legend_font_color=INK)


def visible(effect: np.ndarray) -> np.ndarray:
    """Effects int16 [..., H, W, 3] as uint8 pictures: grey where nothing changes, brighter or darker where it does."""
    return (128 + effect // 2).clip(0, 255).astype(np.uint8)
