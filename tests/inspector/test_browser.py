"""The page in a real browser: a key moves both worlds, and nothing leaves this machine."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from wovr_lab.inspector.app import build_app, serve
from wovr_lab.inspector.keys import direction_chunk
from wovr_lab.inspector.page import SHOWN
from wovr_lab.inspector.session import Session, load_models, load_session

CHROMIUM = Path("/usr/bin/chromium")
expect.set_options(timeout=60_000)  # milliseconds; only a failing test waits that long
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is missing: run `make system-deps`"),
]


@pytest.fixture(scope="module")
def address(run_folder: Path) -> Iterator[str]:
    world, reward = load_models(run_folder)
    app = build_app(lambda: Session(world, reward))
    yield serve(app, block=False)
    app.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A fresh tab, begun; at its end, all that it has asked for must have been on this machine."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.goto(address)
    expect(page.locator("#readout")).to_contain_text("push the red cube")
    expect(page.locator("#real img")).to_be_visible()
    yield page
    hosts = {urlsplit(url).hostname for url in requested if urlsplit(url).scheme not in ("data", "blob")}
    page.close()
    assert hosts == {"127.0.0.1"}


def picture(page: Page, name: str) -> np.ndarray:
    """The picture that the page shows, uint8 [H, W, 3]."""
    source = page.locator(f"#{name} img").get_attribute("src")
    data = base64.b64decode(source.split(",", 1)[1]) if source.startswith("data:") else urlopen(source).read()
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def press(page: Page, key: str, depth: str) -> None:
    """Presses a key and waits until the read-out tells this error depth."""
    page.keyboard.press(key)
    expect(page.locator("#readout")).to_contain_text(f"Error depth: {depth}")


def test_a_key_moves_both_worlds_and_shows_what_the_session_computes(page: Page, run_folder: Path):
    before = {name: picture(page, name) for name in ("imagined", "real", "picture")}
    press(page, "ArrowRight", "8")
    press(page, "f", "16")
    shown = {name: picture(page, name) for name in ("imagined", "real", "picture", "difference")}
    assert all((shown[name] != before[name]).any() for name in before)

    session = load_session(run_folder)
    session.start("push_red", 10_000)
    session.step(direction_chunk("ArrowRight", session.gripper))
    step = session.step(direction_chunk("f", session.gripper))
    factor = SHOWN // 32
    for name, frames in (("imagined", step.imagined), ("real", step.real), ("difference", step.difference)):
        np.testing.assert_array_equal(shown[name][::factor, ::factor], frames[-1])
    expect(page.locator("#readout")).to_contain_text(f"{step.psnr:.1f} dB")


def test_undo_shows_the_earlier_frames_space_moves_the_gripper_and_what_is_refused_is_said(page: Page):
    press(page, " ", "8")
    expect(page.locator("#readout")).to_contain_text("gripper closed")
    first = picture(page, "imagined")
    press(page, "w", "16")
    press(page, "z", "8 ")
    np.testing.assert_array_equal(picture(page, "imagined"), first)
    press(page, "z", "no imagined frame yet")
    expect(page.locator("#readout")).to_contain_text("gripper open")
    page.keyboard.press("z")
    expect(page.get_by_text("there are 0 chunks to undo")).to_be_visible()
    press(page, "d", "8 ")


def test_typing_into_a_field_does_not_steer_and_start_obeys_it(page: Page, run_folder: Path):
    page.get_by_label("Seed of the initial state").fill("10003")
    page.keyboard.press("w")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("button", name="Start")).to_be_enabled()
    press(page, "w", "8 ")  # the first chunk of this page
    session = load_session(run_folder)
    session.start("push_red", 10_003)
    expected = session.step(direction_chunk("w", session.gripper)).real[-1]
    np.testing.assert_array_equal(picture(page, "real")[:: SHOWN // 32, :: SHOWN // 32], expected)


def test_two_tabs_do_not_mix(page: Page, browser: Browser, address: str):
    other = browser.new_page()
    other.goto(address)
    expect(other.locator("#readout")).to_contain_text("no imagined frame yet")
    press(page, "d", "8")
    press(page, "d", "16")
    press(other, "d", "8 ")
    other.close()


def test_buttons_and_pictures_have_names_and_a_narrow_page_does_not_overflow(page: Page):
    page.set_viewport_size({"width": 800, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 800
    wide = page.evaluate(
        "[...document.querySelectorAll('button')].filter(b => b.scrollWidth > b.clientWidth + 1).length"
    )
    assert wide == 0
    names = page.evaluate("[...document.querySelectorAll('#imagined img, #real img')].map(image => image.alt)")
    assert len(names) == 2 and all(names)
    texts = page.evaluate(
        "[...document.querySelectorAll('button')].map(b => b.innerText.trim() || b.ariaLabel || b.title"
        " || (b.querySelector('img') || {}).alt || '')"
    )
    assert len(texts) > 12 and all(texts)
