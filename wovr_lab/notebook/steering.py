"""A hand to steer in both worlds at once: the same chunk from the same frame, real and imagined (paper section 2).

In: a world model, a start with its simulator state. Out: a widget; where no kernel runs, its first picture.
"""

from __future__ import annotations

import ipywidgets
import numpy as np

from wovr_lab.figures.pictures import named_strip
from wovr_lab.measure.tabletop.control import channels_of, with_action_channels
from wovr_lab.measure.tabletop.effects import executed
from wovr_lab.notebook.widgets import WIDE, Box, png, still
from wovr_lab.real.tabletop.chunk_env import make_tabletop_env
from wovr_lab.seeding import torch_stream
from wovr_lab.types import ACTION_DIM, CHUNK, NOOP, Start
from wovr_lab.world.protocol import ImaginingModel

SCALE = 3
MOST_STEPS = 5  # of the sampler


def steering(world: ImaginingModel, start: Start, run_seed: int) -> Box:
    """Sliders for the hand's action, held for a chunk; the gripper; the action channels; the sampler's steps. The world
    model is left as it was found after every picture."""
    env, before = make_tabletop_env(1, start.anchor.shape[0]), world.sampler.steps
    closed = bool(start.memory_actions[-1, -1] > 0)
    controls = {
        "x": _slider("x: to the camera", 0.0), "y": _slider("y: to the right", 0.6), "z": _slider("z: up", -0.4),
        "closed": ipywidgets.Checkbox(closed, description="gripper closed", indent=False),
        "channels": ipywidgets.Dropdown(options=channels_of(world), description="action channels", style=WIDE),
        "steps": ipywidgets.IntSlider(before, 1, MOST_STEPS, description="sampler steps", style=WIDE),
    }  # fmt: skip

    def draw() -> np.ndarray:
        values = {name: control.value for name, control in controls.items()}
        chunk = held(values["x"], values["y"], values["z"], values["closed"])
        world.sampler.steps = values["steps"]
        with with_action_channels(world, values["channels"]) as told:
            context, noise = told.initial_context([start]), [torch_stream(run_seed, "steering")]
            frames = told.imagine(context, chunk[None], noise).frames
        world.sampler.steps = before
        return compared(executed(env, start, chunk[None])[0], frames[0])

    first = draw()
    image = ipywidgets.Image(value=png(first))
    image.layout.object_fit, image.layout.align_self = "none", "flex-start"

    def again(_: object) -> None:
        image.value = png(draw())

    for control in controls.values():
        control.observe(again, "value")
    every = list(controls.values())
    return Box([ipywidgets.HBox(every[:3]), ipywidgets.HBox(every[3:]), image], still(first))


def held(x: float, y: float, z: float, closed: bool) -> np.ndarray:
    """float32 [8, 7]: the same action for a whole chunk."""
    chunk = np.tile(NOOP, (CHUNK, 1))
    chunk[:, :3], chunk[:, ACTION_DIM - 1] = (x, y, z), 1 if closed else -1
    return chunk


def compared(real: np.ndarray, imagined: np.ndarray) -> np.ndarray:
    """Two films uint8 [8, H, W, 3] and their difference below each other, named: uint8 [H', W', 3]."""
    difference = np.abs(real.astype(np.int16) - imagined).astype(np.uint8)
    rows = {"real": real, "imagined": imagined, "difference": difference}
    return named_strip(rows, [f"action {number}" for number in range(1, len(real) + 1)], SCALE)


def _slider(name: str, value: float) -> ipywidgets.FloatSlider:
    return ipywidgets.FloatSlider(value, min=-1, max=1, step=0.1, description=name, style=WIDE, continuous_update=False)
