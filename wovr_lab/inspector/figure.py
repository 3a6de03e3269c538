"""The timeline of a branch: what the reward believes of both worlds, where they part, how far the pictures are apart.

In: a branch, where one stands, perhaps another branch to compare with. Out: a plotly figure.
"""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from wovr_lab.inspector.timeline import Branch, Step
from wovr_lab.show.style import IMAGINED, QUIET, REAL, plain, styled

VERDICTS = {"agree": "#3A9D6B", "imagined only": "#C62828", "real only": "#F2B134"}
HEIGHT = 330


def timeline_figure(branch: Branch, position: int, other: Branch | None = None, other_name: str = "") -> go.Figure:
    """Success probability by action over a band of verdicts, PSNR by step; `position` steps have been taken."""
    figure = make_subplots(2, 1, shared_xaxes=True, row_heights=[0.68, 0.32], vertical_spacing=0.09)
    _curves(figure, branch, "", "solid")
    if other is not None:
        _curves(figure, other, f" ({plain(other_name)})", "dot")
    _verdict_band(figure, branch.verdicts)
    _marks(figure, branch.steps)
    now = sum(len(step.actions) for step in branch.steps[:position])
    figure.add_vline(x=now, line_color=QUIET, line_width=2)
    last = max(len(branch.actions), 0 if other is None else len(other.actions), 16)
    figure.update_xaxes(range=[0, last + 0.5], dtick=8)
    figure.update_xaxes(title_text="action", row=2, col=1)
    figure.update_yaxes(
        title_text="success<br>probability", range=[-0.22, 1.04], tickvals=[0, 0.5, 1], row=1, col=1,
    )  # fmt: skip
    figure.update_yaxes(title_text="PSNR<br>(dB)", rangemode="tozero", nticks=3, row=2, col=1)
    return styled(figure, HEIGHT).update_layout(margin={"l": 70, "r": 15, "t": 30, "b": 45}, barmode="overlay")


def _curves(figure: go.Figure, branch: Branch, suffix: str, dash: str) -> None:
    actions = np.arange(1, len(branch.actions) + 1) if len(branch.actions) else [None]  # so that the legend names them
    for name, colour in (("imagined", IMAGINED), ("real", REAL)):
        values = [v for step in branch.steps for v in getattr(step, f"probability_{name}").tolist()]
        figure.add_scatter(
            x=actions, y=values or [None], mode="lines+markers", name=f"{name}{suffix}", marker_size=4,
            line={"color": colour, "dash": dash}, hovertemplate="action %{x}: %{y:.2f}", row=1, col=1,
        )  # fmt: skip
    acted = [step for step in branch.steps if len(step.actions)]
    figure.add_scatter(
        x=np.cumsum([len(step.actions) for step in acted]), y=[step.psnr for step in acted], mode="lines+markers",
        name=f"PSNR{suffix}", line={"color": QUIET, "dash": dash}, showlegend=False,
        hovertemplate="%{y:.1f} dB", row=2, col=1,
    )  # fmt: skip


def _verdict_band(figure: go.Figure, verdicts: list[str]) -> None:
    """A coloured cell an action under the curves, and a word where the worlds first part."""
    for name, colour in VERDICTS.items():
        places = [index + 0.5 for index, found in enumerate(verdicts) if found == name]
        figure.add_bar(
            x=places or [None], y=[0.1] * max(len(places), 1), base=-0.18, width=1, name=name, marker_color=colour,
            marker_line_width=0, hovertemplate=f"{name}<extra></extra>", row=1, col=1,
        )  # fmt: skip
    parted = next((index for index, found in enumerate(verdicts) if found != "agree"), None)
    if parted is not None:
        left = parted > len(verdicts) / 3  # beside the curves that rise there
        figure.add_annotation(
            x=parted + 0.5, y=-0.08, text=f"parted: {verdicts[parted]}", showarrow=True, arrowhead=2, ay=-62,
            ax=-90 if left else 90, xanchor="right" if left else "left",
            bgcolor="white", bordercolor=VERDICTS[verdicts[parted]], row=1, col=1,
        )  # fmt: skip


def _marks(figure: go.Figure, steps: tuple[Step, ...]) -> None:
    """Where frames were replaced, and where switches changed."""
    action, before = 0, steps[0].switches if steps else None
    for step in steps:
        words = ["re-anchored"] if step.kind == "re-anchor" else []
        words += ["switched"] if step.switches != before else []
        if words:
            figure.add_vline(x=action, line_dash="dot", line_color=QUIET, row=1, col=1)
            figure.add_annotation(
                x=action, y=1.0, text=", ".join(words), showarrow=False, xanchor="left", font_size=11, row=1, col=1
            )
        action, before = action + len(step.actions), step.switches
