"""The inspector's page: keys and buttons in, both worlds side by side out. It computes nothing: it asks a `Session`.

Everything that touches a world runs one at a time; each tab has a session of its own (`tabs`), `serve` shows the page.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from wovr_lab.errors import UserError
from wovr_lab.fields import Port, check
from wovr_lab.inspector import layout
from wovr_lab.inspector.autopilot import propose
from wovr_lab.inspector.exchange import begin_uploaded, export, notebook_cell
from wovr_lab.inspector.gestures import KeyPress, perform
from wovr_lab.inspector.layout import Parts
from wovr_lab.inspector.links import UPLOAD, Gallery, session_from, write_link
from wovr_lab.inspector.models import HALLUCINATION, RunModels, StartOption, find_run
from wovr_lab.inspector.panels import comparison_html, futures_html
from wovr_lab.inspector.serve import LOOPBACK, Root, Server
from wovr_lab.inspector.session import Session
from wovr_lab.inspector.tabs import ALONE, MOST_TABS, SHOWS, Tab, Tabs

GALLERY = Path("runs/gallery")
KEPT = (600, 3600)  # seconds: how often files are cleared away, and at what age
PLAYED = 48  # actions after which an autopilot that plays gives the robot back
Wire = Callable[..., None]


def build_app(models: RunModels, gallery: Path = GALLERY, root: Root = Root()) -> tuple[gr.Blocks, Tabs]:  # noqa: B008
    """The page, which browsers find at `root`, and the sessions behind it."""
    tabs = Tabs(models, Gallery(gallery), root=root.address)
    places = models.start_options()
    with gr.Blocks(title="Hallucination inspector", analytics_enabled=False, fill_width=True, delete_cache=KEPT) as app:
        with gr.Row(elem_id="page"):
            with gr.Column(scale=5, min_width=340, elem_id="main"):
                stage = layout.stage()
            with gr.Column(scale=3, min_width=340, elem_id="side"), gr.Tabs():
                drive = layout.drive_tab()
                begin = layout.start_tab(list(models.tasks), _choices(places, tabs.gallery))
                branches, switches = layout.branch_tab(), layout.switch_tab(models)
                pilot, futures, leaving = layout.pilot_tab(), layout.futures_tab(), layout.leaving_tab()
        views = [stage, branches["other"], pilot["pilot"], leaving["link"], *switches.values()]

        def wire(trigger: Callable[..., Any], action: Callable[..., object], *inputs: gr.components.Component) -> None:
            trigger(tabs.doing(action, _labels(inputs)), list(inputs), views, trigger_mode="multiple", **SHOWS)

        app.load(tabs.opened, None, [*views, begin["task"], begin["seed"]], **SHOWS)
        app.unload(tabs.closed)
        app.state_session_capacity = MOST_TABS  # else Gradio keeps what 10,000 closed tabs were last sent
        _wire_stage(stage, drive, tabs, views)
        _wire_start_options(wire, begin, tabs, places)
        _wire_branches(wire, branches, tabs)
        _wire_switches(wire, switches)
        _wire_pilot(wire, pilot, tabs, views)
        _wire_futures(wire, futures, tabs)
        _wire_leaving(leaving, begin["place"], tabs, places)
    return app, tabs


def _labels(inputs: Sequence[gr.components.Component]) -> list[str]:
    """What number fields are called, which people may leave empty; "" for other parts of the page."""
    return [str(each.label) if isinstance(each, gr.Number) else "" for each in inputs]


def _choices(places: list[StartOption], gallery: Gallery) -> list[tuple[str, str]]:
    """Where one can begin, as the page's list has it: label and value."""
    found = [(f"{place.kind}: {place.label}", str(number)) for number, place in enumerate(places)]
    return [*((f"gallery: {name}", f"gallery {name}") for name in gallery.names()), *found]


def _wire_stage(stage: gr.HTML, parts: Parts, tabs: Tabs, views: list) -> None:
    def act(session: Session, deed: dict[str, Any], kind: int, strength: float, previews: bool) -> None:
        perform(session, tabs.scenes, deed, KeyPress(kind, strength, previews))

    shown, recorded = tabs.doing(act), tabs.telling(tabs.record, 1)

    def handler(request: gr.Request, event: gr.EventData, kind: int, strength: float, previews: bool) -> list[Any]:
        deed = event._data if isinstance(event._data, dict) else {}  # anything may be sent
        if deed.get("do") == "record":
            recorded(request)
            deed = {"do": "go"}
        return shown(request, deed, kind, strength, previews)

    inputs = [parts["kind"], parts["strength"], parts["preview"]]
    stage.input(handler, inputs, views, trigger_mode="multiple", **SHOWS)


