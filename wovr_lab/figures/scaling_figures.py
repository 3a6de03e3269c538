"""What larger models and runs take (paper section 2): memory by number of GPUs, seconds by stage, time and memory as an
imagined rollout grows. Out: figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from wovr_lab.errors import UserError
from wovr_lab.figures.style import INK, OTHERS, QUIET, REAL, plain, styled
from wovr_lab.figures.wording import spaced

TIMES = [1, 2, 4, 8, 16, 32, 64]


def memory_figure(devices: Sequence[int], gigabytes: dict[str, Sequence[float]], limit: float) -> go.Figure:
    """GB on each of so many GPUs, a line a setting, on logarithmic axes; `limit` is what one of them has."""
    figure = go.Figure()
    for (name, values), colour in zip(gigabytes.items(), (REAL, *OTHERS), strict=False):
        figure.add_scatter(
            x=list(devices), y=list(values), name=name, mode="lines+markers", line_color=colour,
            hovertemplate="%{y:.0f} GB on each of %{x}",
        )  # fmt: skip
    figure.add_hline(limit, line={"color": QUIET, "dash": "dash"})
    figure.update_xaxes(title_text="GPUs", type="log", tickvals=list(devices), ticktext=[str(d) for d in devices])
    figure.update_yaxes(title_text="memory (GB a GPU)", type="log", tickvals=[5, 10, 20, 40, 80, 160])
    return styled(figure, 360)


def stages_figure(estimated: dict[str, float], recorded: dict[str, float]) -> go.Figure:
    """Seconds of each stage that was estimated, beside what it took in a run."""
    figure, names = go.Figure(), list(estimated)
    for name, seconds, colour in (
        ("estimated, this machine", estimated, INK),
        ("recorded, shipped run", recorded, REAL),
    ):
        figure.add_bar(
            y=[plain(spaced(stage)) for stage in names], x=[seconds.get(stage) for stage in names], name=name,
            orientation="h", marker_color=colour, hovertemplate="%{x:.0f} s",
        )  # fmt: skip
    figure.update_xaxes(title_text="seconds")
    figure.update_yaxes(autorange="reversed", ticks="")
    return styled(figure, 120 + 44 * len(names))


def growth_figure(rows: Sequence[dict[str, Any]]) -> go.Figure:
    """How often the time and memory of an axis' least setting are taken by its others, a line an axis, on logarithmic
    axes. In: rows of a speed table whose settings are `growth/AXIS_VALUE`. Raises UserError if there are none."""
    measured: dict[tuple[str, str], dict[int, float]] = {}
    for row in rows:
        if row["setting"].startswith("growth/"):
            axis, value = row["setting"].removeprefix("growth/").split("_")
            measured.setdefault((axis, row["metric"]), {})[int(value)] = row["value"]
    if not measured:
        raise UserError("this table has no growth/ rows; make them with benchmarks/imagination_speed.py --write")
    axes = list(dict.fromkeys(axis for axis, _ in measured))
    figure = make_subplots(1, 2, horizontal_spacing=0.14)
    for column, (metric, title) in enumerate((("seconds", "time"), ("mebibytes", "memory")), 1):
        for axis, colour in zip(axes, (REAL, *OTHERS), strict=False):
            values = dict(sorted(measured[axis, metric].items()))
            least, first = next(iter(values.items()))
            figure.add_scatter(
                x=[value / least for value in values], y=[found / first for found in values.values()], name=axis,
                mode="lines+markers", line_color=colour, showlegend=column == 1, legendgroup=axis,
                text=[f"{axis} {value}: {found:.3g} {metric}" for value, found in values.items()],
                hovertemplate="%{text}<extra></extra>", row=1, col=column,
            )  # fmt: skip
        figure.update_xaxes(title_text="times as large", type="log", tickvals=TIMES, row=1, col=column)
        # one range, so that both can be compared
        span = {"type": "log", "tickvals": TIMES, "range": [-0.1, 1.6]}
        figure.update_yaxes(title_text=f"{title}, times as much", **span, row=1, col=column)
    return styled(figure, 380)
