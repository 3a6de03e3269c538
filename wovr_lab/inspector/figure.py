"""The timeline of a branch: the success probability in both worlds, where outcomes differ, the error of the pictures.

In: a branch, where one stands, perhaps another branch to compare with. Out: a plotly figure.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
import plotly.graph_objects as go

from wovr_lab.figures.style import IMAGINED, QUIET, REAL, plain, styled
from wovr_lab.inspector.timeline import FALSE_SUCCESS, MISSED_SUCCESS, SAME, Branch, Step

VERDICTS = {SAME: "#3A9D6B", FALSE_SUCCESS: "#C62828", MISSED_SUCCESS: "#F2B134"}
HEIGHT = 330
LOWER, UPPER = [0, 0.29], [0.38, 1]  # shares of it, above the axis
TICKS, MOST_TICKS = (8, 16, 40, 80, 160, 400), 12  # actions from one to the next; each label costs the page a layout
# Where labels fit is known, so plotly need not draw the axes twice to find out, at every key.
AXIS = {"automargin": False, "ticklabeloverflow": "allow"}


def timeline_figure(branch: Branch, position: int, other: Branch | None = None, other_name: str = "") -> go.Figure:
    """Success probability by action over a band of verdicts, PSNR by step; `position` steps have been taken.

    Made of plain dictionaries in one piece: plotly's own adders take five times as long, and it is drawn at every key.
    """
    traces = _curves(branch, "", "solid")
    if other is not None:
        traces += _curves(other, f" ({plain(other_name)})", "dot")
    shapes, notes = _marks(branch.steps)
    now = sum(len(step.actions) for step in branch.steps[:position])
    shapes.append(_line(now, "solid"))
    last = max(len(branch.actions), 0 if other is None else len(other.actions), 16)
    layout = {
        "xaxis": AXIS
        | {"anchor": "y2", "range": [0, last + 0.5], "dtick": _tick(last), "title": {"text": "action"}},
        "yaxis": AXIS
        | {
            "domain": UPPER, "range": [-0.22, 1.04], "tickvals": [0, 0.5, 1],
            "title": {"text": "success<br>probability"},
        },
        "yaxis2": AXIS
        | {"domain": LOWER, "rangemode": "tozero", "nticks": 3, "title": {"text": "PSNR<br>(dB)"}},
        "margin": {"l": 85, "r": 15, "t": 30, "b": 45},
        "legend": {"yref": "container", "y": 1, "yanchor": "top"},  # above the paper it goes astray when that widens
        "barmode": "overlay",
        "shapes": shapes,
        "annotations": notes + _parting(branch.verdicts),
    }  # fmt: skip
    return styled(go.Figure(traces + _verdict_band(branch.verdicts), layout), HEIGHT)


def _tick(last: int) -> int:
    """Actions between labels of the axis, of which there are only a few however long the branch is."""
    return next((tick for tick in TICKS if last / tick < MOST_TICKS), TICKS[-1])


def _curves(branch: Branch, suffix: str, dash: str) -> list[dict[str, Any]]:
    actions = np.arange(1, len(branch.actions) + 1) if len(branch.actions) else [None]  # so that the legend names them
    traces = []
    for name, colour in (("imagined", IMAGINED), ("real", REAL)):
        values = [v for step in branch.steps for v in getattr(step, f"probability_{name}").tolist()]
        traces.append(
            {
                "x": actions, "y": values or [None], "mode": "lines", "name": f"{name}{suffix}",
                "line": {"color": colour, "dash": dash},
                "hovertemplate": "action %{x}: %{y:.2f}",
            }
        )  # fmt: skip
    acted = [step for step in branch.steps if len(step.actions)]
    quality = {
        "x": np.cumsum([len(step.actions) for step in acted]), "y": [step.psnr for step in acted], "yaxis": "y2",
        "mode": "lines+markers", "name": f"PSNR{suffix}", "line": {"color": QUIET, "dash": dash}, "showlegend": False,
        "hovertemplate": "%{y:.1f} dB",
    }  # fmt: skip
    return [*traces, quality]


def _verdict_band(verdicts: list[str]) -> list[dict[str, Any]]:
    """A coloured bar under the curves for every stretch of actions with one verdict."""
    stretches = [(name, len(list(same))) for name, same in groupby(verdicts)]
    ends = np.cumsum([length for _, length in stretches])
    bars = []
    for name, colour in VERDICTS.items():
        own = [
            (end - length / 2, length) for end, (found, length) in zip(ends, stretches, strict=True) if found == name
        ]
        places, widths = zip(*own, strict=True) if own else ([None], [1])  # so that the legend names it
        bars.append(
            {
                "type": "bar", "x": places, "y": [0.1] * len(places), "base": -0.18, "width": widths,
                "name": name, "marker": {"color": colour, "line": {"width": 0}},
                "hovertemplate": f"{name}<extra></extra>",
            }
        )  # fmt: skip
    return bars


def _parting(verdicts: list[str]) -> list[dict[str, Any]]:
    """A note where outcomes first differ, beside the curves that rise there."""
    parted = next((index for index, found in enumerate(verdicts) if found != SAME), None)
    if parted is None:
        return []
    left = parted > len(verdicts) / 3
    return [
        {
            "x": parted + 0.5, "y": -0.08, "text": f"first {verdicts[parted]}", "showarrow": True, "arrowhead": 2,
            "ay": -62, "ax": -90 if left else 90, "xanchor": "right" if left else "left", "bgcolor": "white",
            "bordercolor": VERDICTS[verdicts[parted]],
        }
    ]  # fmt: skip


def _marks(steps: tuple[Step, ...]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Lines and words where frames were replaced, and where switches changed."""
    lines, notes = [], []
    action, before = 0, steps[0].switches if steps else None
    for step in steps:
        words = ["re-anchored"] if step.kind == "re-anchor" else []
        words += ["switched"] if step.switches != before else []
        if words:
            lines.append(_line(action, "dot"))
            text = ", ".join(words)
            notes.append(
                {"x": action, "y": 1, "text": text, "showarrow": False, "xanchor": "left", "font": {"size": 11}}
            )
        action, before = action + len(step.actions), step.switches
    return lines, notes


def _line(action: int, dash: str) -> dict[str, Any]:
    """An upright line through both halves."""
    line = {"color": QUIET, "width": 2, "dash": dash}
    return {"type": "line", "x0": action, "x1": action, "y0": 0, "y1": 1, "yref": "paper", "line": line}