def _wire_start_options(wire: Wire, parts: Parts, tabs: Tabs, places: list[StartOption]) -> None:
    def start_there(session: Session, choice: str | None) -> None:
        if choice is None:
            raise UserError("choose a place to begin at first")
        if choice.startswith("gallery "):
            session.adopt(session_from(tabs.models, tabs.gallery.link(choice.removeprefix("gallery "))))
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
    wire(parts["reanchor"].click, Session.reanchor)
    wire(parts["fork"].click, Session.fork, parts["name"])
    wire(parts["rename"].click, Session.rename, parts["name"])
    wire(parts["delete"].click, lambda session: session.delete(session.name))
    wire(parts["restore"].click, Session.restore)

    def compare(tab: Tab, other: str | None) -> tuple[str]:
        return (comparison_html(tab.session, other or ""),)

    parts["compare"].click(tabs.telling(compare, 1), parts["other"], parts["comparison"], **ALONE)


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


def _wire_pilot(wire: Wire, parts: Parts, tabs: Tabs, views: list) -> None:
    def fly(session: Session, name: str, sees: str, candidates: int) -> None:
        session.step(propose(session, name, sees, candidates))

    def played(request: gr.Request, name: str, sees: str, candidates: int) -> list[Any]:
        session = tabs.of(request).session
        before = session.position
        shown = tabs.doing(fly)(request, name, sees, candidates)
        goes_on = session.position > before and len(session.branch.actions) < PLAYED
        return [*shown, gr.Timer(active=goes_on)]

    chosen = [parts["pilot"], parts["sees"], parts["candidates"]]
    wire(parts["once"].click, fly, *chosen)
    parts["play"].click(lambda: gr.Timer(active=True), None, parts["timer"], api_visibility="private")
    parts["pause"].click(lambda: gr.Timer(active=False), None, parts["timer"], api_visibility="private")
    parts["timer"].tick(played, chosen, [*views, parts["timer"]], **SHOWS)


def _wire_futures(wire: Wire, parts: Parts, tabs: Tabs) -> None:
    def resample(tab: Tab) -> tuple[Any, ...]:
        return futures_html(tab.session.futures()), gr.update(visible=True)

    parts["again"].click(tabs.telling(resample, 2), None, [parts["films"], parts["seen"]], **ALONE)
    wire(parts["take"].click, lambda session, number: session.take(session.futures()[number - 1]), parts["number"])


def _wire_leaving(parts: Parts, place: gr.Dropdown, tabs: Tabs, places: list[StartOption]) -> None:
    def leave(tab: Tab) -> tuple[list[str], str]:
        paths = export(tab.session, Path(tab.folder.name))
        cell = notebook_cell(tab.session) if tab.session.branch.origin.source != UPLOAD else ""
        return [str(path) for path in paths], cell

    def keep(tab: Tab, name: str) -> tuple[str, dict[str, Any]]:
        tabs.gallery.save(name, write_link(tab.session.branch, tab.session.switches))
        gr.Info("It is listed under Start, among the places to begin at.", title="Saved")
        return "", gr.update(choices=_choices(places, tabs.gallery))

    parts["prepare"].click(tabs.telling(leave, 2), None, [parts["files"], parts["cell"]], **ALONE)
    parts["save"].click(tabs.telling(keep, 2), parts["name"], [parts["name"], place], **ALONE)


def launch(
    run: Path | None = None, port: int | None = None, host: str = LOOPBACK[0], root_path: str = Root().address
) -> None:
    """Opens the inspector on a run folder's models, until interrupted, at `root_path` where a proxy has it so. Raises
    UserError where there are no models.

    The password for a `host` that others can reach comes from the environment: WOVR_LAB_PASSWORD.
    """
    check("port", port, Port | None)
    root, models = Root(root_path), RunModels(find_run(run))
    page, _ = build_app(models, root=root)
    server = Server(page, port, host, password=os.environ.get("WOVR_LAB_PASSWORD"), root=root)
    print(f"{models.run} is open at {server.address} (Ctrl+C ends it)", flush=True)
    server.run()
