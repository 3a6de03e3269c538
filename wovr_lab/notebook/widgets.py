"""Widgets of the notebooks: films to scrub through, controls that compute anew. In: frames, functions. Out: widgets.

Where no kernel runs (an executed copy, a page) a still picture or a plain figure stands for each.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets
import numpy as np
import plotly.graph_objects as go
from PIL import Image

from wovr_lab.figures.hallucination_figures import case_sentence
from wovr_lab.figures.pictures import GAP, enlarge, named_strip, side_by_side, strip
from wovr_lab.figures.style import IMAGINED, INK, REAL, styled
from wovr_lab.measure.tabletop.gallery import Case
from wovr_lab.measure.video.metrics import psnr
from wovr_lab.types import Episode

SCALE = 6  # of a film's pixels
MOMENTS, SMALL = 10, 96  # in a still picture, of about so many pixels each
PAUSE = 150  # milliseconds between frames that are played
FIGURE = "application/vnd.plotly.v1+json"
WIDE = {"description_width": "initial"}


class Box(ipywidgets.VBox):
    """Widgets below each other, and by mimetype what stands for them where no kernel runs."""

    def __init__(self, children: Sequence[ipywidgets.Widget], still: dict[str, Any]):
        super().__init__(list(children))
        self._still = still

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        return super()._repr_mimebundle_(**kwargs) | self._still


class Film(Box):
    """Frames uint8 [T, H, W, 3] with a slider and play; `slider.value` is the frame that is shown."""

    def __init__(self, frames: np.ndarray, description: str = "frame", scale: int = SCALE):
        self.frames, self.scale = frames, scale
        self.image = ipywidgets.Image(value=png(enlarge(frames[:1], scale)[0]))
        self.image.layout.object_fit, self.image.layout.align_self = "none", "flex-start"
        last = len(frames) - 1
        self.slider = ipywidgets.IntSlider(0, 0, last, description=description, style=WIDE)
        play = ipywidgets.Play(min=0, max=last, interval=PAUSE)
        ipywidgets.jslink((play, "value"), (self.slider, "value"))
        ipywidgets.jslink((play, "max"), (self.slider, "max"))
        self.slider.observe(lambda _: self._draw(), "value")
        shown = np.linspace(0, last, MOMENTS).astype(int)
        picture = strip([frames[shown]], max(1, SMALL // frames.shape[1]))
        super().__init__([self.image, ipywidgets.HBox([play, self.slider])], still(picture))

    def show(self, frames: np.ndarray) -> None:
        """Other frames, from the same moment on if they are long enough."""
        self.frames = frames
        self.slider.max = len(frames) - 1
        self._draw()

    def _draw(self) -> None:
        self.image.value = png(enlarge(self.frames[self.slider.value][None], self.scale)[0])


class Comparison(Box):
    """real | imagined | difference of films uint8 [T + 1, H, W, 3], scrubbed through together with the error of each
    frame; hover over the curve to see that frame. `controls` are put below."""

    def __init__(self, real: np.ndarray, imagined: np.ndarray, controls: Sequence[ipywidgets.Widget] = ()):
        self.film = Film(side_by_side(real, imagined), "horizon")
        self.figure = go.FigureWidget(error_of_frames(real, imagined))
        self.figure.data[0].on_hover(lambda _, points, __: self._go_to(points.point_inds))
        self.film.slider.observe(lambda change: self._mark(change["new"]), "value")
        width = (real.shape[2] + GAP) * SCALE
        names = (("real", REAL), ("imagined", IMAGINED), ("difference", INK))
        label = ipywidgets.HTML("".join(_caption(text, colour, width) for text, colour in names))
        row = ipywidgets.HBox(list(controls))
        row.layout.flex_flow = "row wrap"
        super().__init__([label, self.film, self.figure, row], still(compared(real, imagined)))

    def show(self, real: np.ndarray, imagined: np.ndarray) -> None:
        """Other films."""
        self.film.show(side_by_side(real, imagined))
        curve = error_of_frames(real, imagined).data[0]
        self.figure.data[0].update(x=curve.x, y=curve.y)

    def _go_to(self, points: Sequence[int]) -> None:
        if points:
            self.film.slider.value = int(points[0]) + 1

    def _mark(self, horizon: int) -> None:
        self.figure.layout.shapes[0].update(x0=horizon, x1=horizon)


def recomputed(real: np.ndarray, imagine: Callable[..., np.ndarray], **controls: ipywidgets.Widget) -> Comparison:
    """A film beside what `imagine(**values of the controls)` makes of it, anew where one of them changes."""

    def imagined() -> np.ndarray:
        return imagine(**{name: control.value for name, control in controls.items()})

    comparison = Comparison(real, imagined(), list(controls.values()))
    for control in controls.values():
        control.observe(lambda _: comparison.show(real, imagined()), "value")
    return comparison


def gallery(cases: Sequence[Case]) -> Comparison:
    """Mined hallucinations to choose from, each with both films."""
    films = [(case.real.frames, case.imagined.frames) for case in cases]
    names = [(case_sentence(case.about), number) for number, case in enumerate(cases)]
    chosen = ipywidgets.Dropdown(options=names, description="case", layout={"width": "760px"})
    comparison = Comparison(*films[0], [chosen])
    chosen.observe(lambda change: comparison.show(*films[change["new"]]), "value")
    return comparison


def still(picture: np.ndarray) -> dict[str, Any]:
    """A picture uint8 [H, W, 3] as a notebook's output."""
    return {"image/png": base64.b64encode(png(picture)).decode()}


