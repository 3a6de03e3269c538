"""Figures of a measurement: outcomes in both worlds, error by horizon, control, cases of the gallery.

In: parts of measure.json, cases of the gallery. Out: plotly figures; real is blue, imagined is vermillion.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from wovr_lab.figures.style import BASE, IMAGINED, OTHERS, QUIET, REAL, error_bars, styled
from wovr_lab.figures.wording import interval, spaced
from wovr_lab.measure.tabletop.gallery import Case
from wovr_lab.measure.tabletop.probes import object_columns

AXES, WAYS = "xyz", ("rightwards in the picture", "downwards in the picture", "away from the camera")
CURVES = {  # title, unit of the axis
    "psnr_db": "picture: PSNR (dB)",
    "object_cm": "the task's cube: median error (cm)",
    "hand_cm": "the hand: median error (cm)",
    "disagreement": "outcomes that differ",
}


def who(row: dict[str, Any]) -> str:
    """A row's policy and world model, e.g. "base policy, evolved world"."""
    return f"{row['policy']} policy, {row['world']} world"


def outcomes_figure(confusion: Sequence[dict[str, Any]]) -> go.Figure:
    """Success of the same policy three ways, a line for each policy, world model and kind of start."""
    rows = [row for row in confusion if row["task"] == "all" and row["start"] != "all"]
    names = [f"{who(row)}<br>{row['start']} starts" for row in rows]
    ways = (
        ("imagined", IMAGINED, "circle", lambda row: row["imagined"]),
        ("the same actions, real", REAL, "circle", lambda row: row["paired"]["real"]),
        ("the policy on its own, real", BASE, "diamond", lambda row: row["closed_loop"]["real"]),
    )
    figure = go.Figure()
    for shift, (name, colour, symbol, pick) in enumerate(ways):
        rates = [interval(pick(row)) for row in rows]
        figure.add_scatter(
            x=[rate.rate for rate in rates], y=[place - 0.2 * (1 - shift) for place in range(len(rows))],
            error_x=error_bars(rates, colour),
            mode="markers", name=name, marker={"size": 11, "color": colour, "symbol": symbol},
            customdata=[rate.n for rate in rates], hovertemplate="%{x:.1%}, n = %{customdata}",
        )  # fmt: skip
    figure.update_xaxes(title_text="success (95 % interval)", tickformat=".0%", range=[-0.02, 1.02])
    figure.update_yaxes(tickvals=list(range(len(rows))), ticktext=names, autorange="reversed", ticks="")
    return styled(figure, 150 + 58 * len(rows))


def horizon_figure(horizon: Sequence[dict[str, Any]], policy: str, world: str) -> go.Figure:
    """Four curves with 95 % bands against horizon, initial starts against keyframe starts on one axis."""
    figure = make_subplots(2, 2, subplot_titles=list(CURVES.values()), vertical_spacing=0.17, horizontal_spacing=0.11)
    for row in horizon:
        if (row["policy"], row["world"]) != (policy, world):
            continue
        colour = IMAGINED if row["start"] == "initial" else OTHERS[0]
        for place, name in enumerate(CURVES):
            _band(figure, row["curves"][name], colour, f"{row['start']} starts", place, legend=place == 0)
        if row["start"] == "initial":
            _band(figure, row["curves"]["probe_object_cm"], REAL, "the probe's own error on real frames", 1, True)
    figure.update_xaxes(rangemode="tozero")
    for column in (1, 2):
        figure.update_xaxes(
            title_text="horizon: imagined frames since the last real one", title_font_size=13, row=2, col=column
        )
    figure.update_yaxes(rangemode="tozero")
    figure.update_yaxes(rangemode="normal", row=1, col=1)
    figure.update_yaxes(tickformat=".0%", row=2, col=2)
    return styled(figure, 620).update_layout(legend_y=1.06)


