"""Learning curves with each part of the simulator learnt or replaced by the truth, as a page.

In: a table of `publish.curve_table`. Out: a figure, and the page with the table below it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from wovr_lab.figures.style import IMAGINED, OTHERS, REAL, error_bars, styled
from wovr_lab.figures.wording import percent
from wovr_lab.report.markup import page, plot, section, table
from wovr_lab.report.tables import Table
from wovr_lab.runs import write_text
from wovr_lab.types import Interval

NAMES = {
    "real_simulator_true_reward": "real simulator, true reward (the ceiling)",
    "real_simulator_learnt_reward": "real simulator, learnt reward",
    "learnt_simulator_true_reward": "learnt simulator, true outcomes",
    "learnt_simulator_learnt_reward": "both learnt",
}
LOOKS = {  # colour and line of each setting: real frames are blue or green, imagined ones vermillion or orange
    "real_simulator_true_reward": (REAL, "solid"),
    "real_simulator_learnt_reward": (OTHERS[0], "dash"),
    "learnt_simulator_true_reward": (OTHERS[2], "dash"),
    "learnt_simulator_learnt_reward": (IMAGINED, "solid"),
}
EXPLANATION = (
    "Greedy real success on starts that were not used for training or selection, after so many updates of the same "
    "GRPO from the same base policies, on the same starts and with the same noise. Where a learnt part keeps up with "
    "the ceiling, RL in it is worth as much as RL in the real simulator; where its curve turns away, RL has begun to "
    "exploit it."
)


def draw_learning_curve(found: dict[str, Any], out: Path) -> None:
    """Writes the page."""
    parts = (plot(learning_curve_figure(found), "learning-curve"), table(learning_curve_table(found)))
    write_text(out, page("Learning curves", section("Learning curves", EXPLANATION, *parts)))


def learning_curve_figure(found: dict[str, Any]) -> go.Figure:
    """Real success against updates, a line a setting with 95 % intervals; dotted what the simulator believed."""
    figure = go.Figure()
    for setting, name in NAMES.items():
        rows = _rows(found, setting, "success")
        if not rows:
            continue
        colour, dash = LOOKS[setting]
        figure.add_scatter(
            x=[row["depth"] for row in rows], y=[row["value"] for row in rows], name=name, mode="lines+markers",
            line={"color": colour, "dash": dash}, legendgroup=setting,
            error_y=error_bars(map(_interval, rows), colour),
            hovertemplate="%{y:.1%} after %{x} updates<extra></extra>",
        )  # fmt: skip
        believed = _rows(found, setting, "believed_success")
        if setting.endswith("learnt_reward") and believed:
            figure.add_scatter(
                x=[row["depth"] for row in believed], y=[row["value"] for row in believed], mode="lines",
                name=f"{name}: believed in training", line={"color": colour, "dash": "dot", "width": 1},
                legendgroup=setting, hovertemplate="believed %{y:.0%}<extra></extra>",
            )  # fmt: skip
    figure.update_xaxes(title_text="updates")
    figure.update_yaxes(title_text="real success", tickformat=".0%", range=[0, 1])
    return styled(figure, 460)


def learning_curve_table(found: dict[str, Any]) -> Table:
    """A row a setting: real success at each mark, trusted updates, and agreement within groups at the last mark."""
    marks = found["protocol"]["marks"]
    rows = []
    for setting, name in NAMES.items():
        success = {row["depth"]: row for row in _rows(found, setting, "success")}
        if not success:
            continue
        trusted = _rows(found, setting, "trusted_updates")
        groups = _rows(found, setting, "within_group_correlation")
        cells = [percent(_interval(success[updates]), 1) for updates in marks]
        agreement = f"{groups[-1]['value']:.2f} [{groups[-1]['low']:.2f}, {groups[-1]['high']:.2f}]" if groups else "-"
        rows.append((name, *cells, f"{trusted[0]['value']:.0f}" if trusted else "-", agreement))
    columns = ("learnt in", *(f"{updates} updates" for updates in marks), "trusted updates", "r within groups")
    return Table(columns, tuple(rows), word_columns=1)


def _rows(found: dict[str, Any], setting: str, metric: str) -> list[dict[str, Any]]:
    wanted = (setting, metric, "all")
    rows = [row for row in found["rows"] if (row["setting"], row["metric"], row["task"]) == wanted]
    return sorted(rows, key=lambda row: row["depth"] or 0)


def _interval(row: dict[str, Any]) -> Interval:
    return Interval(row["value"], row["n"], row["low"], row["high"])
