"""Figures of a run: success, learning, training, time. In: parts of report.json, rows of metrics.jsonl. Out: figures.

Pure functions: the same in a notebook, in the report and in the inspector. Rates are fractions on axes in per cent.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from wovr_lab.figures.style import BASE, IMAGINED, IMPROVED, OTHERS, QUIET, REAL, error_bars, plain, styled
from wovr_lab.figures.wording import SAMPLED, interval, setting_name, settings, spaced
from wovr_lab.types import Interval

PHASES = ("improve_1", "improve_2")  # GRPO before and after PACE's refinement
GRPO_MEASURES = {
    "mixed_groups": "groups with mixed outcomes",
    "entropy": "entropy (nats a token)",
    "approx_kl": "KL to the rollouts' policy (nats)",
    "clip_fraction": "clipped share of tokens",
}
LABEL = 17  # letters in a line below bars; LIBERO's names of tasks have up to ninety
Curve = list[tuple[int, float | None]]


@dataclass(frozen=True)
class Bars:
    """One method's bars: a rate, or nothing, in each group."""

    name: str
    colour: str
    rates: Sequence[Interval | None]


def success_bars(success: dict[str, Any], sampled: str = "sampled") -> go.Figure:
    """Real success by method, greedy and sampled, with Wilson intervals. In: report.json's `success`."""
    names = settings(success)
    suffixes = {"greedy": "", sampled: SAMPLED}
    groups = [group for group, suffix in suffixes.items() if any(interval(success.get(n + suffix)) for n in names)]
    rows = [[interval(success.get(name + suffixes[group])) for group in groups] for name in names]
    return _grouped_bars(groups, _bars(names, rows))


def success_by_task_bars(by_task: dict[str, Any]) -> go.Figure:
    """Real greedy success by task and method. In: report.json's `success_by_task`."""
    names = settings({name: rate for rates in by_task.values() for name, rate in rates.items()})
    rows = [[interval(rates.get(name)) for rates in by_task.values()] for name in names]
    return _grouped_bars([spaced(task) for task in by_task], _bars(names, rows))


def _bars(names: list[str], rows: list[list[Interval | None]]) -> list[Bars]:
    own = {"base": BASE, "wovr": IMPROVED}
    others = iter(OTHERS * len(names))
    return [Bars(setting_name(n), own.get(n) or next(others), row) for n, row in zip(names, rows, strict=True)]


def _grouped_bars(groups: list[str], series: list[Bars]) -> go.Figure:
    """Bars side by side in each group, the number above the interval."""
    figure = go.Figure()
    width = 0.8 / max(len(series), 1)
    for index, bars in enumerate(series):
        offset = (index - (len(series) - 1) / 2) * width
        known = [(group + offset, rate) for group, rate in enumerate(bars.rates) if rate and rate.n]
        places, rates = [x for x, _ in known], [rate for _, rate in known]
        figure.add_bar(
            x=places, y=[r.rate for r in rates], width=0.9 * width, name=plain(bars.name), marker_color=bars.colour,
            error_y=error_bars(rates), customdata=[[r.n, r.low, r.high] for r in rates],
            hovertemplate="%{y:.1%} [%{customdata[1]:.1%}, %{customdata[2]:.1%}], n = %{customdata[0]}",
        )  # fmt: skip
        figure.add_scatter(
            x=places, y=[r.high for r in rates], text=[f"{r.rate:.0%}" for r in rates], mode="text",
            textposition="top center", showlegend=False, hoverinfo="skip", cliponaxis=False,
        )  # fmt: skip
    ends = [-0.6, len(groups) - 0.4]
    names = [_folded(group) for group in groups]
    figure.update_xaxes(tickvals=list(range(len(groups))), ticktext=names, tickangle=0, range=ends)
    figure.update_yaxes(title_text="real success (95 % interval)", tickformat=".0%", range=[0, 1.08])
    return styled(figure)


def _folded(name: str) -> str:
    return "<br>".join(plain(line) for line in textwrap.wrap(name, LABEL))


def learning_curve(rows: Sequence[dict[str, Any]]) -> go.Figure:
    """Imagined and real success over the GRPO iterations of both phases, PACE between them. In: metrics rows.

    All stand at the iteration that logged them. Real success was measured for the report only and not used for
    checkpoint selection; the monitor's checks choose the policy that is kept.
    """
    figure = go.Figure()
    begin = 0
    for number, phase in enumerate(PHASES):
        imagined = [row for row in rows if row["phase"] == phase and "reward" in row]
        real = [row for row in rows if row["phase"] == f"{phase}/real"]
        monitored = [row for row in rows if row["phase"] == f"{phase}/monitor"]
        if not imagined and not real:
            continue
        if begin:
            figure.add_vline(x=begin, line_color=QUIET, line_dash="dot")
            figure.add_annotation(
                x=begin, y=0, yref="paper", xanchor="left", yanchor="bottom", showarrow=False, text="PACE",
                font_color=QUIET,
            )  # fmt: skip
        _learning_lines(figure, imagined, real, begin, legend=number == 0 or not begin)
        if monitored:
            _monitor_line(figure, monitored, begin, legend=number == 0 or not begin)
        begin += max([row["step"] + 1 for row in imagined] + [row["step"] for row in real])
    figure.update_xaxes(title_text="GRPO iteration", range=[-0.5, begin + 0.5])
    figure.update_yaxes(title_text="success", tickformat=".0%", range=[0, 1.03])
    return styled(figure, 420)


