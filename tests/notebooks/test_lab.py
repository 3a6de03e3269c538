"""JupyterLab itself, in a browser: notebooks run from top to bottom, and their widgets work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jupytext
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

CHROMIUM = Path("/usr/bin/chromium")
ROOT = Path(__file__).parent.parent.parent
NAMES = ("01_real_world_and_episodes", "06_hallucination", "08_masked_grpo")
LONGEST = 400_000  # milliseconds; only a failing test waits that long
pytestmark = [
    pytest.mark.timeout(500),
    pytest.mark.browser,
    pytest.mark.notebook,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is missing: run `make system-deps`"),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a JupyterLab of its own, on notebooks beside the shipped data as in the project."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "data").symlink_to(ROOT / "data")
    for name in NAMES:
        notebook = jupytext.read(ROOT / "notebooks" / f"{name}.py")
        (folder / "notebooks").mkdir(exist_ok=True)
        jupytext.write(notebook, folder / "notebooks" / f"{name}.ipynb")
    own = {f"JUPYTER_{kind}_DIR": str(folder / f"jupyter-{kind.lower()}") for kind in ("CONFIG", "DATA", "RUNTIME")}
    flags = ["--no-browser", "--allow-root", "--ServerApp.port=0", "--IdentityProvider.token="]
    with subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *flags, folder / "notebooks"],
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=os.environ | own | {"OMP_NUM_THREADS": "1"},
    ) as server:  # fmt: skip
        try:
            line = next(line for line in server.stderr if "http://127.0.0.1:" in line)
            yield line[line.index("http://127.0.0.1:") :].split("/lab")[0].strip()
        finally:
            server.terminate()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(LONGEST)
    expect.set_options(timeout=LONGEST)
    yield page
    page.close()


def run_all(page: Page, address: str, name: str) -> None:
    """Opens a notebook, runs all of its cells and waits until the last one has run."""
    page.goto(f"{address}/lab/workspaces/{name}/tree/{name}.ipynb?reset")
    expect(page.get_by_text("| Idle")).to_be_visible()  # the kernel is there
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Run All( Cells)?$")).click()
    cells = len([cell for cell in jupytext.read(ROOT / "notebooks" / f"{name}.py").cells if cell.cell_type == "code"])
    expect(page.locator(f"text='[{cells}]:'").first).to_be_attached()
    assert page.get_by_text("Traceback").count() == 0


def move(slider: Locator, presses: int) -> None:
    """Moves a slider by keys, as anyone can."""
    handle = slider.get_by_role("slider")
    handle.scroll_into_view_if_needed()
    handle.focus()
    for _ in range(presses):
        handle.press("ArrowRight")


def broken(page: Page) -> int:
    """How many widgets could not be shown."""
    return page.get_by_text("Error displaying widget").count()


def test_an_episode_browser_plays_another_frame_when_its_slider_is_moved(page: Page, lab: str):
    run_all(page, lab, "01_real_world_and_episodes")
    browser = page.locator(".jp-OutputArea", has=page.locator(".widget-play"))
    film = browser.locator("img.widget-image")
    before = film.get_attribute("src")
    move(browser.locator(".widget-slider", has_text="action"), 3)
    expect(film).not_to_have_attribute("src", before)
    assert not broken(page)


def test_a_figure_is_computed_anew_when_its_slider_is_moved(page: Page, lab: str):
    run_all(page, lab, "08_masked_grpo")
    output = page.locator(".jp-OutputArea", has=page.locator(".widget-slider"))
    line = output.locator("path.js-line").first
    before = line.get_attribute("d")
    move(output.locator(".widget-slider"), 3)
    expect(line).not_to_have_attribute("d", before)
    assert not broken(page)


def test_pointing_at_the_error_curve_shows_that_frame_and_choosing_a_case_its_film(page: Page, lab: str):
    run_all(page, lab, "06_hallucination")
    output = page.locator(".jp-OutputArea", has=page.locator(".widget-play"))
    film, frame = output.locator("img.widget-image"), output.locator(".widget-readout").first
    output.scroll_into_view_if_needed()
    expect(frame).to_have_text("0")
    output.locator(".js-plotly-plot .nsewdrag").first.hover()
    expect(frame).not_to_have_text("0")
    shown = film.get_attribute("src")
    output.locator("select").select_option(index=1)
    expect(film).not_to_have_attribute("src", shown)
    assert not broken(page)