def _band(figure: go.Figure, curve: list[dict[str, float]], colour: str, name: str, place: int, legend: bool) -> None:
    where = {"row": place // 2 + 1, "col": place % 2 + 1}
    horizons = [point["depth"] for point in curve]
    figure.add_scatter(
        x=[*horizons, *horizons[::-1]], y=[*(p["high"] for p in curve), *(p["low"] for p in reversed(curve))],
        fill="toself", fillcolor=colour, opacity=0.15, line_width=0, mode="lines", hoverinfo="skip", showlegend=False,
        **where,
    )  # fmt: skip
    figure.add_scatter(
        x=horizons, y=[point["rate"] for point in curve], mode="lines", line_color=colour, name=name, legendgroup=name,
        showlegend=legend, customdata=[point["n"] for point in curve],
        hovertemplate="%{y:.3g} at horizon %{x}, n = %{customdata}", **where,
    )  # fmt: skip


def control_figure(control_points: dict[str, Any]) -> go.Figure:
    """Displacements of the hand by counterfactual chunks, real against imagined, by direction. In: cm [N][6][3]."""
    figure = make_subplots(1, 3, subplot_titles=[f"{way} (cm)" for way in WAYS], horizontal_spacing=0.08)
    for axis in range(3):
        real, imagined = (
            [move[axis] for start in control_points[world] for move in start] for world in ("real", "imagined")
        )
        ends = [min(real) - 1, max(real) + 1]
        figure.add_scatter(
            x=ends, y=ends, mode="lines", line={"color": QUIET, "dash": "dash", "width": 1}, hoverinfo="skip",
            showlegend=False, row=1, col=axis + 1,
        )  # fmt: skip
        figure.add_scatter(
            x=real, y=imagined, mode="markers", marker={"size": 5, "color": IMAGINED, "opacity": 0.5},
            showlegend=False, row=1, col=axis + 1, hovertemplate="real %{x:.1f}, imagined %{y:.1f}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title_text="real", title_font_color=REAL)
    figure.update_yaxes(title_text="imagined", title_font_color=IMAGINED, col=1)
    return styled(figure, 360)


def track_figure(case: Case) -> go.Figure:
    """Where the task's cube is, in truth and as the probe reads it in the imagined frames, by axis, at one scale."""
    figure = make_subplots(1, 3, subplot_titles=[f"{axis} (cm)" for axis in AXES], horizontal_spacing=0.07)
    columns = object_columns([case.about["task"]])[0]
    tracks = 100 * np.concatenate([case.truth, case.found])[:, columns]
    middle, span = (tracks.max(0) + tracks.min(0)) / 2, 1.1 * np.ptp(tracks, axis=0).max()
    for axis, column in enumerate(columns):
        figure.update_yaxes(range=[middle[axis] - span / 2, middle[axis] + span / 2], row=1, col=axis + 1)
        for name, track, colour in (("real", case.truth, REAL), ("imagined", case.found, IMAGINED)):
            figure.add_scatter(
                y=100 * track[:, column], mode="lines", line_color=colour, name=name, showlegend=axis == 0,
                row=1, col=axis + 1,
            )  # fmt: skip
    figure.update_xaxes(title_text="imagined frames", title_font_size=12)
    return styled(figure, 250).update_layout(margin={"t": 46, "b": 30}, legend_y=1.1)


def case_title(about: dict[str, Any]) -> str:
    """What a mined case is, in short. In: `Case.about`."""
    kinds = {
        "imagined_only": "Imagined success, real failure",
        "real_only": "Real success that imagination missed",
        "lost_object": "The same outcome, but the cube was lost",
    }
    return f"{kinds[about['kind']]}: {spaced(about['task'])}, {who(about)}"


def case_sentence(about: dict[str, Any]) -> str:
    """The case's title with where it began and how far the cube went astray."""
    return (
        f"{case_title(about)}, {about['start']} start (seed {about['seed']}, action {about['step']}), "
        f"cube off by up to {about['object_cm']:.1f} cm"
    )
