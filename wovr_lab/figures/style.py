"""One look for all figures: real is blue, imagined is vermillion, everywhere (Okabe and Ito's colour-blind-safe set).

In: a plotly figure. Out: the same figure, dressed.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any

import plotly.graph_objects as go

from wovr_lab.types import Interval

REAL = "#0072B2"
IMAGINED = "#D55E00"
BASE = "#8DBBDA"  # real success of the base policy: a lighter blue
IMPROVED = REAL
OTHERS = ("#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999")  # further methods, in the order they come
INK = "#1F2933"
QUIET = "#6B7785"
GRID = "#E3E8EC"

_AXIS = {"gridcolor": GRID, "linecolor": QUIET, "ticks": "outside", "tickcolor": QUIET, "zeroline": False}
TEMPLATE = go.layout.Template(
    layout={
        "font": {"family": "system-ui, sans-serif", "size": 14, "color": INK},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "colorway": [REAL, IMAGINED, *OTHERS],
        "margin": {"l": 70, "r": 20, "t": 50, "b": 60},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "xaxis": _AXIS | {"automargin": True},
        "yaxis": _AXIS | {"automargin": True},
        "hoverlabel": {"font": {"family": "system-ui, sans-serif"}},
    }
)


def error_bars(rates: Iterable[Interval], colour: str = INK) -> dict[str, Any]:
    """Plotly's error bars from each rate to both ends of its interval."""
    ends = [(rate.high - rate.rate, rate.rate - rate.low) for rate in rates]
    upward, downward = [up for up, _ in ends], [down for _, down in ends]
    return {"type": "data", "array": upward, "arrayminus": downward, "color": colour, "thickness": 1.5, "width": 5}


def styled(figure: go.Figure, height: int = 380) -> go.Figure:
    """The figure with our template and a height in pixels; it is as wide as where it is shown."""
    return figure.update_layout(template=TEMPLATE, height=height, autosize=True)


def plain(text: object) -> str:
    """Text as it is, for plotly and for HTML: both would read tags in it."""
    return html.escape(str(text))
