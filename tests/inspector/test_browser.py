"""The page in a real browser: a key moves both worlds, and nothing leaves this machine."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from wovr_lab.inspector.app import build_app
from wovr_lab.inspector.keys import direction_chunk
from wovr_lab.inspector.models import RunModels
from wovr_lab.inspector.page import SHOWN
from wovr_lab.inspector.serve import Server
from wovr_lab.inspector.session import Session
from wovr_lab.inspector.tabs import Tabs

CHROMIUM = Path("/usr/bin/chromium")
expect.set_options(timeout=60_000)  # milliseconds; only a failing test waits that long
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is missing: run `make system-deps`"),
]


@pytest.fixture(scope="module")
def inspector(models: RunModels, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Tabs]]:
    app, tabs = build_app(models, tmp_path_factory.mktemp("gallery"))
    server = Server(app)
    yield server.start(), tabs
    server.stop()


@pytest.fixture
def page(browser: Browser, inspector: tuple[str, Tabs]) -> Iterator[Page]:
    """A fresh tab, begun; at its end, all that it has asked for must have been on this machine, and allowed."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(60_000)
    requested: list[str] = []
    refused: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.on("console", lambda said: refused.append(said.text) if "Content Security Policy" in said.text else None)
    open_page(page, inspector[0])
    yield page
    hosts = {urlsplit(url).hostname for url in requested if urlsplit(url).scheme not in ("data", "blob")}
    page.close()
    assert hosts == {"127.0.0.1"} and not refused


def open_page(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.locator("#readout")).to_contain_text("push the red cube")
    expect(page.locator("#real img")).to_be_visible()


def picture(page: Page, name: str) -> np.ndarray:
    """The picture that the page shows, uint8 [H, W, 3]."""
    source = page.locator(f"#{name} img").get_attribute("src")
    data = base64.b64decode(source.split(",", 1)[1]) if source.startswith("data:") else urlopen(source).read()
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def press(page: Page, key: str, horizon: str) -> None:
    """Presses a key and waits until the read-out tells this horizon."""
    page.keyboard.press(key)
    expect(page.locator("#readout")).to_contain_text(f"Horizon: {horizon}")


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def test_a_key_moves_both_worlds_and_shows_what_the_session_computes(page: Page, models: RunModels):
    before = {name: picture(page, name) for name in ("imagined", "real", "picture")}
    press(page, "ArrowRight", "8 ")
    press(page, "f", "16 ")
    shown = {name: picture(page, name) for name in ("imagined", "real", "picture", "difference")}
    assert all((shown[name] != before[name]).any() for name in before)

    session = Session(models)
    session.start("push_red", 10_000)
    session.step(direction_chunk("ArrowRight", session.state.gripper))
    step = session.step(direction_chunk("f", session.state.gripper))
    factor = SHOWN // 32
    for name, frames in (("imagined", step.imagined), ("real", step.real), ("difference", step.difference)):
        np.testing.assert_array_equal(shown[name][::factor, ::factor], frames[-1])
    expect(page.locator("#readout")).to_contain_text(f"{step.psnr:.1f} dB")


def test_undo_space_preview_enter_and_what_is_refused(page: Page):
    press(page, " ", "8 ")
    expect(page.locator("#readout")).to_contain_text("gripper closed")
    first = picture(page, "imagined")
    press(page, "w", "16 ")
    press(page, "z", "8 ")
    np.testing.assert_array_equal(picture(page, "imagined"), first)
    page.get_by_label("Preview first").check()
    page.keyboard.press("d")
    expect(page.locator("#readout")).to_contain_text("Preview")
    page.locator("h1").click()  # away from the checkbox, which keeps Enter for itself
    press(page, "Enter", "16 ")
    page.get_by_label("Preview first").uncheck()
    page.get_by_label("one action").check()
    press(page, "d", "17 ")
    expect(page.locator("#readout")).to_contain_text("off the trained protocol")
    for horizon in ("16 ", "8 ", "no imagined frame yet"):
        press(page, "z", horizon)
    page.keyboard.press("z")
    expect(page.get_by_text("there are 0 steps to undo")).to_be_visible()


