"""Gates and gains over several runs: does the gate predict what RL in imagination gains for real?

In: rows of `experiments.gate_history`. Out: a figure, a table, a page of both with the rows beside it as JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from wovr_lab.figures.style import QUIET, REAL, error_bars, plain, styled
from wovr_lab.figures.wording import interval, percent, points
from wovr_lab.report.markup import page, plot, section, table
from wovr_lab.report.tables import Table
from wovr_lab.runs import write_json, write_text

EXPLANATION = (
    "Real success before and after RL in imagination, not used for checkpoint selection, against what the gate had "
    "said. Blue: it passed, grey: it did not."
)


def write_gate_history(out: Path, history: Sequence[dict[str, Any]]) -> Table:
    """Writes the page, and OUT with the ending .json; returns the table."""
    shown = gate_history_table(history)
    write_json(out.with_suffix(".json"), {"schema": 1, "rows": list(history)})
    parts = (plot(gate_history_figure(history), "gates"), table(shown))
    write_text(out, page("Gates and gains", section("Gates and gains", EXPLANATION, *parts)))
    return shown


def gate_history_figure(history: Sequence[dict[str, Any]]) -> go.Figure:
    """What RL in imagination gained for real against what the gate had said, a point a run and phase. In: rows of
    `experiments.gate_history`."""
    said = {"precision": "precision, all policies pooled", "base_gap": "imagined minus real, base policy alone"}
    figure = make_subplots(1, 2, horizontal_spacing=0.1, shared_yaxes=True)
    for column, (key, title) in enumerate(said.items(), 1):
        rows = [row for row in history if row[key] is not None]
        gains = [interval(row["gain"]) for row in rows]
        figure.add_scatter(
            x=[row[key] for row in rows], y=[gain.rate for gain in gains], mode="markers", showlegend=False,
            error_y=error_bars(gains, REAL),
            marker={"size": 11, "color": [REAL if row["passed"] else QUIET for row in rows]},
            text=[plain(f"{row['run']}, phase {row['phase']}") for row in rows],
            hovertemplate="%{text}: %{y:+.0%}<extra></extra>", row=1, col=column,
        )  # fmt: skip
        figure.update_xaxes(title_text=title, tickformat=".0%", row=1, col=column)
    figure.add_hline(y=0, line_color=QUIET, line_dash="dash")
    figure.update_yaxes(title_text="gain in real success", tickformat="+.0%", col=1)
    return styled(figure, 380)


def gate_history_table(history: Sequence[dict[str, Any]]) -> Table:
    """What each gate said and what RL after it gained for real. In: rows of `experiments.gate_history`."""
    rows = []
    for row in history:
        base = f"{row['base_precision']:.0%}" if row["base_precision"] is not None else "not measured"
        gap = f"{100 * row['base_gap']:+.0f}" if row["base_gap"] is not None else "not measured"
        said = "passed" if row["passed"] else "not passed", f"{row['precision']:.0%}", base, gap
        real = percent(interval(row["before"]), 0), percent(interval(row["after"]), 0)
        rows.append((row["run"], str(row["phase"]), *said, *real, points(interval(row["gain"])).replace(" points", "")))
    columns = (
        "run", "phase", "gate", "precision", "precision, base policy", "imagined - real, base policy", "real before",
        "real after", "gain (points)",
    )  # fmt: skip
    return Table(columns, tuple(rows), word_columns=1)
