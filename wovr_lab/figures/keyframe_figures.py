"""Keyframes in pictures (paper section 3, KIR): where the decisive moments are, and what beginning near them saves.

In: episodes, keyframe indices, starts. Out: figures; horizons in frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from wovr_lab.figures.style import IMAGINED, INK, QUIET, REAL, plain, styled
from wovr_lab.figures.wording import spaced
from wovr_lab.measure.hallucination import action_chunks, psnr
from wovr_lab.real.tabletop.tasks import TASKS
from wovr_lab.seeding import torch_stream
from wovr_lab.starts import start_at
from wovr_lab.types import CHUNK, Episode
from wovr_lab.world.protocol import ImaginingModel


def keyframe_timing_figure(episodes: Sequence[Episode], keyframes: Mapping[str, int]) -> go.Figure:
    """When episodes of each task succeeded, when failed ones ended, and the task's keyframe."""
    figure = go.Figure()
    kinds = (
        ("first real success", [(e.first_success, e.task) for e in episodes if e.first_success >= 0], REAL, "circle"),
        ("end of a failure", [(len(e), e.task) for e in episodes if e.first_success < 0], QUIET, "x"),
        ("keyframe", [(step, task) for task, step in keyframes.items()], IMAGINED, "line-ns-open"),
    )
    for name, found, colour, symbol in kinds:
        size = 34 if name == "keyframe" else 10
        figure.add_scatter(
            x=[step for step, _ in found], y=[plain(spaced(task)) for _, task in found], mode="markers", name=name,
            marker={"color": colour, "symbol": symbol, "size": size, "line": {"width": 3 if size > 10 else 1}},
            opacity=0.8, hovertemplate="action %{x}",
        )  # fmt: skip
    order = [plain(spaced(task)) for task in TASKS if task in keyframes]
    figure.update_xaxes(title_text="action of the episode", rangemode="tozero")
    figure.update_yaxes(categoryorder="array", categoryarray=order[::-1])
    return styled(figure, 300)


def horizon_figure(first_success: np.ndarray, begin: np.ndarray) -> go.Figure:
    """How deep in imagination each success lies, int64 [n]: from the episode's beginning, and from action `begin`."""
    order = np.argsort(first_success)
    figure = go.Figure()
    for name, values, colour in (
        ("from the initial state", first_success + 1, QUIET),
        ("from the keyframe", first_success + 1 - begin, IMAGINED),
    ):
        figure.add_bar(x=np.arange(len(order)), y=values[order], name=name, marker_color=colour)
    figure.update_xaxes(title_text="real successes, the quickest first", showticklabels=False, ticks="")
    figure.update_yaxes(title_text="horizon (frames)")
    return styled(figure, 300).update_layout(barmode="overlay", bargap=0.1)


def imagined_from(world: ImaginingModel, episode: Episode, begin: int, run_seed: int) -> np.ndarray:
    """Frames uint8 [T, H, W, 3] that the actions of a successful episode lead to in imagination, from its frame `begin`
    to the one in which it really succeeds. Raises UserError outside the episode."""
    context, noise = (
        world.initial_context([start_at(episode, begin)]),
        [torch_stream(run_seed, "moments", episode.seed)],
    )
    frames = []
    for chunk in action_chunks([episode], [begin])[0, : -(-(episode.first_success + 1 - begin) // CHUNK)]:
        imagined = world.imagine(context, chunk[None], noise)
        context = imagined.context
        frames.append(imagined.frames[0])
    return np.concatenate(frames)[: episode.first_success + 1 - begin]


def film_figure(imagined: np.ndarray, episode: Episode, begin: int) -> go.Figure:
    """Imagined frames uint8 [T, H, W, 3] from frame `begin` of an episode on: their error, and the last one beside the
    real one."""
    real = episode.frames[begin + 1 : begin + 1 + len(imagined)]
    titles = ["", "imagined success", "real success"]
    figure = make_subplots(1, 3, column_widths=[0.56, 0.22, 0.22], horizontal_spacing=0.04, subplot_titles=titles)
    error = [psnr(one, other) for one, other in zip(imagined, real, strict=True)]
    figure.add_scatter(
        x=np.arange(begin + 1, begin + 1 + len(error)), y=error, mode="lines+markers", line={"color": IMAGINED},
        showlegend=False, hovertemplate="%{y:.1f} dB at action %{x}", row=1, col=1,
    )  # fmt: skip
    for column, frame in ((2, imagined[-1]), (3, real[-1])):
        figure.add_image(z=frame, hoverinfo="skip", row=1, col=column)
    figure.update_xaxes(visible=False, col=2).update_xaxes(visible=False, col=3)
    figure.update_yaxes(visible=False, col=2).update_yaxes(visible=False, col=3)
    figure.update_xaxes(title_text="action of the episode", range=[0, len(episode)], row=1, col=1)
    figure.update_yaxes(title_text="PSNR (dB)", range=[10, 35], row=1, col=1)
    figure.add_vline(begin, line={"color": INK, "dash": "dash"}, row=1, col=1)
    return styled(figure, 300)
