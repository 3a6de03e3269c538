"""Times the inspector as its users meet it, in a browser: from a key to the loaded picture; then four tabs at once,
which must not see each other, and the memory after they close. Wall-clock time on this machine, as busy as it is.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import tempfile
import time
from pathlib import Path

import psutil
from playwright.sync_api import Browser, Page, sync_playwright

from wovr_lab.inspector.app import build_app
from wovr_lab.inspector.keys import direction_chunk
from wovr_lab.inspector.models import RunModels, find_run
from wovr_lab.inspector.serve import Server
from wovr_lab.inspector.session import Session
from wovr_lab.inspector.tabs import Tabs

KEYS = "dawsrfqe"
SOON = 120_000  # milliseconds that anything may take
SOURCE = "document.querySelector('#imagined img')?.src"
CHANGED = "before => { const i = document.querySelector('#imagined img'); return i && i.src !== before && i.complete }"


def told(name: str, seconds: list[float]) -> None:
    """Prints median, least and greatest."""
    median, least, most = (1000 * number for number in (statistics.median(seconds), min(seconds), max(seconds)))
    print(f"{name:32} {median:6.0f} ms [{least:.0f}, {most:.0f}], n = {len(seconds)}", flush=True)


def real_side(models: RunModels, steps: int) -> list[float]:
    """Seconds of the simulator alone, a chunk a step, with its frames."""
    session, seconds = Session(models), []
    session.start(models.tasks[0], 10_000)
    for number in range(steps):
        before, began = session.state.real, time.perf_counter()
        session.simulator.execute(before, direction_chunk(KEYS[number % 8], -1.0))
        seconds.append(time.perf_counter() - began)
    return seconds


def opened(browser: Browser, address: str) -> Page:
    """A tab that shows its first frames."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(SOON)
    page.goto(address)
    page.wait_for_function(CHANGED, arg="")
    return page


def press(page: Page, key: str) -> float:
    """Seconds from a key to the next imagined picture."""
    before, began = page.evaluate(SOURCE), time.perf_counter()
    page.keyboard.press(key)
    page.wait_for_function(CHANGED, arg=before, polling=5)
    return time.perf_counter() - began


def four_tabs(browser: Browser, address: str, tabs: Tabs, rounds: int) -> None:
    """Each tab presses its own key; afterwards its session must have done exactly what its own page pressed."""
    process = psutil.Process()
    gc.collect()
    there, before = set(tabs.open), process.memory_info().rss
    pages: list[Page] = []
    owners: list[str] = []
    for _ in range(4):
        pages.append(opened(browser, address))
        owners += [name for name in tabs.open if name not in there and name not in owners]
    told("four tabs, key to picture", [press(page, KEYS[n]) for _ in range(rounds) for n, page in enumerate(pages)])
    for number, owner in enumerate(owners):
        acted = tabs.open[owner].session.branch.actions
        assert len(acted) == 8 * rounds and (acted[:8] == direction_chunk(KEYS[number], -1.0)).all(), "tabs mixed"
    during = process.memory_info().rss
    for page in pages:
        page.close()
    until = time.monotonic() + SOON / 1000
    while set(tabs.open) - there and time.monotonic() < until:
        time.sleep(0.1)  # the server hears of it when the connection ends
    gc.collect()
    after = process.memory_info().rss
    print(
        f"memory {before / 1e6:.0f} MB, with four tabs {during / 1e6:.0f}, after they closed {after / 1e6:.0f} "
        f"({after / before - 1:+.1%}); sessions left of the four: {len(set(tabs.open) - there)}", flush=True,
    )  # fmt: skip


def main() -> None:
    """Prints what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", nargs="?", type=Path, help="run folder (runs/demo, else data/demo)")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    chosen = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", flush=True)
    models = RunModels(find_run(chosen.run))
    told("real side alone", real_side(models, chosen.steps))
    with tempfile.TemporaryDirectory() as gallery, sync_playwright() as playwright:
        app, tabs = build_app(models, Path(gallery))
        server = Server(app)
        address = server.start()
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=chosen.chromium, args=flags)
        page = opened(browser, address)
        told("chunk, key to picture", [press(page, KEYS[n % 8]) for n in range(chosen.steps)])
        page.get_by_label("one action").check()
        page.locator("h1").click()  # away from the radio, which keeps some keys for itself
        told("one action, key to picture", [press(page, KEYS[n % 8]) for n in range(chosen.steps)])
        page.close()
        for _ in range(2):  # the first round also loads what is loaded once
            four_tabs(browser, address, tabs, rounds=5)
        browser.close()
        server.stop()


if __name__ == "__main__":
    main()