def test_typing_into_a_field_does_not_steer_and_start_obeys_it(page: Page, models: RunModels):
    page.get_by_label("Seed of the initial state").fill("10003")
    page.keyboard.press("w")
    earlier = page.locator("#real img").get_attribute("src")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("#real img")).not_to_have_attribute("src", earlier)  # the other initial state is there
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_enabled()
    press(page, "w", "8 ")  # the first chunk of this page
    session = Session(models)
    session.start("push_red", 10_003)
    expected = session.step(direction_chunk("w", session.state.gripper)).real[-1]
    np.testing.assert_array_equal(picture(page, "real")[:: SHOWN // 32, :: SHOWN // 32], expected)


def test_a_switch_changes_the_next_chunk_and_branches_are_compared(page: Page):
    press(page, "d", "8 ")
    press(page, "d", "16 ")
    with_anchor = picture(page, "imagined")
    press(page, "z", "8 ")
    page.get_by_role("button", name="Fork here").click()
    expect(page.locator("#readout")).to_contain_text("branch 2")
    open_tab(page, "Switches")
    page.get_by_label("First-frame anchor").uncheck()
    page.locator("h1").click()
    press(page, "d", "16 ")
    assert (picture(page, "imagined") != with_anchor).any()
    open_tab(page, "Branches")
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.locator("#compared")).to_contain_text("main")
    expect(page.locator("#branches img")).to_be_visible()


def test_a_link_gives_identical_frames_in_another_tab_and_a_broken_one_a_message(
    page: Page, browser: Browser, inspector: tuple[str, Tabs]
):
    press(page, "d", "8 ")
    press(page, "f", "16 ")
    open_tab(page, "Export")
    link = page.locator("#link textarea").input_value()
    other = browser.new_page()
    open_page(other, link)
    expect(other.locator("#readout")).to_contain_text("Horizon: 16")
    for name in ("imagined", "real", "film"):
        hashes = [hashlib.sha256(picture(tab, name).tobytes()).hexdigest() for tab in (page, other)]
        assert hashes[0] == hashes[1]
    open_page(other, inspector[0] + "?task=%3Cimg%20src%3Dx%3E&seed=1")
    expect(other.get_by_text("unknown task '<img src=x>'")).to_be_visible()
    other.goto(inspector[0] + "?task=red_on_plate&seed=10001")
    expect(other.locator("#readout")).to_contain_text("put the red cube on the plate")
    expect(other.get_by_label("Task")).to_have_value("red_on_plate")
    expect(other.get_by_label("Seed of the initial state")).to_have_value("10001")
    other.close()


def test_episodes_leave_and_come_in_again_and_a_broken_file_gives_a_message(page: Page, tmp_path: Path):
    press(page, "d", "8 ")
    open_tab(page, "Export")
    page.get_by_role("button", name="Prepare downloads").click()
    real = page.locator("a[href$='/real.hdf5']").first
    expect(real).to_be_visible()
    with page.expect_download() as download:
        real.click()
    episode = tmp_path / "real.hdf5"
    download.value.save_as(episode)
    open_tab(page, "in a file")
    (tmp_path / "broken.hdf5").write_bytes(episode.read_bytes()[:500])
    page.locator("input[type=file]").first.set_input_files(tmp_path / "broken.hdf5")
    expect(page.get_by_text("broken.hdf5 cannot be used as episodes").first).to_be_visible()
    press(page, "d", "16 ")  # the session lives on
    page.locator("input[type=file]").first.set_input_files(episode)
    expect(page.locator("#readout")).to_contain_text("no imagined frame yet")


def test_two_tabs_do_not_mix_and_a_closed_one_is_forgotten(page: Page, browser: Browser, inspector: tuple[str, Tabs]):
    address, tabs = inspector
    there = set(tabs.open)
    other = browser.new_page()
    open_page(other, address)
    (added,) = set(tabs.open) - there
    folder = Path(tabs.open[added].folder.name)
    press(page, "d", "8 ")
    press(page, "d", "16 ")
    press(other, "d", "8 ")
    other.close()
    press(page, "d", "24 ")
    for _ in range(100):  # round trips, until the server has noticed
        if added not in tabs.open:
            break
        press(page, "d", "32 ")
        press(page, "z", "24 ")
    assert added not in tabs.open and not folder.exists()


@pytest.mark.parametrize("width", [800, 1280])
def test_every_control_has_a_name_and_nothing_overflows(page: Page, width: int):
    page.set_viewport_size({"width": width, "height": 900})
    press(page, "d", "8 ")
    nameless = """[...document.querySelectorAll('button, input, select, textarea, [role=slider], [role=tab]')]
        .filter(e => e.offsetParent && !(e.innerText || '').trim() && !e.ariaLabel && !e.title
            && !e.getAttribute('aria-labelledby') && !(e.labels && [...e.labels].some(l => l.innerText.trim()))
            && !(e.querySelector('img') || {}).alt).map(e => e.outerHTML.slice(0, 200))"""
    wide = """[...document.querySelectorAll('button')].filter(b => b.scrollWidth > b.clientWidth + 1)
        .map(b => b.innerText)"""
    for name in ("Branches", "Switches", "Autopilot", "Resample (4 seeds)", "Export"):
        open_tab(page, name)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        assert page.evaluate(wide) == [], name
        assert page.evaluate(nameless) == [], name
    names = page.evaluate("[...document.querySelectorAll('#imagined img, #real img')].map(image => image.alt)")
    assert len(names) == 2 and all(names)
