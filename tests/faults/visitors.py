"""Visitors of the inspector who press everything with anything: the page's own handlers, called as the page calls them.

In: a run folder, how many act how often. Out: what went wrong, and how much memory stayed in use when all had gone.
"""

from __future__ import annotations

import ctypes
import gc
import inspect
import json
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import psutil
from mutations import mutant

from wovr_lab.episodes import write_episodes
from wovr_lab.inspector.app import build_app
from wovr_lab.inspector.autopilot import pilots
from wovr_lab.inspector.models import RunModels
from wovr_lab.inspector.session import Session
from wovr_lab.inspector.tabs import KEPT_FOR, Tabs
from wovr_lab.real.tabletop.expert import expert_episodes
from wovr_lab.seeding import stream

TEXTS = (
    "",
    " ",
    "a",
    "main",
    "branch 2",
    "<img src=x onerror=alert(1)>",
    "ß" * 41,
    "../../x",
    "nul\0l",
    "a/b",
    "\ud800",
)
NUMBERS = (None, 0, 0, 1, 2, 3, 8, -1, 20, 999, 10_000, 2**31, 10**30)
LEAVES = 0.01  # how often one closes the tab and comes back
WARM_UP = 25  # actions of each of the first visitors, until everything has been loaded once
MEGABYTE = 2**20


@dataclass
class Visitor:
    """One open tab."""

    name: str
    tabs: Tabs

    @property
    def request(self) -> gr.Request:
        return gr.Request(session_hash=self.name, query_params={}, headers={"host": "127.0.0.1:7860"})

    @property
    def session(self) -> Session:
        return self.tabs.of(self.request).session


def visit(run: Path, folder: Path, visitors: int, actions: int, seed: int, results: Path) -> None:
    """Writes {"faults": [...], "acted": n, "grown": megabytes} to `results`."""
    warnings.simplefilter("ignore")  # a refusal is said to the page, or to whoever calls without one
    page, tabs = build_app(RunModels(run), folder / "gallery")
    write_episodes(folder / "good.hdf5", expert_episodes("push_red", [3], 0.0))
    rng = stream(seed, "visitors")
    faults = list(walk(page, tabs, [f"first {n}" for n in range(visitors)], WARM_UP, rng, folder))
    forget(tabs)
    before = used()
    faults += walk(page, tabs, [f"tab {n}" for n in range(visitors)], actions, rng, folder)
    forget(tabs)
    results.write_text(json.dumps({"faults": faults, "grown": used() - before}))


def walk(
    page: gr.Blocks, tabs: Tabs, names: list[str], actions: int, rng: np.random.Generator, folder: Path
) -> Iterator[str]:
    """All of them in turn, `actions` each; then all close their tabs."""
    crowd = [Visitor(name, tabs) for name in names]
    handlers = [each for each in page.fns.values() if each.fn not in (tabs.opened, tabs.closed)]
    for visitor in crowd:
        tabs.opened(visitor.request)
    for number in range(actions * len(crowd)):
        visitor = crowd[number % len(crowd)]
        if rng.random() < LEAVES:
            tabs.closed(visitor.request)
            tabs.opened(visitor.request)
        handler = handlers[rng.integers(len(handlers))]
        values = [value_for(each, visitor, rng, folder) for each in handler.inputs]
        if "event" in inspect.signature(handler.fn).parameters:
            values.insert(0, gr.EventData(None, deed_of(visitor, rng)))
        fault = fault_of(handler, visitor, values)
        if fault:
            yield f"action {number} of {visitor.name}, {handler.name} with {str(values)[:300]}: {fault}"
    for visitor in crowd:
        tabs.closed(visitor.request)


def forget(tabs: Tabs) -> None:
    """Lets the hour pass for which closed sessions are kept."""
    now = tabs.clock()
    tabs.clock = lambda: now + 2 * KEPT_FOR
    last = Visitor("last", tabs)
    tabs.opened(last.request)
    tabs.closed(last.request)
    tabs.closed_ones.clear()  # the last one's own


def deed_of(visitor: Visitor, rng: np.random.Generator) -> Any:
    """What the page's scripts may say was done: keys, ways through branches and scenes, and what they never say."""
    deeds = ("key", "key", "key", "commit", "undo", "redo", "go", "scene", "nothing", None)
    deed = {
        "do": deeds[rng.integers(len(deeds))],
        "key": ("w", "a", "s", "d", "r", "f", " ", "?", None)[rng.integers(9)],
        "branch": (None, visitor.session.name, "nobody's", 7)[rng.integers(4)],
        "at": (None, None, 0, 1, 2, -1, 10_000, 1.5, "x")[rng.integers(9)],
        "index": (0, 1, 7, -1, None)[rng.integers(5)],
    }
    return deed if rng.random() < 0.9 else (None, [], "x")[rng.integers(3)]


def fault_of(handler: Any, visitor: Visitor, values: list[Any]) -> str:
    """What went wrong, "" if nothing did: an error that the page is not told of, or a session that has lost its way."""
    takes_request = next(iter(inspect.signature(handler.fn).parameters), "") == "request"
    try:
        found = handler.fn(*([visitor.request] if takes_request else []), *values)
        assert len(handler.outputs) < 2 or len(found) == len(handler.outputs), "another number of outputs"
        session = visitor.session
        assert 0 <= session.position <= len(session.branch.steps), "it stands outside its branch"
        frames = session.branch.imagined, session.branch.real
        assert {each.shape[0] for each in frames} == {len(session.branch.actions) + 1}, "frames and actions do not fit"
    except gr.Error:
        return ""
    except Exception:  # the page would only say "Error"
        return traceback.format_exc()[-1200:]
    return ""


def value_for(component: Any, visitor: Visitor, rng: np.random.Generator, folder: Path) -> Any:
    """What a visitor may have put into a part of the page, as its handler gets it."""

    def one_of(values: Any) -> Any:
        values = list(values)
        return values[rng.integers(len(values))]

    if isinstance(component, gr.UploadButton):
        path = folder / "episode.hdf5"
        good = (folder / "good.hdf5").read_bytes()
        path.write_bytes(mutant("hdf5", good, rng)[1] if rng.random() < 0.7 else good)
        return str(path)
    if isinstance(component, gr.Number):
        return one_of(NUMBERS)
    if isinstance(component, gr.Slider):
        return one_of([component.minimum, component.maximum, (component.minimum + component.maximum) / 2])
    if isinstance(component, gr.Checkbox):
        return bool(rng.random() < 0.5)
    if isinstance(component, gr.Textbox):
        return one_of(TEXTS)
    if component.label == "Pilot":
        return one_of([*pilots(visitor.session), None])
    if isinstance(component, gr.Dropdown) and not component.choices:  # of branches, told later
        return one_of([*visitor.session.branches, None, "nobody's"])
    return one_of([*(value for _, value in component.choices), *([None] if isinstance(component, gr.Dropdown) else [])])


def used() -> float:
    """Megabytes that this process has, once it has given back what it no longer needs."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return psutil.Process().memory_info().rss / MEGABYTE
