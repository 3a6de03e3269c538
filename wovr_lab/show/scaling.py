"""What larger models and runs take (paper section 2): memory by number of GPUs, seconds by stage. Out: figures."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from wovr_lab.show.reading import spaced
from wovr_lab.show.style import INK, OTHERS, QUIET, REAL, plain, styled


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
