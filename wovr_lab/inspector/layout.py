"""What stands on the page: fields, buttons, pictures, tabs, with a name on each. `app` says what they do."""

from __future__ import annotations

from typing import Any

import gradio as gr

from wovr_lab.inspector.autopilot import EXPERT
from wovr_lab.inspector.keys import DIRECTIONS, GRIPPER_KEY, STRENGTH
from wovr_lab.inspector.models import RunModels
from wovr_lab.types import CHUNK, MEMORY

KEYPAD = (("q", "w", "e", "r"), ("a", "s", "d", "f"), (GRIPPER_KEY, "enter", "z"))
NAMES = {GRIPPER_KEY: "Space: gripper", "enter": "Enter: commit", "z": "Z: undo"}
ARROWS = {"w": " ↑", "a": " ←", "s": " ↓", "d": " →"}
STEP_KINDS = {"a chunk of 8 actions": CHUNK, "one action (off the trained protocol)": 1}
SAMPLER_STEPS = (1, 2, 3, 5, 10)
Parts = dict[str, Any]


def picture(name: str, label: str, smooth: bool = False) -> gr.Image:
    """A picture under its caption; pixels stay squares unless `smooth`."""
    with gr.Column(min_width=150, elem_classes="captioned"):
        gr.Markdown(label)
        return gr.Image(
            show_label=False, alt_text=label, format="png", interactive=False, buttons=["fullscreen"],
            container=False, elem_id=name, elem_classes=["smooth" if smooth else "pixels"],
        )  # fmt: skip


def _row() -> gr.Row:
    return gr.Row(elem_classes="controls")


def _button(label: str, variant: str = "secondary", **more: Any) -> gr.Button:
    return gr.Button(label, variant=variant, min_width=90, scale=0, **more)


def start_options(tasks: list[str], places: list[tuple[str, str]]) -> Parts:
    """Where to begin: an initial state, one of `places` (label, value), a file."""
    parts: Parts = {}
    with gr.Tabs():
        with gr.Tab("Begin at an initial state"), _row():
            parts["task"] = gr.Dropdown(tasks, value=tasks[0], label="Task", min_width=160)
            parts["seed"] = gr.Number(10_000, label="Seed of the initial state", precision=0, minimum=0, min_width=120)
            parts["start"] = _button("Start", "primary")
        with gr.Tab("in this run"), _row():
            parts["place"] = gr.Dropdown(
                places, value=None, label="Hallucination, keyframe, episode or saved branch", min_width=300
            )
            parts["there"] = _button("Start there", "primary")
        with gr.Tab("in a file"), _row():
            parts["index"] = gr.Number(0, label="Number of the episode", precision=0, minimum=0, min_width=120)
            parts["step"] = gr.Number(0, label="Begin at action", precision=0, minimum=0, min_width=120)
            parts["upload"] = gr.UploadButton("Upload an episode (LIBERO HDF5)", elem_id="upload")
    return parts


def keypad() -> dict[str, gr.Button]:
    """Buttons by key, laid out as on a keyboard."""
    buttons = {}
    for row in KEYPAD:
        with gr.Row(elem_classes="keypad"):
            for key in row:
                label = NAMES.get(key) or f"{key.upper()}{ARROWS.get(key, '')} {DIRECTIONS[key][0]}"
                buttons[key] = gr.Button(label, elem_id=f"key-{key}", min_width=60)
    return buttons


def controls() -> Parts:
    """What a key means."""
    parts: Parts = {"kind": gr.Radio(list(STEP_KINDS.items()), value=CHUNK, label="One key press")}
    with gr.Row():
        parts["strength"] = gr.Slider(0.1, 1.0, STRENGTH, step=0.1, label="Size of a move", min_width=200)
        parts["gain"] = gr.Slider(1, 8, 1, step=1, label="Difference gain", min_width=200)
    parts["preview"] = gr.Checkbox(False, label="Preview first, commit with Enter")
    return parts


