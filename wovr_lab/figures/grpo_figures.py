"""Masked GRPO in pictures (paper section 3): which actions count, where the gradient falls, which groups teach."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from torch import Tensor

from wovr_lab.figures.style import IMAGINED, INK, OTHERS, QUIET, REAL, styled


def mask_picture(mask: Tensor, first_success: Tensor) -> go.Figure:
    """Actions that count, bool [N, C, K], and each trajectory's first success int64 [N] (-1: none)."""
    counted = mask.flatten(1).int().numpy()
    figure = go.Figure(go.Heatmap(z=counted, colorscale=[[0, "white"], [1, REAL]], showscale=False, xgap=1, ygap=3))
    rows = np.flatnonzero(first_success.numpy() >= 0)
    figure.add_scatter(
        x=first_success.numpy()[rows], y=rows, mode="markers", name="first success",
        marker={"symbol": "star", "size": 14, "color": IMAGINED},
    )  # fmt: skip
    figure.update_xaxes(title_text="action")
    figure.update_yaxes(title_text="trajectory", dtick=1, autorange="reversed")
    return styled(figure, 280)


def gradient_by_action(gradients: dict[str, Tensor], success: int) -> go.Figure:
    """Mean size of the gradient at each action, by name float [actions], of trajectories that succeed at `success`."""
    return _by_action(gradients, success, "size of the gradient a token")


def weight_by_action(weights: dict[str, Tensor], success: int) -> go.Figure:
    """Weight of each action, by name float [actions]; the first trajectory succeeds at `success`."""
    return _by_action(weights, success, "weight of an action")


def _by_action(lines: dict[str, Tensor], success: int, title: str) -> go.Figure:
    figure = go.Figure()
    for (name, values), colour in zip(lines.items(), (INK, OTHERS[0]), strict=False):
        figure.add_scatter(y=values.numpy(), name=name, line={"color": colour, "width": 3, "shape": "hvh"})
    figure.add_vline(success + 0.5, line={"dash": "dot", "color": QUIET}, annotation_text="success")
    figure.update_xaxes(title_text="action")
    figure.update_yaxes(title_text=title, rangemode="tozero")
    return styled(figure, 320)


def mixed_share_curve(group_size: int, found: dict[float, float]) -> go.Figure:
    """Share of groups with both outcomes against the policy's success, as computed and as drawn (`found`)."""
    rates = np.linspace(0, 1, 101)
    figure = go.Figure()
    figure.add_scatter(x=rates, y=mixed_share(rates, group_size), name="computed", line={"color": REAL})
    figure.add_scatter(
        x=list(found), y=list(found.values()), name="drawn", mode="markers", marker={"color": IMAGINED, "size": 9}
    )
    figure.update_xaxes(title_text="success of the policy from this start", tickformat=".0%")
    figure.update_yaxes(title_text=f"groups of {group_size} that teach", tickformat=".0%", range=[0, 1.05])
    return styled(figure, 320)


def mixed_share(rate: np.ndarray | float, group_size: int) -> np.ndarray | float:
    """1 - p^G - (1 - p)^G: how many groups of `group_size` rollouts have both outcomes."""
    return 1 - rate**group_size - (1 - rate) ** group_size