def _learning_lines(figure: go.Figure, imagined: list[dict], real: list[dict], begin: int, legend: bool) -> None:
    figure.add_scatter(
        x=[begin + row["step"] for row in imagined], y=[row["reward"] for row in imagined], mode="lines+markers",
        name="imagined (sampled, as trained)", legendgroup="imagined", showlegend=legend, marker_size=4,
        line_color=IMAGINED, hovertemplate="%{y:.1%} imagined",
    )  # fmt: skip
    rates = [Interval(row["success"], int(row["n"]), row["low"], row["high"]) for row in real]
    figure.add_scatter(
        x=[begin + row["step"] for row in real], y=[rate.rate for rate in rates], error_y=error_bars(rates, REAL),
        mode="lines+markers", name="real (95 % interval)", legendgroup="real", showlegend=legend, marker_size=9,
        line_color=REAL, customdata=[rate.n for rate in rates], hovertemplate="%{y:.1%} real, n = %{customdata}",
    )  # fmt: skip


def _monitor_line(figure: go.Figure, monitored: list[dict], begin: int, legend: bool) -> None:
    seen = [row for row in monitored if row["n"]]
    rates = [Interval(row["precision"], int(row["n"]), row["low"], row["high"]) for row in seen]
    figure.add_scatter(
        x=[begin + row["step"] for row in seen], y=[rate.rate for rate in rates], error_y=error_bars(rates, QUIET),
        mode="lines+markers", name="imagined successes that are real (monitor)", legendgroup="monitor",
        showlegend=legend, marker_symbol="diamond", marker_size=8, line=dict(color=QUIET, dash="dot"),
        customdata=[rate.n for rate in rates], hovertemplate="%{y:.1%} of %{customdata} imagined successes are real",
    )  # fmt: skip


def training_curves(rows: Sequence[dict[str, Any]]) -> go.Figure:
    """Loss by step of all that was trained by gradient descent on data, one panel each. In: metrics rows."""
    phases = dict.fromkeys(row["phase"] for row in rows if "loss" in row and row["phase"].split("/")[0] not in PHASES)
    curves = {
        spaced(phase): [(row["step"], row["loss"]) for row in rows if row["phase"] == phase and "loss" in row]
        for phase in phases
    }
    return _panels(curves, "step", QUIET, logarithmic=True)


def grpo_curves(rows: Sequence[dict[str, Any]]) -> go.Figure:
    """How GRPO behaved in imagination, one panel a measure, both phases in a row. In: metrics rows."""
    before, after = ([row for row in rows if row["phase"] == phase] for phase in PHASES)
    begin = max((row["step"] + 1 for row in before), default=0)
    curves: dict[str, Curve] = {}
    for measure, title in GRPO_MEASURES.items():
        first = [(row["step"], row[measure]) for row in before if measure in row]
        second = [(begin + row["step"], row[measure]) for row in after if measure in row]
        if first or second:
            curves[title] = [*first, (begin, None), *second]  # a line that ends and begins again
    return _panels(curves, "GRPO iteration", IMAGINED)


def _panels(curves: dict[str, Curve], x_title: str, colour: str, logarithmic: bool = False) -> go.Figure:
    """Small panels, two in a row, a curve in each."""
    lines = max(1, math.ceil(len(curves) / 2))
    figure = make_subplots(
        lines, 2, subplot_titles=[plain(title) for title in curves],
        vertical_spacing=0.3 / lines, horizontal_spacing=0.14,
    )  # fmt: skip
    for index, curve in enumerate(curves.values()):
        row, column = index // 2 + 1, index % 2 + 1
        figure.add_scatter(
            x=[x for x, _ in curve], y=[y for _, y in curve], mode="lines", line_color=colour, showlegend=False,
            row=row, col=column,
        )  # fmt: skip
        figure.update_xaxes(title_text=x_title if index + 2 >= len(curves) else "", row=row, col=column)
        scale = {"type": "log", "title_text": "loss", "nticks": 6} if logarithmic else {"rangemode": "tozero"}
        figure.update_yaxes(row=row, col=column, **scale)
    return styled(figure, 230 * lines + 60)


def stage_times(stages: Sequence[dict[str, Any]]) -> go.Figure:
    """How long each stage took, in minutes, or in seconds if all of it took less than three minutes."""
    total = sum(stage["seconds"] for stage in stages)
    unit, divisor = ("seconds", 1) if total < 180 else ("minutes", 60)
    amounts = [stage["seconds"] / divisor for stage in stages]
    figure = go.Figure()
    figure.add_bar(
        x=amounts, y=[plain(spaced(stage["name"])) for stage in stages], orientation="h", marker_color=QUIET,
        text=[f"{amount:.1f}" for amount in amounts], textposition="outside", cliponaxis=False, hoverinfo="skip",
    )  # fmt: skip
    figure.update_xaxes(title_text=f"{unit} (total {total / divisor:.1f})", rangemode="tozero")
    figure.update_yaxes(autorange="reversed", ticks="")
    return styled(figure, 110 + 28 * len(stages)).update_layout(margin_t=10)
