"""The inspector's page: keys and buttons in, both worlds side by side out. It computes nothing: it asks a `Session`.

Runs on this machine only: loopback address, no sharing link, no analytics, nothing loaded from elsewhere. Everything
that touches a world runs one at a time; each tab has a session of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import gradio as gr

from wovr_lab.errors import UserError
from wovr_lab.inspector.keys import DIRECTIONS, GRIPPER_KEY, STRENGTH, direction_chunk
from wovr_lab.inspector.page import View, view
from wovr_lab.inspector.session import Session, load_models

FOLDER = Path(__file__).parent
KEPT = (600, 3600)  # seconds: how often shown pictures are cleared away, and at what age
KEYPAD = (("q", "w", "e", "r"), ("a", "s", "d", "f"))
ARROWS = {"w": " ↑", "a": " ←", "s": " ↓", "d": " →"}
PICTURES = {
    "imagined": "Imagined",
    "difference": "Difference",
    "real": "Real, as models see it",
    "picture": "Real, for us",
}
INTRODUCTION = """# Hallucination inspector
Steer the robot **inside the world model** and, with the same actions, **in the real simulator**. One key is one chunk
of eight actions. Where the two part, you are looking at a hallucination."""


def build_app(session_factory: Callable[[], Session]) -> gr.Blocks:
    """The page; `session_factory` makes a fresh session for every tab. `serve` shows it."""
    tasks = list(session_factory().tasks)
    with gr.Blocks(title="Hallucination inspector", analytics_enabled=False, fill_width=True, delete_cache=KEPT) as app:
        session = gr.State(None)
        gr.Markdown(INTRODUCTION)
        with gr.Row(elem_classes="controls"):
            task = gr.Dropdown(tasks, value=tasks[0], label="Task", min_width=160)
            seed = gr.Number(10_000, label="Seed of the initial state", precision=0, minimum=0, min_width=120)
            noise = gr.Number(0, label="Seed of the imagination", precision=0, minimum=0, min_width=120)
            strength = gr.Slider(0.1, 1.0, STRENGTH, step=0.1, label="Size of a move", min_width=160)
            begin = gr.Button("Start", variant="primary", min_width=100)
        with gr.Row():
            pictures = [_picture(name, label, smooth=name == "picture") for name, label in PICTURES.items()]
        with gr.Row():
            with gr.Column(scale=2, min_width=340):
                buttons = _keypad()
            with gr.Column(scale=3, min_width=340):
                numbers = gr.HTML(elem_id="readout")
        film = _picture("film", "The eight frames of this chunk: imagined, real, difference")
        views = [*pictures, film, numbers]
        alone = {"concurrency_id": "worlds", "concurrency_limit": 1, "api_visibility": "private"}
        quiet = {**alone, "show_progress": "hidden", "inputs": [session, strength], "outputs": views}

        def opened(task: str, seed: int, noise: int) -> tuple[Session, *View]:
            fresh = session_factory()
            return fresh, *_start(fresh, task, seed, noise)

        app.load(opened, [task, seed, noise], [session, *views], **alone)
        begin.click(_start, [session, task, seed, noise], views, **alone)
        for key, button in buttons.items():
            button.click(_undo if key == "z" else partial(_act, key), **quiet)
    return app


def _picture(name: str, label: str, smooth: bool = False) -> gr.Image:
    """A picture under its caption; pixels stay squares unless `smooth`."""
    with gr.Column(min_width=150, elem_classes="captioned"):
        gr.Markdown(label)
        return gr.Image(
            show_label=False, alt_text=label, format="png", interactive=False, buttons=["fullscreen"],
            container=False, elem_id=name, elem_classes=["smooth" if smooth else "pixels"],
        )  # fmt: skip


def _keypad() -> dict[str, gr.Button]:
    """Buttons by key, laid out as on a keyboard."""
    buttons = {}
    for row in KEYPAD:
        with gr.Row(elem_classes="keypad"):
            for key in row:
                label = f"{key.upper()}{ARROWS.get(key, '')} {DIRECTIONS[key][0]}"
                buttons[key] = gr.Button(label, elem_id=f"key-{key}", min_width=60)
    with gr.Row(elem_classes="keypad"):
        buttons[GRIPPER_KEY] = gr.Button("Space: gripper", elem_id="key-space", min_width=60)
        buttons["z"] = gr.Button("Z: undo", elem_id="key-z", min_width=60)
    return buttons


def _start(session: Session, task: str, seed: int, noise: int) -> View:
    return _attempt(session, lambda: session.start(task, int(seed), int(noise)))


def _act(key: str, session: Session, strength: float) -> View:
    return _attempt(session, lambda: session.step(direction_chunk(key, session.gripper, strength)))


def _undo(session: Session, strength: float) -> View:
    return _attempt(session, session.rewind)


def _attempt(session: Session, action: Callable[[], object]) -> View:
    """What there is to see after the action, or as before with a message if it was refused."""
    try:
        action()
    except UserError as error:
        gr.Warning(str(error), title="Not possible")
    return view(session)


def serve(app: gr.Blocks, port: int | None = None, block: bool = True) -> str:
    """Shows the page on this machine only and returns its address, at once if not `block`."""
    _, address, _ = app.launch(
        server_name="127.0.0.1", server_port=port, prevent_thread_lock=not block, share=False, show_error=False,
        ssr_mode=False, run_history=False, max_file_size="1kb", footer_links=[], quiet=not block,
        css_paths=FOLDER / "page.css", head=f"<script>{(FOLDER / 'keyboard.js').read_text()}</script>",
    )  # fmt: skip
    return address


def launch(run: Path, port: int | None = None, evolved: bool = False) -> None:
    """Opens the inspector on a run folder's world model and reward, until interrupted. Raises UserError without them.

    `evolved` takes the models that PACE refined, instead of the first ones.
    """
    world, reward = load_models(run, evolved)
    serve(build_app(lambda: Session(world, reward)), port)
