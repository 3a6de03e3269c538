"""What stands on the page: the stage and the side panel's tabs, a name on each control. `app` says what they do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from wovr_lab.inspector.autopilot import EXPERT, MOST_CANDIDATES
from wovr_lab.inspector.keys import DIRECTIONS, GRIPPER_KEY, STRENGTH
from wovr_lab.inspector.models import RunModels
from wovr_lab.types import CHUNK, MEMORY

KEYPAD = (("q", "w", "e", "r"), ("a", "s", "d", "f"), (GRIPPER_KEY, "enter", "z"))
NAMES = {GRIPPER_KEY: "Space: gripper", "enter": "Enter: commit", "z": "Z: back"}
ARROWS = {"w": " ↑", "a": " ←", "s": " ↓", "d": " →"}
STEP_KINDS = {"a chunk of 8 actions": CHUNK, "one action (off the protocol)": 1}
FOLDER = Path(__file__).parent
SAMPLER_STEPS, CANDIDATES = (1, 2, 3, 5, 10), (1, 4, 8, MOST_CANDIDATES)
Parts = dict[str, Any]


def stage() -> gr.HTML:
    """Pictures, player, timeline, rail: drawn by the page's scripts from what they are told."""
    return gr.HTML(
        "", html_template=(FOLDER / "stage.html").read_text(), apply_default_css=False, elem_id="stage",
        js_on_load="openInspector(element, trigger, props, watch)",
    )  # fmt: skip


def _row() -> gr.Row:
    return gr.Row(elem_classes="controls")


def _button(label: str, variant: str = "secondary", **more: Any) -> gr.Button:
    return gr.Button(label, variant=variant, min_width=90, scale=0, **more)


def start_tab(tasks: list[str], places: list[tuple[str, str]]) -> Parts:
    """Where to begin: an initial state, one of `places` (label, value), a file."""
    parts: Parts = {}
    with gr.Tab("Start"):
        with _row():
            parts["task"] = gr.Dropdown(tasks, value=tasks[0], label="Task", min_width=160)
            parts["seed"] = gr.Number(10_000, label="Seed of the initial state", precision=0, minimum=0, min_width=120)
            parts["start"] = _button("Start", "primary")
        with _row():
            label = "Hallucination, keyframe, episode or saved branch"
            parts["place"] = gr.Dropdown(places, value=None, label=label, min_width=200)
            parts["there"] = _button("Start there", "primary")
        with _row():
            parts["index"] = gr.Number(0, label="Episode in the file", precision=0, minimum=0, min_width=100)
            parts["step"] = gr.Number(0, label="Begin at action", precision=0, minimum=0, min_width=100)
            parts["upload"] = gr.UploadButton("Upload an episode (LIBERO HDF5)", elem_id="upload")
        gr.Markdown("What you have done stays on the branch map.")
    return parts


def drive_tab() -> Parts:
    """Keys, what a key means, the numbers."""
    with gr.Tab("Drive"):
        gr.HTML(html_template=_keypad(), apply_default_css=False, js_on_load=None)
        with gr.Row():
            parts: Parts = {"kind": gr.Radio(list(STEP_KINDS.items()), value=CHUNK, label="One key press")}
            parts["strength"] = gr.Slider(0.1, 1.0, STRENGTH, step=0.1, label="Size of a move", min_width=200)
        parts["preview"] = gr.Checkbox(False, label="Preview first, commit with Enter")
        gr.HTML(html_template="<div id='readout' class='readout'></div>", apply_default_css=False, js_on_load=None)
    return parts


def _keypad() -> str:
    """Buttons laid out as on a keyboard; the page's scripts listen to them."""
    rows = []
    for row in KEYPAD:
        labels = [NAMES.get(key) or f"{key.upper()}{ARROWS.get(key, '')} {DIRECTIONS[key][0]}" for key in row]
        buttons = (
            f"<button type='button' id='key-{key}' data-key='{key}'>{label}</button>"
            for key, label in zip(row, labels, strict=True)
        )
        rows.append(f"<div>{''.join(buttons)}</div>")
    return f"<div class='keypad' role='group' aria-label='Keys'>{''.join(rows)}</div>"


def branch_tab() -> Parts:
    """The branch map; re-anchor, fork, name, delete, restore, compare."""
    parts: Parts = {}
    with gr.Tab("Branches"):
        gr.HTML(
            html_template="<div id='map' role='group' aria-label='Branch map'></div>", apply_default_css=False,
            js_on_load="window.drawBranchMap?.()",
        )  # fmt: skip
        with _row():
            parts["name"] = gr.Textbox("", label="Name", max_length=40, min_width=120)
            parts["fork"], parts["rename"] = _button("Fork here"), _button("Rename")
        with _row():
            parts["reanchor"] = _button("Re-anchor on the real frames")
            parts["delete"], parts["restore"] = _button("Delete", "stop"), _button("Restore deleted")
        with _row():
            parts["other"] = gr.Dropdown([], label="Compare with", min_width=140)
            parts["compare"] = _button("Compare")
        parts["comparison"] = gr.HTML(elem_id="compared", apply_default_css=False)
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
    """Who acts instead, what a policy sees, among how many imagined chunks it chooses."""
    with gr.Tab("Autopilot"), _row():
        return {
            "pilot": gr.Dropdown([EXPERT], value=EXPERT, label="Pilot", min_width=160),
            "sees": gr.Radio(["imagined", "real"], value="imagined", label="Frame that a policy sees"),
            "candidates": gr.Radio(CANDIDATES, value=1, label="Best of N (imagined first; the reward chooses)"),
            "once": _button("One chunk"),
            "play": _button("Play"),
            "pause": _button("Stop autopilot"),
            "timer": gr.Timer(1.0, active=False),
        }


def futures_tab() -> Parts:
    """One chunk imagined four times."""
    with gr.Tab("Resample"):
        parts: Parts = {"again": _button("Resample (4 seeds)")}
        parts["films"] = gr.HTML(elem_id="futures", apply_default_css=False)
        with gr.Column(visible=False) as parts["seen"], _row():
            parts["number"] = gr.Radio([1, 2, 3, 4], value=2, label="Go on with future")
            parts["take"] = _button("Make it a branch")
    return parts


def leaving_tab() -> Parts:
    """Links, files, a notebook cell, the gallery."""
    with gr.Tab("Export"):
        label = "Link to this branch (same run folder)"
        parts: Parts = {"link": gr.Textbox("", label=label, interactive=False, max_lines=3, elem_id="link")}
        with _row():
            parts["prepare"] = _button("Prepare downloads")
            parts["name"] = gr.Textbox("", label="Name in the gallery", max_length=40, min_width=140)
            parts["save"] = _button("Save to gallery")
        label = "Episodes (LIBERO HDF5), films, switches"
        parts["files"] = gr.File(label=label, file_count="multiple", interactive=False)
        label = "Notebook cell that replays it"
        parts["cell"] = gr.Code("", language="python", label=label, interactive=False)
    return parts
