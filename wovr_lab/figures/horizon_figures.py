"""How far imagined films are from real ones, by horizon (paper section 2, Table 4). In: values of rollouts. Out: a
figure with 95 % bands."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from wovr_lab.figures.style import IMAGINED, OTHERS, QUIET, styled
from wovr_lab.measure.error_by_horizon import horizons
from wovr_lab.measure.intervals import percentile_bounds

BANDS = 2  # of the first lines; more would hide each other


def error_by_horizon_figure(errors: dict[str, np.ndarray], copied: np.ndarray) -> go.Figure:
    """PSNR by name [N, C] of `error_by_horizon`, the whole model first; `copied` is that of repeating the first
    frame, which a world model must beat."""
    figure = go.Figure()
    for number, ((name, values), colour) in enumerate(zip(errors.items(), (IMAGINED, *OTHERS), strict=False)):
        if number < BANDS:
            _band(figure, values, colour)
        _line(figure, values, name, colour, "solid")
    _line(figure, copied, "first frame copied", QUIET, "dash")
    figure.update_xaxes(title_text="horizon: imagined frames since the last real frame", rangemode="tozero")
    figure.update_yaxes(title_text="PSNR (dB)")
    return styled(figure, 440)


def _band(figure: go.Figure, values: np.ndarray, colour: str) -> None:
    """The 95 % interval of the mean over rollouts."""
    low, high = percentile_bounds(lambda rows: rows.mean(0), values)
    x = horizons(values)
    figure.add_scatter(
        x=[*x, *x[::-1]], y=[*high, *low[::-1]], fill="toself", fillcolor=colour, opacity=0.12, line_width=0,
        mode="lines", showlegend=False, hoverinfo="skip",
    )  # fmt: skip


def _line(figure: go.Figure, values: np.ndarray, name: str, colour: str, dash: str) -> None:
    figure.add_scatter(
        x=horizons(values), y=values.mean(0), name=name, mode="lines+markers", line={"color": colour, "dash": dash},
        hovertemplate="%{y:.1f} dB at horizon %{x}",
    )  # fmt: skip