def png(picture: np.ndarray) -> bytes:
    """uint8 [H, W, 3] as a PNG file."""
    with io.BytesIO() as file:
        Image.fromarray(picture).save(file, format="PNG")
        return file.getvalue()


def error_of_frames(real: np.ndarray, imagined: np.ndarray) -> go.Figure:
    """PSNR of every imagined frame of uint8 [T + 1, H, W, 3], whose first is real, with a mark to move."""
    figure = go.Figure(go.Scatter(
        x=np.arange(1, len(real)), y=psnr(real[1:], imagined[1 : len(real)]), mode="lines+markers",
        marker_size=5, line_color=IMAGINED, hovertemplate="%{y:.1f} dB at horizon %{x}<extra></extra>",
    ))  # fmt: skip
    figure.add_vline(0, line={"color": INK, "width": 1})
    figure.update_xaxes(title_text="horizon: imagined frames since the last real frame", rangemode="tozero")
    figure.update_yaxes(title_text="PSNR (dB)")
    return styled(figure, 260).update_layout(margin={"t": 10}, hovermode="x")


def compared(real: np.ndarray, imagined: np.ndarray) -> np.ndarray:
    """Both films and their difference at some moments, one below the other: uint8 [H, W, 3]."""
    shown = np.linspace(0, len(real) - 1, MOMENTS).astype(int)
    first, second = real[shown], imagined[shown]
    difference = np.abs(first.astype(np.int16) - second).astype(np.uint8)
    rows = {"real": first, "imagined": second, "difference": difference}
    return named_strip(rows, [f"horizon {horizon}" for horizon in shown], scale=2)


def slide(draw: Callable[[Any], go.Figure], control: ipywidgets.Widget) -> Box:
    """The figure of `draw(value)`, drawn anew where the control's value changes."""
    first = draw(control.value)
    figure = go.FigureWidget(first)
    control.style.description_width = "initial"

    def again(change: Mapping[str, Any]) -> None:
        fresh = draw(change["new"])
        with figure.batch_update():
            for old, new in zip(figure.data, fresh.data, strict=True):
                old.update(new.to_plotly_json(), overwrite=True)
            figure.layout.shapes, figure.layout.annotations = fresh.layout.shapes, fresh.layout.annotations

    control.observe(again, "value")
    return Box([control, figure], {FIGURE: first.to_plotly_json()})


def episode_browser(episodes: Mapping[str, Sequence[Episode]]) -> Box:
    """All episodes of all tasks: choose one, play it, see its outcome."""
    task = ipywidgets.Dropdown(options=list(episodes), description="task", style=WIDE)
    number = ipywidgets.IntSlider(0, 0, len(episodes[task.value]) - 1, description="episode", style=WIDE)
    film, outcome = Film(episodes[task.value][0].frames, "action"), ipywidgets.Label()

    def choose(_: object) -> None:
        number.max = len(episodes[task.value]) - 1
        episode = episodes[task.value][number.value]
        film.show(episode.frames)
        success = f"success at action {episode.first_success}" if episode.first_success >= 0 else "no success"
        outcome.value = f"{episode.instruction} | seed {episode.seed} | {len(episode)} actions, {success}"

    for control in (task, number):
        control.observe(choose, "value")
    choose(None)
    rows = {
        name: found[0].frames[np.linspace(0, len(found[0]), MOMENTS).astype(int)] for name, found in episodes.items()
    }
    return Box([ipywidgets.HBox([task, number]), outcome, film], still(named_strip(rows, [], scale=2)))


def _caption(text: str, colour: str, width: int) -> str:
    return f"<span style='display:inline-block;width:{width}px;color:{colour};font-size:14px'>{text}</span>"