def branch_tab() -> Parts:
    """Rewind, re-anchor, fork, name, delete, compare."""
    parts: Parts = {}
    with gr.Tab("Branches"):
        with _row():
            parts["branch"] = gr.Dropdown([], label="Branch", min_width=140)
            parts["position"] = gr.Slider(0, 1, 0, step=1, label="Go to step", min_width=180)
            parts["reanchor"] = _button("Re-anchor on the real frames")
        with _row():
            parts["name"] = gr.Textbox("", label="Name", max_length=40, min_width=140)
            parts["fork"], parts["rename"] = _button("Fork here"), _button("Rename")
            parts["delete"] = _button("Delete", "stop")
        with _row():
            parts["other"] = gr.Dropdown([], label="Compare with", min_width=140)
            parts["compare"] = _button("Compare")
        with gr.Column(visible=False) as parts["comparison"]:
            parts["table"] = gr.HTML(elem_id="compared")
            parts["frames"] = picture("branches", "This branch (imagined, real), then the other (imagined, real)")
            parts["curves"] = gr.Plot(show_label=False)
    return parts


def switch_tab(models: RunModels) -> Parts:
    """Controls by the name of the switch, in the order of `Switches`."""
    own = models.switches("base")
    steps = sorted({*SAMPLER_STEPS, own.sampler_steps})
    with gr.Tab("Switches"):
        gr.Markdown("A changed switch applies from here on and is recorded on the branch.")
        parts: Parts = {}
        with gr.Row():
            parts["anchor"] = gr.Checkbox(own.anchor, label="First-frame anchor", min_width=200)
            parts["memory"] = gr.Radio([1, MEMORY], value=own.memory, label="Memory (frames)", min_width=160)
            parts["sampler_steps"] = gr.Radio(steps, value=own.sampler_steps, label="Sampler steps", min_width=300)
        with gr.Row():
            parts["noise"] = gr.Number(0, label="Noise seed", precision=0, minimum=0, min_width=160)
            names = list(models.checkpoints)
            parts["checkpoint"] = gr.Radio(names, value="base", label="World model and its reward", min_width=220)
            label = "Reward threshold"
            parts["threshold"] = gr.Slider(0.01, 0.99, own.threshold, step=0.01, label=label, min_width=240)
        return parts


def pilot_tab() -> Parts:
    """Who acts instead, and what a policy sees."""
    with gr.Tab("Autopilot"), _row():
        return {
            "pilot": gr.Dropdown([EXPERT], value=EXPERT, label="Pilot", min_width=160),
            "sees": gr.Radio(["imagined", "real"], value="imagined", label="A policy sees the frame that is"),
            "once": _button("One chunk"),
            "play": _button("Play"),
            "pause": _button("Stop autopilot"),
            "timer": gr.Timer(1.0, active=False),
        }


def futures_tab() -> Parts:
    """One chunk imagined four times."""
    with gr.Tab("Resample (4 seeds)"):
        parts: Parts = {"again": _button("Imagine the last chunk four times")}
        with gr.Column(visible=False) as parts["seen"]:
            parts["film"] = picture("futures", "Futures 1 to 4 of the same actions, then reality")
            parts["numbers"] = gr.HTML()
            with _row():
                parts["number"] = gr.Radio([1, 2, 3, 4], value=2, label="Go on with future")
                parts["take"] = _button("Make it a branch")
    return parts


def leaving_tab() -> Parts:
    """Links, files, a notebook cell, the gallery."""
    with gr.Tab("Export"):
        label = "Link to this branch (same run folder)"
        parts: Parts = {"link": gr.Textbox("", label=label, interactive=False, elem_id="link")}
        with _row():
            parts["prepare"] = _button("Prepare downloads")
            parts["name"] = gr.Textbox("", label="Name in the gallery", max_length=40, min_width=140)
            parts["save"] = _button("Save to gallery")
        label = "Episodes (LIBERO HDF5), films, switches"
        parts["files"] = gr.File(label=label, file_count="multiple", interactive=False)
        label = "Notebook cell that replays it"
        parts["cell"] = gr.Code("", language="python", label=label, interactive=False)
    return parts
