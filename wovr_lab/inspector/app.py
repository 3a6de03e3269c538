"""The inspector's page: keys and buttons in, both worlds side by side out. It computes nothing: it asks a `Session`.

Everything that touches a world runs one at a time; each tab has a session of its own (`tabs`), `serve` shows the page.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from wovr_lab.errors import UserError
from wovr_lab.fields import Port, check
from wovr_lab.inspector import layout
from wovr_lab.inspector.autopilot import propose
from wovr_lab.inspector.exchange import begin_uploaded, export, notebook_cell
from wovr_lab.inspector.keys import direction_chunk
from wovr_lab.inspector.layout import Parts
from wovr_lab.inspector.links import UPLOAD, Gallery, session_from, write_link
from wovr_lab.inspector.models import HALLUCINATION, RunModels, StartOption, find_run
from wovr_lab.inspector.page import compared, futures_view
from wovr_lab.inspector.serve import LOOPBACK, Server
from wovr_lab.inspector.session import Session
from wovr_lab.inspector.tabs import ALONE, MOST_TABS, SHOWS, Tab, Tabs

GALLERY = Path("runs/gallery")
KEPT = (600, 3600)  # seconds: how often shown pictures are cleared away, and at what age
PLAYED = 48  # actions after which an autopilot that plays gives the robot back
PICTURES = {
    "imagined": "Imagined",
    "difference": "Difference",
    "real": "Real (model input, {side} x {side})",
    "picture": "Real (camera)",
}
INTRODUCTION = """# Hallucination inspector
Steer the robot **inside the world model** and, with the same actions, **in the real simulator**. Where the two part,
you are looking at a hallucination."""
Wire = Callable[..., None]


def build_app(models: RunModels, gallery: Path = GALLERY) -> tuple[gr.Blocks, Tabs]:
    """The page and the sessions behind it."""
    tabs = Tabs(models, Gallery(gallery))
    places = models.start_options()
    choices = [(f"{place.kind}: {place.label}", str(number)) for number, place in enumerate(places)]
    choices += [(f"gallery: {name}", f"gallery {name}") for name in tabs.gallery.names()]
    with gr.Blocks(title="Hallucination inspector", analytics_enabled=False, fill_width=True, delete_cache=KEPT) as app:
        gr.Markdown(INTRODUCTION)
        begin = layout.start_options(list(models.tasks), choices)
        with gr.Row():
            labels = {name: label.format(side=models.resolution) for name, label in PICTURES.items()}
            pictures = [layout.picture(name, label, smooth=name == "picture") for name, label in labels.items()]
        with gr.Row():
            with gr.Column(scale=2, min_width=340):
                keys, controls = layout.keypad(), layout.controls()
            with gr.Column(scale=3, min_width=340):
                numbers = gr.HTML(elem_id="readout")
        timeline = gr.Plot(show_label=False, elem_id="timeline")
        film = layout.picture("film", "The frames of this step: imagined, real, difference")
        with gr.Tabs():
            branches, switches, pilot = layout.branch_tab(), layout.switch_tab(models), layout.pilot_tab()
            futures, leaving = layout.futures_tab(), layout.leaving_tab()
        standing = [branches["branch"], branches["position"], branches["other"], pilot["pilot"], leaving["link"]]
        views = [*pictures, film, numbers, timeline, *standing, *switches.values()]
        gain = controls["gain"]

        def wire(trigger: Callable[..., Any], action: Callable[..., object], *inputs: gr.components.Component) -> None:
            trigger(tabs.doing(action), [gain, *inputs], views, trigger_mode="multiple", **SHOWS)

        app.load(tabs.opened, [gain], [*views, begin["task"], begin["seed"]], **SHOWS)
        app.unload(tabs.closed)
        app.state_session_capacity = MOST_TABS  # else Gradio keeps what 10,000 closed tabs were last sent
        wire(gain.release, lambda session: None)
        _wire_keys(wire, keys, controls)
        _wire_start_options(wire, begin, tabs, places)
        _wire_branches(wire, branches, tabs)
        _wire_switches(wire, switches)
        _wire_pilot(wire, pilot, tabs, gain, views)
        _wire_futures(wire, futures, tabs)
        _wire_leaving(leaving, tabs)
    return app, tabs


def _wire_keys(wire: Wire, keys: dict[str, gr.Button], controls: Parts) -> None:
    def act(key: str, session: Session, kind: int, strength: float, preview: bool) -> None:
        session.preview(direction_chunk(key, session.state.gripper, strength)[:kind])
        if not preview:
            session.commit()

    for key, button in keys.items():
        if key == "enter":
            wire(button.click, Session.commit)
        elif key == "z":
            wire(button.click, Session.undo)
        else:
            wire(button.click, partial(act, key), controls["kind"], controls["strength"], controls["preview"])


def _wire_start_options(wire: Wire, parts: Parts, tabs: Tabs, places: list[StartOption]) -> None:
    def start_there(session: Session, choice: str | None) -> None:
        if choice is None:
            raise UserError("choose a place to begin at first")
        if choice.startswith("gallery "):
            session.become(session_from(tabs.models, tabs.gallery.link(choice.removeprefix("gallery "))))
        else:
            place = places[int(choice)]
            if place.kind == HALLUCINATION:
                session.switch(checkpoint=place.checkpoint)
            session.start_recorded(place.origin)

    def start_uploaded(session: Session, file: str, index: int, step: int) -> None:
        try:
            begin_uploaded(session, Path(file), Path(file).name, int(index), int(step))
        finally:
            Path(file).unlink(missing_ok=True)

    wire(parts["start"].click, lambda session, task, seed: session.start(task, int(seed)), parts["task"], parts["seed"])
    wire(parts["there"].click, start_there, parts["place"])
    wire(parts["upload"].upload, start_uploaded, parts["upload"], parts["index"], parts["step"])


def _wire_branches(wire: Wire, parts: Parts, tabs: Tabs) -> None:
    wire(parts["branch"].input, Session.select, parts["branch"])
    wire(parts["position"].release, lambda session, position: session.rewind(int(position)), parts["position"])
    wire(parts["reanchor"].click, Session.reanchor)
    wire(parts["fork"].click, Session.fork, parts["name"])
    wire(parts["rename"].click, Session.rename, parts["name"])
    wire(parts["delete"].click, lambda session: session.delete(session.name))

    def compare(tab: Tab, other: str) -> tuple[Any, ...]:
        return *compared(tab.session, other), gr.update(visible=True)

    shown = [parts["frames"], parts["curves"], parts["table"], parts["comparison"]]
    parts["compare"].click(tabs.telling(compare, len(shown)), parts["other"], shown, **ALONE)


def _wire_switches(wire: Wire, parts: Parts) -> None:
    def switch(name: str, session: Session, value: Any) -> None:
        if value is not None and value != getattr(session.switches, name):
            session.switch(**{name: value})

    triggers = {name: [control.input] for name, control in parts.items()}
    triggers["threshold"] = [parts["threshold"].release]
    triggers["noise"] = [parts["noise"].submit, parts["noise"].blur]  # not at every digit
    for name, control in parts.items():
        for trigger in triggers[name]:
            wire(trigger, partial(switch, name), control)


def _wire_pilot(wire: Wire, parts: Parts, tabs: Tabs, gain: gr.Slider, views: list) -> None:
    def fly(session: Session, name: str | None, sees: str) -> None:
        session.step(propose(session, name, sees))

    def played(request: gr.Request, gain: float, name: str | None, sees: str) -> list[Any]:
        session = tabs.of(request).session
        before = len(session.branch.actions)
        shown = tabs.doing(fly)(request, gain, name, sees)
        return [*shown, gr.Timer(active=before < len(session.branch.actions) < PLAYED)]

    wire(parts["once"].click, fly, parts["pilot"], parts["sees"])
    parts["play"].click(lambda: gr.Timer(active=True), None, parts["timer"], api_visibility="private")
    parts["pause"].click(lambda: gr.Timer(active=False), None, parts["timer"], api_visibility="private")
    inputs, timer = [gain, parts["pilot"], parts["sees"]], parts["timer"]
    timer.tick(played, inputs, [*views, timer], **SHOWS)


def _wire_futures(wire: Wire, parts: Parts, tabs: Tabs) -> None:
    def resample(tab: Tab) -> tuple[Any, ...]:
        return *futures_view(tab.session.futures()), gr.update(visible=True)

    shown = [parts["film"], parts["numbers"], parts["seen"]]
    parts["again"].click(tabs.telling(resample, len(shown)), None, shown, **ALONE)
    wire(parts["take"].click, lambda session, number: session.take(session.futures()[number - 1]), parts["number"])


def _wire_leaving(parts: Parts, tabs: Tabs) -> None:
    def leave(tab: Tab) -> tuple[list[str], str]:
        paths = export(tab.session, Path(tab.folder.name))
        cell = notebook_cell(tab.session) if tab.session.branch.origin.source != UPLOAD else ""
        return [str(path) for path in paths], cell

    def keep(tab: Tab, name: str) -> tuple[str]:
        tabs.gallery.save(name, write_link(tab.session.branch, tab.session.switches))
        gr.Info("It is among the places to begin at when the page is opened anew.", title="Saved")
        return ("",)

    parts["prepare"].click(tabs.telling(leave, 2), None, [parts["files"], parts["cell"]], **ALONE)
    parts["save"].click(tabs.telling(keep, 1), parts["name"], parts["name"], **ALONE)


def launch(run: Path | None = None, port: int | None = None, host: str = LOOPBACK[0]) -> None:
    """Opens the inspector on a run folder's models, until interrupted. Raises UserError where there are none.

    The password for a `host` that others can reach comes from the environment: WOVR_LAB_PASSWORD.
    """
    check("port", port, Port | None)
    models = RunModels(find_run(run))
    server = Server(build_app(models)[0], port, host, os.environ.get("WOVR_LAB_PASSWORD"))
    print(f"{models.run} is open at {server.address} (Ctrl+C ends it)", flush=True)
    server.run()
