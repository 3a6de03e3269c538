"""Figures and tables of a measurement: outcomes in both worlds, error by depth, objects, doubt, control, gallery.

In: parts of measure.json, cases of the gallery. Out: plotly figures and `Table`s; real is blue, imagined is vermillion.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from wovr_lab.measure.tabletop.gallery import Case
from wovr_lab.measure.tabletop.probes import COLUMNS, object_columns
from wovr_lab.show.reading import interval, percent, points, sentence_case, spaced
from wovr_lab.show.style import BASE, IMAGINED, OTHERS, QUIET, REAL, styled
from wovr_lab.show.tables import Table

AXES, WAYS = "xyz", ("rightwards in the picture", "downwards in the picture", "away from the camera")
SEEN = "real frames: what the probe can see"
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
            error_x={"type": "data", "array": [r.high - r.rate for r in rates],
                     "arrayminus": [r.rate - r.low for r in rates], "color": colour, "width": 4},
            mode="markers", name=name, marker={"size": 11, "color": colour, "symbol": symbol},
            customdata=[rate.n for rate in rates], hovertemplate="%{x:.1%}, n = %{customdata}",
        )  # fmt: skip
    figure.update_xaxes(title_text="success (95 % interval)", tickformat=".0%", range=[-0.02, 1.02])
    figure.update_yaxes(tickvals=list(range(len(rows))), ticktext=names, autorange="reversed", ticks="")
    return styled(figure, 150 + 58 * len(rows))


def confusion_table(confusion: Sequence[dict[str, Any]], tasks: bool = False) -> Table:
    """Rates and over-optimism; over all tasks, or by task with both kinds of starts pooled."""
    pooled, rows = "start" if tasks else "task", []
    for row in (row for row in confusion if row[pooled] == "all" and (row["task"] != "all" or not tasks)):
        paired, closed = row["paired"], row["closed_loop"]
        rows.append(
            (
                *_names(row, "task" if tasks else "start"),
                str(row["n"]),
                percent(interval(row["imagined"]), 0),
                percent(interval(paired["real"]), 0),
                _points(paired["over_optimism"]),
                percent(interval(paired["precision"]), 0),
                percent(interval(closed["real"]), 0),
                _points(closed["over_optimism"]),
            )
        )
    columns = (
        "policy", "world", "task" if tasks else "starts", "n", "imagined", "same actions, real", "over- optimism",
        "precision", "on its own, real", "over- optimism",
    )  # fmt: skip
    return Table(columns, tuple(rows), word_columns=3)


def _names(row: dict[str, Any], last: str = "start") -> tuple[str, str, str]:
    return row["policy"], row["world"], spaced(row[last])


def _points(row: dict[str, Any]) -> str:
    return f"{100 * row['rate']:+.0f} [{100 * row['low']:+.0f}, {100 * row['high']:+.0f}]"


def measured_sentence(row: dict[str, Any]) -> str:
    """One row of the confusion matrices in words."""
    paired = row["paired"]
    return (
        f"{sentence_case(who(row))}: success {percent(interval(row['imagined']))} imagined, "
        f"{percent(interval(paired['real']))} real with the same actions, "
        f"over-optimism {points(interval(paired['over_optimism']))}; "
        f"{percent(interval(paired['precision']))} of imagined successes are real (n = {row['n']})"
    )


def depth_figure(depth: Sequence[dict[str, Any]], policy: str, world: str) -> go.Figure:
    """Four curves with 95 % bands against depth, initial starts against keyframe starts on one axis."""
    figure = make_subplots(2, 2, subplot_titles=list(CURVES.values()), vertical_spacing=0.17, horizontal_spacing=0.11)
    for row in depth:
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
            title_text="depth: imagined frames since the last real one", title_font_size=13, row=2, col=column
        )
    figure.update_yaxes(rangemode="tozero")
    figure.update_yaxes(rangemode="normal", row=1, col=1)
    figure.update_yaxes(tickformat=".0%", row=2, col=2)
    return styled(figure, 620).update_layout(legend_y=1.06)


def _band(figure: go.Figure, curve: list[dict[str, float]], colour: str, name: str, place: int, legend: bool) -> None:
    where = {"row": place // 2 + 1, "col": place % 2 + 1}
    depths = [point["depth"] for point in curve]
    figure.add_scatter(
        x=[*depths, *depths[::-1]], y=[*(p["high"] for p in curve), *(p["low"] for p in reversed(curve))],
        fill="toself", fillcolor=colour, opacity=0.15, line_width=0, mode="lines", hoverinfo="skip", showlegend=False,
        **where,
    )  # fmt: skip
    figure.add_scatter(
        x=depths, y=[point["rate"] for point in curve], mode="lines", line_color=colour, name=name, legendgroup=name,
        showlegend=legend, customdata=[point["n"] for point in curve],
        hovertemplate="%{y:.3g} at depth %{x}, n = %{customdata}", **where,
    )  # fmt: skip


def worth_table(worth: Sequence[dict[str, Any]]) -> Table:
    """How many groups have both outcomes in each world, and what an imagined update is worth."""
    rows = [
        (*_names(row), f"{row['n']} x {row['group_size']}", *(
            percent(interval(row[name]), 0) for name in ("mixed_imagined", "mixed_real")
        ), percent(interval(row["worth"]), 0) if row["worth"] else "no real group has both outcomes",
        _correlation(row))
        for row in worth
    ]  # fmt: skip
    columns = (
        "policy", "world", "starts", "groups", "both outcomes, imagined", "both outcomes, real",
        "worth of an imagined update", "r within groups",
    )  # fmt: skip
    return Table(columns, tuple(rows), word_columns=3)


def _correlation(row: dict[str, Any]) -> str:
    """Agreement within groups with its interval; measurements of older versions have none."""
    found = interval(row.get("within_group_correlation"))
    return f"{found.rate:.2f} [{found.low:.2f}, {found.high:.2f}]" if found else "not measured"


def horizon_table(horizon: Sequence[dict[str, Any]]) -> Table:
    """The reliability horizon and what the other half of the rollouts does at it."""
    rows = []
    for row in horizon:
        frames, held = row["frames"], row.get("held_out")
        checked = ("", "")
        if held:
            cube = interval(held["object_cm"])
            checked = percent(interval(held["agreement"]), 0), f"{cube.rate:.1f} [{cube.low:.1f}, {cube.high:.1f}]"
        found = f"{frames['rate']:.0f} [{frames['low']:.0f}, {frames['high']:.0f}] of {row['longest_seen']}"
        rows.append((*_names(row), str(row["n"]), found, *checked))
    columns = (
        "policy", "world", "starts", "n", "horizon (frames)", "other half: outcomes that agree",
        "other half: cube's median error (cm)",
    )  # fmt: skip
    return Table(columns, tuple(rows), word_columns=3)


def objects_table(objects: Sequence[dict[str, Any]]) -> Table:
    """How often imagination breaks the rules about objects, and how often the same rule cries wolf on real videos."""
    names = list(objects[0]["faults"])
    rows = [
        (*_names(row), str(row["n"]), *(
            percent(interval(row["faults"][name][world]), 0) for name in names for world in ("imagined", "real")
        ))
        for row in objects
    ]  # fmt: skip
    columns = [text for name in names for text in (f"cube {spaced(name)}", "the same rule on real videos")]
    return Table(("policy", "world", "starts", "n", *columns), tuple(rows), word_columns=3)


def doubt_table(uncertainty: Sequence[dict[str, Any]]) -> Table:
    """How well each score tells wrong outcomes from right ones; 0.5 is chance."""
    scores = {
        "noise": "answers to several noises lie apart",
        "models": "answers of several checkpoints lie apart",
        "reward_margin": "the reward comes near its threshold",
    }
    rows = []
    for row in uncertainty:
        area = row["auroc"]
        text = f"{area['rate']:.2f} [{area['low']:.2f}, {area['high']:.2f}]" if area else "not measurable"
        asked = f"{row['start']} starts, {spaced(row['rollouts'])}"
        rows.append((asked, scores[row["score"]], f"{row['wrong']} of {row['n']}", text))
    return Table(("asked of", "score", "wrong outcomes", "AUROC"), tuple(rows), word_columns=2)


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


def control_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Correlation and error of counterfactual displacements, by which action channels are left."""
    left = {"both": "both channels", "modulation": "modulation alone", "attention": "cross-attention alone"}
    names = ("correlation", "error_cm", "depth_correlation", "depth_error_cm")
    cells = []
    for row in rows:
        told = f"{row['world']} world, {left[row['channels']]}" if row["world"] != "real" else SEEN
        numbers = (interval(row[name]) for name in names)
        cells.append((told, str(row["n"]), *(f"{x.rate:.2f} [{x.low:.2f}, {x.high:.2f}]" for x in numbers)))
    columns = (
        "", "starts", "correlation in the picture", "median error (cm)", "correlation in depth", "median error (cm)",
    )  # fmt: skip
    return Table(columns, tuple(cells))


def probe_table(probe: dict[str, Any]) -> Table:
    """The probe's error in centimetres on frames whose truth is known."""
    names = {"real": "real frames", "through_codec": "real frames, coded and decoded"}
    rows = [
        (names[source], str(found["hand"]["n"]), *(
            f"{found[name]['median_cm']:.1f} ({found[name]['p90_cm']:.1f})" for name in COLUMNS
        ))
        for source, found in probe.items()
    ]  # fmt: skip
    cubes = {"front": "red cube", "back": "blue or green cube"}
    return Table(("median error in cm (90th percentile)", "frames", *(cubes.get(n, n) for n in COLUMNS)), tuple(rows))


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
    """The same with where it began and how far the cube went astray."""
    return (
        f"{case_title(about)}, {about['start']} start (seed {about['seed']}, action {about['step']}), "
        f"cube off by up to {about['object_cm']:.1f} cm"
    )
