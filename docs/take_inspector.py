"""Takes the pictures in docs/inspector: `python docs/take_inspector.py [RUN]`, by default of the models in data/demo.

The rollouts are made by the package, so that they can be chosen (a hallucination is looked for), and opened by link.
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import count
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from wovr_lab.inspector.app import build_app
from wovr_lab.inspector.autopilot import propose
from wovr_lab.inspector.links import write_link
from wovr_lab.inspector.models import RunModels, find_run
from wovr_lab.inspector.serve import Server
from wovr_lab.inspector.session import Session
from wovr_lab.inspector.timeline import FALSE_SUCCESS

OUT = Path(__file__).parent / "inspector"
WIDTHS = (1280, 800)
CHUNKS, REANCHORED, PILOT, FIRST_SEED = 6, 2, "improved policy", 10_000
LONGEST = 120_000  # milliseconds


def flown(models: RunModels, task: str, seed: int, chunks: int) -> Session:
    """The improved policy in imagination, while reality does the same."""
    session = Session(models)
    session.start(task, seed)
    for _ in range(chunks):
        session.step(propose(session, PILOT))
    return session


def hallucination(models: RunModels) -> Session:
    """The first of the seeds from which imagination alone ends in success, by any task, and not by the reward's own
    mistake: it sees the failure in the real frames."""
    sessions = (flown(models, task, seed, CHUNKS) for seed in count(FIRST_SEED) for task in models.tasks)
    return next(
        session
        for session in sessions
        if session.branch.verdicts[-1] == FALSE_SUCCESS
        and max(step.probability_real.max() for step in session.steps) < 0.5
    )


def reanchored(session: Session) -> None:
    """A second branch of the same actions, from the real frames at `REANCHORED` on; its last step waits for Enter."""
    steps = session.branch.steps
    session.rewind(REANCHORED)
    session.fork("re-anchored")
    session.reanchor()
    for step in steps[REANCHORED:-1]:
        session.step(step.actions)
    session.preview(steps[-1].actions)


def show(page: Page, address: str, session: Session) -> None:
    """The page of a session, once it is drawn."""
    page.goto(f"{address}?{write_link(session.branch, session.switches)}")
    expect(page.locator("#readout")).to_contain_text(f"step {len(session.steps)} of {len(session.steps)}")
    expect(page.locator("#real img")).to_be_visible()
    expect(page.locator("#timeline .main-svg").first).to_be_visible()


def take(page: Page, name: str) -> None:
    """One picture a width, of the whole page. Raises AssertionError if it is wider than the window."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(1500)  # until plotly has drawn at this width
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} overflows at {width} pixels"
        page.screenshot(path=OUT / f"{name}-{width}.png", full_page=True)


def main() -> None:
    """Makes the rollouts, opens them, takes the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, nargs="?", default=Path("data/demo"))
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    chosen = parser.parse_args()
    models = RunModels(find_run(chosen.run))
    hallucinated = hallucination(models)
    origin = hallucinated.branch.origin
    expect.set_options(timeout=LONGEST)
    with tempfile.TemporaryDirectory() as gallery, sync_playwright() as playwright:
        app, tabs = build_app(models, Path(gallery))
        server = Server(app)
        address = server.start()
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        page = playwright.chromium.launch(executable_path=chosen.chromium, args=flags).new_page()
        for name, chunks in (("fresh", 0), ("mid-rollout", 3)):
            show(page, address, flown(models, origin.task, origin.seed, chunks))
            take(page, name)
        show(page, address, hallucinated)
        take(page, "hallucination")
        (tab,) = (tab for tab in tabs.open.values() if len(tab.session.branch.steps) == CHUNKS)
        reanchored(tab.session)
        page.keyboard.press("Enter")
        expect(page.locator("#readout")).to_contain_text("re-anchored")
        page.get_by_role("tab", name="Branches", exact=True).click()
        page.get_by_role("button", name="Compare", exact=True).click()
        expect(page.locator("#branches img")).to_be_visible()
        take(page, "branches")
        server.stop()


if __name__ == "__main__":
    main()
