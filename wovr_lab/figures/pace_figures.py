"""PACE in pictures (paper section 4): over-optimism before and after the world model was refined, and the price.

In: the monitor's checks, the gates, the ledger. Out: figures; real is blue, imagined is vermillion.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from wovr_lab.figures.style import IMAGINED, OTHERS, QUIET, REAL, error_bars, plain, styled
from wovr_lab.figures.wording import spaced
from wovr_lab.pace.monitor import MonitorCheck
from wovr_lab.pace.stages import Ledger


def monitor_figure(before: Sequence[MonitorCheck], after: Sequence[MonitorCheck]) -> go.Figure:
    """Imagined and real success of the same actions at every check, the second phase beside the first."""
    pause = max(1, before[-1].updates // 8)
    figure, offsets = go.Figure(), (0, before[-1].updates + pause - after[0].updates)
    for offset, checks in zip(offsets, (before, after), strict=True):
        for name, colour in (("imagined", IMAGINED), ("real", REAL)):
            rates = [getattr(check, name) for check in checks]
            figure.add_scatter(
                x=[offset + check.updates for check in checks], y=[rate.rate for rate in rates],
                name=f"{name}, the same actions", legendgroup=name, showlegend=checks is before, mode="lines+markers",
                marker_size=9, line_color=colour, error_y=error_bars(rates, colour),
                customdata=[rate.n for rate in rates], hovertemplate="%{y:.0%}, n = %{customdata}",
            )  # fmt: skip
    figure.add_vline(
        before[-1].updates + pause / 2, line={"color": QUIET, "dash": "dot"}, annotation_text="PACE",
        annotation_font_color=QUIET, annotation_position="bottom right",
    )  # fmt: skip
    places = [
        offset + check.updates for offset, checks in zip(offsets, (before, after), strict=True) for check in checks
    ]
    updates = ["given" if check.updates < 0 else check.updates for check in (*before, *after)]
    figure.update_xaxes(title_text="GRPO updates in this phase", tickvals=places, ticktext=updates)
    figure.update_yaxes(title_text="success (95 % interval)", tickformat=".0%", range=[0, 1.03])
    return styled(figure, 360)


def gaps_figure(before: dict[str, Any], after: dict[str, Any]) -> go.Figure:
    """Imagined minus real success of each policy that both gates of report.json judged, by the same real episodes."""
    figure = go.Figure()
    names = [policy["name"] for policy in before["policies"]]
    for gate, name, colour, symbol in (
        (before, "before PACE", IMAGINED, "circle"),
        (after, "after PACE", OTHERS[0], "diamond"),
    ):
        gaps = {each["name"]: each["imagined"]["rate"] - each["real"]["rate"] for each in gate["policies"]}
        figure.add_scatter(
            x=[gaps[each] for each in names], y=[plain(each) for each in names], name=name, mode="markers",
            marker={"size": 13, "color": colour, "symbol": symbol}, hovertemplate="%{y}: %{x:+.0%}",
        )  # fmt: skip
    figure.add_vline(0, line={"color": QUIET, "dash": "dash"})
    figure.update_xaxes(title_text="imagined minus real success", tickformat="+.0%")
    figure.update_yaxes(autorange="reversed", ticks="")
    return styled(figure, 120 + 36 * len(names))


def ledger_figure(ledger: Ledger) -> go.Figure:
    """Real episodes by the stage that booked them, against what is allowed."""
    spent: dict[str, int] = {}
    for entry in ledger.entries:
        if entry.kind == "real":
            spent[entry.stage] = spent.get(entry.stage, 0) + entry.episodes
    spent["all of it"] = sum(spent.values())
    figure = go.Figure(go.Bar(
        x=list(spent.values()), y=[plain(spaced(stage)) for stage in spent], orientation="h",
        marker_color=[REAL] * (len(spent) - 1) + [QUIET], text=list(spent.values()), textposition="outside",
        cliponaxis=False, hoverinfo="skip",
    ))  # fmt: skip
    figure.add_vline(
        ledger.budget, line={"color": IMAGINED, "dash": "dash"}, annotation_text=f"allowed: {ledger.budget}",
        annotation_position="top left",
    )  # fmt: skip
    figure.update_xaxes(title_text="real episodes", range=[0, 1.08 * ledger.budget])
    figure.update_yaxes(autorange="reversed", ticks="")
    return styled(figure, 130 + 34 * len(spent))
