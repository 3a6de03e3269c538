"""Widgets show another picture when they are moved, and a still one where no kernel runs."""

from __future__ import annotations

import base64
import io

import numpy as np
import plotly.graph_objects as go
import pytest
from ipywidgets import IntSlider
from PIL import Image

from wovr_lab.figures.pictures import named_strip
from wovr_lab.measure.tabletop.gallery import Case
from wovr_lab.notebook.widgets import FIGURE, Film, episode_browser, gallery, recomputed, slide
from wovr_lab.real.tabletop.expert import expert_episodes


@pytest.fixture
def frames() -> np.ndarray:
    return np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 3), np.uint8) * 40


def seen(picture: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture)))


def test_a_film_shows_the_frame_that_its_slider_stands_at(frames: np.ndarray):
    film = Film(frames, scale=2)
    film.slider.value = 3
    assert seen(film.image.value).shape == (16, 16, 3) and (seen(film.image.value) == 120).all()
    film.show(frames[:2])
    assert film.slider.value == 1 and (seen(film.image.value) == 40).all()
    assert seen(base64.b64decode(film._repr_mimebundle_()["image/png"])).ndim == 3


def test_a_comparison_imagines_anew_and_its_curve_moves_the_film(frames: np.ndarray):
    control = IntSlider(0, 0, 100)
    comparison = recomputed(
        frames, lambda error: np.clip(frames.astype(int) + error, 0, 255).astype(np.uint8), error=control
    )
    before = comparison.figure.data[0].y
    control.value = 100
    assert (np.array(before) > np.array(comparison.figure.data[0].y)).all()
    comparison._go_to([2])
    assert comparison.film.slider.value == 3 and comparison.figure.layout.shapes[0].x0 == 3


def test_a_slider_draws_its_figure_anew():
    box = slide(lambda height: go.Figure(go.Scatter(y=[0, height])), IntSlider(1, 0, 9))
    control, figure = box.children
    control.value = 7
    assert list(figure.data[0].y) == [0, 7]
    assert list(box._repr_mimebundle_()[FIGURE]["data"][0]["y"]) == [0, 1], "what stands for it is the first figure"


def test_episodes_are_browsed_by_task_and_number():
    found = {name: list(expert_episodes(name, [0, 1], 0.0)) for name in ("push_red", "red_on_plate")}
    (task, number), outcome, film = (box := episode_browser(found)).children[0].children, *box.children[1:]
    task.value, number.value = "red_on_plate", 1
    assert film.frames is found["red_on_plate"][1].frames
    assert "seed 1" in outcome.value and f"success at action {found['red_on_plate'][1].first_success}" in outcome.value


def test_a_gallery_shows_the_case_that_is_chosen():
    about = {"kind": "imagined_only", "policy": "base", "world": "base", "start": "initial", "object_cm": 4.0}
    cases = [
        Case(about | {"task": e.task, "seed": e.seed, "step": 0}, e, e, *[np.zeros((len(e) + 1, 10), np.float32)] * 3)
        for e in expert_episodes("push_red", [0, 1], 0.0)
    ]
    shown = gallery(cases)
    chosen = shown.children[-1].children[0]
    assert "seed 1" in chosen.options[1][0]
    chosen.value = 1
    assert len(shown.film.frames) == len(cases[1].real.frames) == shown.figure.data[0].x[-1] + 1


def test_names_stand_beside_rows_and_above_columns(frames: np.ndarray):
    plain, named = named_strip({"a": frames}, []), named_strip({"a_b": frames, "c": frames}, ["0", "1", "2", "3", "4"])
    assert named.shape[0] > 2 * plain.shape[0] and named.shape[1] > plain.shape[1]
