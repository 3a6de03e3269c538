"""A learnt reward in pictures (paper section 2, "Reward"): what it answers, how well it is calibrated, where it errs.

In: probabilities of success a frame, the truth, rates. Out: figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from wovr_lab.figures.style import IMAGINED, INK, OTHERS, QUIET, REAL, error_bars, plain, styled
from wovr_lab.figures.wording import spaced
from wovr_lab.measure.intervals import rate_of, wilson
from wovr_lab.reward.training import ClassifierCounts, evaluate_probabilities
from wovr_lab.types import Episode, Interval

AROUND = 12  # frames shown before and after the first success


def answers_figure(
    probabilities: Sequence[np.ndarray], episodes: Sequence[Episode], threshold: float, consecutive: int
) -> go.Figure:
    """Probabilities float32 [T] by frame, of episodes around their success, of failures at their end; and what a
    threshold makes of them."""
    truth = [episode.first_success >= 0 for episode in episodes]
    judged = evaluate_probabilities([answer[None] for answer in probabilities], truth, threshold, consecutive)
    verdict = f"at {threshold:.3g}: {judged.false_positive} false successes, {judged.false_negative} missed"
    figure = go.Figure()
    kinds = (("real success", True, REAL), ("real failure", False, QUIET))
    for name, outcome, colour in kinds:
        times, values = [], []
        for probability, episode in zip(probabilities, episodes, strict=True):
            if (episode.first_success >= 0) is outcome:
                time = np.arange(len(probability)) - (episode.first_success if outcome else len(probability) - 1)
                shown = np.abs(time) <= AROUND
                times += [*time[shown], None]
                values += [*probability[shown], None]
        figure.add_scatter(
            x=times, y=values, mode="lines", name=name, line={"color": colour, "width": 1.5}, opacity=0.6,
            hovertemplate="%{y:.2f}",
        )  # fmt: skip
    figure.add_hline(threshold, line={"color": INK, "dash": "dash"}, annotation_text=verdict)
    figure.update_xaxes(title_text="frames since the first success (failures: since their last frame)")
    figure.update_yaxes(title_text="probability of success", range=[-0.02, 1.05])
    return styled(figure, 340)


def reliability_figure(probability: np.ndarray, success: np.ndarray, bins: int = 5) -> go.Figure:
    """Observed share of success against the probability that was answered: frames float32 [F], bool [F], in `bins`."""
    number = np.minimum((probability * bins).astype(int), bins - 1)
    found = [(probability[number == b].mean(), rate_of(success[number == b])) for b in np.unique(number)]
    rates = [rate for _, rate in found]
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": QUIET, "dash": "dash"}, name="as answered", hoverinfo="skip"
    )
    figure.add_scatter(
        x=[mean for mean, _ in found], y=[rate.rate for rate in rates], mode="markers+text", name="observed",
        text=[f"{rate.n:,} frames" for rate in rates], textposition="top center", cliponaxis=False,
        marker={"color": REAL, "size": 11}, error_y=error_bars(rates),
    )  # fmt: skip
    figure.update_xaxes(title_text="probability that the reward answered", range=[-0.05, 1.12])
    figure.update_yaxes(title_text="observed successes", tickformat=".0%", range=[-0.04, 1.15])
    return styled(figure, 380)


def threshold_figure(grid: np.ndarray, precision: Sequence[float], recall: Sequence[float], chosen: float) -> go.Figure:
    """Precision and recall of whole episodes against the threshold, and the one that was calibrated."""
    figure = go.Figure()
    for name, curve, colour in (("precision", precision, REAL), ("recall", recall, OTHERS[0])):
        figure.add_scatter(x=grid, y=list(curve), name=name, mode="lines+markers", line={"color": colour})
    figure.add_vline(chosen, line={"color": INK, "dash": "dash"}, annotation_text=f"calibrated: {chosen:.3g}")
    figure.update_xaxes(title_text="threshold", range=[0, 1])
    figure.update_yaxes(title_text="of held-out real episodes", tickformat=".0%", range=[0.5, 1.03])
    return styled(figure, 320)


def precision_of(judged: ClassifierCounts) -> Interval:
    """How many judged successes are real, with its interval."""
    return wilson(judged.true_positive, judged.true_positive + judged.false_positive)


def precision_bars(rates: Mapping[str, Interval]) -> go.Figure:
    """How many judged successes are real, by what the reward looked at; the last bar in the colour of imagination."""
    figure = go.Figure(go.Bar(
        x=[plain(name) for name in rates], y=[rate.rate for rate in rates.values()], error_y=error_bars(rates.values()),
        width=0.5, marker_color=[*[REAL] * (len(rates) - 1), IMAGINED],
        text=[f"{rate.rate:.0%} of {rate.n}" for rate in rates.values()], textposition="inside",
        insidetextanchor="start",
    ))  # fmt: skip
    figure.update_yaxes(title_text="judged successes that are real", tickformat=".0%", range=[0, 1.05])
    return styled(figure, 340)


def fgsm_figure(shares: Mapping[int, float]) -> go.Figure:
    """Share of failures that are taken for successes, by how many grey levels their pictures were changed."""
    figure = go.Figure(go.Scatter(
        x=list(shares), y=list(shares.values()), mode="lines+markers", line={"color": IMAGINED}, marker={"size": 9}
    ))  # fmt: skip
    figure.update_xaxes(title_text="largest change of a value (of 255 grey levels)", rangemode="tozero")
    figure.update_yaxes(title_text="failures taken for successes", tickformat=".0%", range=[0, 1.05])
    return styled(figure, 350)


def reward_errors_figure(rows: Sequence[dict[str, Any]]) -> go.Figure:
    """False-positive and false-negative rate of the reward on the current policy's real rollouts, phase beside phase.
    In: the monitor's rows of metrics.jsonl."""
    phases = list(dict.fromkeys(row["phase"] for row in rows))
    figure = make_subplots(1, len(phases), shared_yaxes=True, horizontal_spacing=0.04)
    lines = {"false_positive": ("failures taken for successes", IMAGINED), "false_negative": ("successes missed", REAL)}
    for column, phase in enumerate(phases, 1):
        own = [row for row in rows if row["phase"] == phase]
        for key, (name, colour) in lines.items():
            figure.add_scatter(
                x=[row["step"] for row in own], y=[row[key] for row in own], name=name, mode="lines+markers",
                line_color=colour, legendgroup=key, showlegend=column == 1, hovertemplate="%{y:.0%}<extra></extra>",
                row=1, col=column,
            )  # fmt: skip
        title = f"GRPO updates, {spaced(phase.removesuffix('/monitor'))}"
        figure.update_xaxes(title_text=title, row=1, col=column)
    figure.update_yaxes(title_text="share of the reward's answers", tickformat=".0%", rangemode="tozero", col=1)
    return styled(figure, 320)
