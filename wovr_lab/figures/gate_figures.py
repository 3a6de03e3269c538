"""Figures of how far imagination can be believed: gate, hallucination, error by horizon (paper sections 1 and 2).

In: parts of report.json. Out: figures; real is blue, imagined is vermillion.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from wovr_lab.figures.style import IMAGINED, INK, QUIET, REAL, error_bars, plain, styled
from wovr_lab.figures.wording import interval, percent, sentence_case, setting_name, spaced
from wovr_lab.measure.intervals import wilson

OUTCOMES = {  # the confusion matrix by rows: imagined success above, imagined failure below
    "imagined_and_real": "imagined and real",
    "imagined_only": "false success",
    "real_only": "missed success",
    "neither": "neither",
}


def gate_figure(name: str, gate: dict[str, Any]) -> go.Figure:
    """Real against imagined success with the same actions, a numbered point a policy. In: one of report.json's gates.

    Points below the diagonal succeed more often in imagination than in truth.
    """
    rows = [
        (policy["name"], interval(policy["real"]), interval(policy["imagined"])) for policy in gate.get("policies", ())
    ]
    known = [(number, *row) for number, row in enumerate(rows, 1) if row[1] and row[2]]
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": QUIET, "dash": "dash", "width": 1}, showlegend=False,
        hoverinfo="skip",
    )  # fmt: skip
    figure.add_scatter(
        x=[imagined.rate for *_, imagined in known], y=[real.rate for _, _, real, _ in known],
        error_x=error_bars([imagined for *_, imagined in known], IMAGINED),
        error_y=error_bars([real for _, _, real, _ in known], REAL),
        mode="markers+text", text=[str(number) for number, *_ in known], textfont={"color": "white", "size": 12},
        marker={"size": 20, "color": INK}, showlegend=False, cliponaxis=False,
        customdata=[plain(policy) for _, policy, _, _ in known],
        hovertemplate="%{customdata}: imagined %{x:.0%}, real %{y:.0%}<extra></extra>",
    )  # fmt: skip
    verdict = "passed" if gate.get("passed") else "did not pass"
    figure.update_layout(title=f"{plain(sentence_case(spaced(name)))} {verdict}")
    figure.update_xaxes(title_text="imagined success", tickformat=".0%", range=[-0.03, 1.03], title_font_color=IMAGINED)
    figure.update_yaxes(title_text="real success", tickformat=".0%", range=[-0.03, 1.03], title_font_color=REAL)
    return styled(figure, 420)


def confusion_counts(report: dict[str, Any]) -> dict[str, dict[str, int]]:
    """The report's confusion matrices by policy; an older report has a single one, under `hallucination`."""
    matrices = report.get("confusion") or {"all rollouts": report.get("hallucination")}
    return {name: counts for name, counts in matrices.items() if counts and sum(counts.values())}


def confusion_sentence(name: str, counts: dict[str, int]) -> str:
    """How many imagined successes were real, and how many real ones were imagined, with intervals."""
    both = counts["imagined_and_real"]
    precision = wilson(both, both + counts["imagined_only"])
    recall = wilson(both, both + counts["real_only"])
    believed = (
        f"{percent(precision)} of {precision.n} imagined successes are real"
        if precision.n
        else "no success was imagined"
    )
    found = f"{percent(recall)} of {recall.n} real successes are imagined" if recall.n else "none was real"
    return f"{confused_name(name)}: {believed}; {found}"


def confused_name(name: str) -> str:
    """A policy of the confusion matrices, for people."""
    return sentence_case(setting_name({"improved": "wovr"}.get(name, name)))


def confusion_figure(confusion: dict[str, dict[str, int]]) -> go.Figure:
    """A 2 x 2 matrix for each policy: the same actions in both worlds. In: `confusion_counts`."""
    figure = make_subplots(
        1, max(len(confusion), 1), shared_yaxes=True, horizontal_spacing=0.08,
        subplot_titles=[plain(confused_name(name)) for name in confusion],
    )  # fmt: skip
    for column, counts in enumerate(confusion.values(), 1):
        total = sum(counts.values())
        shares = {key: counts[key] / total for key in OUTCOMES}
        text = [f"{label}<br><b>{counts[key]}</b> ({shares[key]:.0%})" for key, label in OUTCOMES.items()]
        # agreement shades to blue, disagreement to vermillion
        agree, hallucinated, missed, neither = shares.values()
        figure.add_heatmap(
            z=[[agree, -hallucinated], [-missed, neither]], text=[text[:2], text[2:]], texttemplate="%{text}",
            x=["real success", "real failure"], y=["imagined<br>success", "imagined<br>failure"], zmin=-1, zmax=1,
            colorscale=[[0, IMAGINED], [0.5, "white"], [1, REAL]], showscale=False, hoverinfo="skip", xgap=3, ygap=3,
            row=1, col=column,
        )  # fmt: skip
    figure.update_xaxes(showgrid=False, ticks="", showline=False)
    figure.update_yaxes(showgrid=False, ticks="", showline=False, autorange="reversed")
    return styled(figure, 300).update_layout(margin_b=30)


def psnr_by_horizon_figure(psnr: Sequence[Sequence[float]], copy: Sequence[Sequence[float]] = ()) -> go.Figure:
    """Picture error against imagined frames since the last real one. In: [[horizon, PSNR in dB]] of the world model,
    and of copying the first frame, which a world model must beat."""
    figure = go.Figure()
    lines = (("world model", psnr, IMAGINED, "solid"), ("first frame copied", copy, QUIET, "dash"))
    for name, curve, colour, dash in lines:
        if curve:
            figure.add_scatter(
                x=[horizon for horizon, _ in curve], y=[value for _, value in curve], mode="lines+markers", name=name,
                line={"color": colour, "dash": dash}, hovertemplate="%{y:.1f} dB at horizon %{x}",
            )  # fmt: skip
    figure.update_xaxes(title_text="horizon: imagined frames since the last real frame", rangemode="tozero")
    figure.update_yaxes(title_text="PSNR (dB)")
    return styled(figure, 340)
