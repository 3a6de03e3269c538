"""Takes the pictures and the film in docs/inspector: `python docs/take_inspector.py [RUN]`, by default of data/demo.

The page opens on a recorded rollout, which is shown frame by frame; then somebody drives on from its second chunk.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from wovr_lab.inspector.app import build_app
from wovr_lab.inspector.models import RunModels, find_run
from wovr_lab.inspector.serve import Server

OUT = Path(__file__).parent / "inspector"
SIZES, THEMES = ((1280, 800), (800, 900), (390, 844)), ("light", "dark")
LONGEST = 120_000  # milliseconds
KEYS, DRIVEN_FROM = "dsd", 8  # what somebody presses, from this frame on
FILM, FILM_WIDTH, QUALITY, FRAME_MS, HELD_MS = "film.webp", 620, 55, 180, 2200
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def open_page(browser: Browser, address: str, size: tuple[int, int], theme: str) -> Page:
    """The page at this size, once it is drawn."""
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    page.goto(f"{address}?__theme={theme}")
    expect(page.locator("#rail button").first).to_be_visible()
    expect(page.locator("#readout")).to_contain_text("step 0")
    return page


def go_to(page: Page, frame: int) -> None:
    """Shows a frame, and waits until it is there."""
    page.locator("#scrub").fill(str(frame))
    expect(page.locator("#frame")).to_contain_text(f"frame {frame} of")


def drive(page: Page) -> None:
    """Goes back to near the beginning and presses some keys, each once its chunk has been played."""
    go_to(page, DRIVEN_FROM)
    expect(page.locator("#readout")).to_contain_text("step 1 of")
    for number, key in enumerate(KEYS, 2):
        page.keyboard.press(key)
        expect(page.locator("#readout")).to_contain_text(f"step {number} of {number}")
        expect(page.locator("#play[aria-label=Play]")).to_be_visible()


def last_frame(page: Page) -> int:
    """The last frame of the branch that is shown."""
    return int(page.locator("#scrub").get_attribute("max"))


def take(page: Page, name: str) -> None:
    """A picture of the whole page. Raises AssertionError if it is wider than the window."""
    size = page.viewport_size
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], f"{name} overflows"
    page.screenshot(path=OUT / f"{name}-{size['width']}.png", full_page=size["width"] < 1000)


def film(page: Page) -> None:
    """The recorded rollout frame by frame, the badges turning, then the chunks that somebody drove."""
    frames = [_stage(page, frame) for frame in range(last_frame(page) + 1)]
    drive(page)
    frames += [_stage(page, frame) for frame in range(DRIVEN_FROM, last_frame(page) + 1)]
    durations = [FRAME_MS] * len(frames)
    durations[0] = durations[-1] = durations[-(8 * len(KEYS)) - 2] = HELD_MS
    first, *rest = _of_one_size(frames)
    path = OUT / FILM
    first.save(path, save_all=True, append_images=rest, duration=durations, loop=0, quality=QUALITY, method=4)


def _of_one_size(frames: list[Image.Image]) -> list[Image.Image]:
    """The captions are of one line or two: shorter frames go on below in the colour of their last corner."""
    height = max(frame.height for frame in frames)
    made = [Image.new("RGB", (frame.width, height), frame.getpixel((0, frame.height - 1))) for frame in frames]
    for frame, whole in zip(frames, made, strict=True):
        whole.paste(frame)
    return made


def _stage(page: Page, frame: int) -> Image.Image:
    go_to(page, frame)
    taken = Image.open(io.BytesIO(page.locator("#inspector").screenshot())).convert("RGB")
    return taken.resize((FILM_WIDTH, round(taken.height * FILM_WIDTH / taken.width)), Image.Resampling.LANCZOS)


def main() -> None:
    """Opens the page at every size in light and dark, takes the pictures, then the film."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, nargs="?", default=Path("data/demo"))
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    chosen = parser.parse_args()
    expect.set_options(timeout=LONGEST)
    with tempfile.TemporaryDirectory() as gallery, sync_playwright() as playwright:
        server = Server(build_app(RunModels(find_run(chosen.run)), Path(gallery))[0])
        address = server.start()
        browser = playwright.chromium.launch(executable_path=chosen.chromium, args=FLAGS)
        for size in SIZES:
            for theme in THEMES:
                page = open_page(browser, address, size, theme)
                go_to(page, last_frame(page))
                expect(page.locator("#readout")).not_to_contain_text("step 0 of")  # the numbers have followed
                take(page, f"opening-{theme}")
                page.close()
        page = open_page(browser, address, SIZES[0], "light")
        film(page)
        page.get_by_role("tab", name="Branches", exact=True).click()
        expect(page.locator("#map .branch")).to_have_count(2)
        page.get_by_role("button", name="Compare", exact=True).click()
        expect(page.locator("#compared img")).to_have_count(4)
        take(page, "branches")
        browser.close()
        server.stop()


if __name__ == "__main__":
    main()
