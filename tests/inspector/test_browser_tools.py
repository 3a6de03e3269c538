"""The side panel in a real browser: starts, switches, films, links, files; names, room and contrast of all of it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from wovr_lab.episodes import EpisodeStore
from wovr_lab.inspector.autopilot import propose
from wovr_lab.inspector.keys import direction_chunk
from wovr_lab.inspector.models import RunModels
from wovr_lab.inspector.session import Session
from wovr_lab.inspector.tabs import Tabs

expect.set_options(timeout=60_000)  # milliseconds; only a failing test waits that long
pytestmark = pytest.mark.browser
PANELS = ("Drive", "Start", "Branches", "Switches", "Autopilot", "Resample", "Export")
NAMELESS = """[...document.querySelectorAll('button, input, select, textarea, [role=slider], [role=tab], canvas, img')]
    .filter(e => e.offsetParent && !(e.innerText || '').trim() && !e.ariaLabel && !e.title && !e.alt
        && !e.getAttribute('aria-labelledby') && !(e.labels && [...e.labels].some(l => l.innerText.trim()))
        && !(e.querySelector('img') || {}).alt && !e.closest('#rail, .branch')).map(e => e.outerHTML.slice(0, 200))"""
WIDE = "[...document.querySelectorAll('button')].filter(b => b.scrollWidth > b.clientWidth + 1).map(b => b.innerText)"
# Text whose contrast with what is behind it is below 4.5 (WCAG AA), with its colours; a gradient counts as its colour.
FAINT = """(() => {
    const numbers = (colour) => (colour.match(/[\\d.]+/g) || []).map(Number);
    const channel = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
    const behind = (e) => {
        for (let at = e; at; at = at.parentElement) {
            const style = getComputedStyle(at), colour = numbers(style.backgroundColor);
            if (style.backgroundImage !== 'none') return numbers(style.backgroundImage.match(/rgb[^)]*\\)/)[0]);
            if (colour.length === 3 || colour[3] === 1) return colour;
        }
        return [255, 255, 255];
    };
    return [...document.querySelectorAll('#inspector *, #side *')].filter(e => e.offsetParent && !e.disabled
        && !e.closest('svg, [aria-disabled=true], .cm-editor')
        && [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())).map(e => {
            const [a, b] = [light(numbers(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
            return [(a + 0.05) / (b + 0.05), e.textContent.trim().slice(0, 30), getComputedStyle(e).color];
        }).filter(([contrast]) => contrast < 4.5);
})()"""


def test_typing_into_a_field_does_not_steer_and_start_obeys_it(page: Page, visitor: Any, models: RunModels):
    visitor.stand(0, "step 0 of")
    visitor.press("d", "branch 2, step 1 of 1")
    visitor.tab("Start")
    page.get_by_label("Seed of the initial state").fill("10003")
    page.keyboard.press("w")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(visitor.readout).to_contain_text("step 0 of 0")
    visitor.tab("Drive")
    visitor.press("w", "step 1 of 1")  # the first chunk of this branch
    session = Session(models)
    session.switch(checkpoint="evolved")  # as the scene before
    session.start("push_red", 10_003)
    expected = session.step(direction_chunk("w", session.state.gripper))
    np.testing.assert_array_equal(visitor.picture("real"), expected.real[-1])
    np.testing.assert_array_equal(visitor.picture("imagined"), expected.imagined[-1])
    visitor.tab("Branches")
    expect(page.locator("#map .branch")).to_have_count(2)  # what was driven before is still there


def test_a_switch_changes_the_next_chunk_and_branches_are_compared_as_films(page: Page, visitor: Any):
    visitor.stand(0, "step 0 of")
    visitor.press("d", "step 1 of 1")
    visitor.press("d", "step 2 of 2")
    with_anchor = visitor.picture("imagined")
    visitor.press("z", "step 1 of 2")
    visitor.tab("Switches")
    page.get_by_label("First-frame anchor").uncheck()
    page.locator("h1").click()
    visitor.press("d", "branch 3, step 2 of 2")
    assert (visitor.picture("imagined") != with_anchor).any()
    visitor.tab("Branches")
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.locator("#compared")).to_contain_text("The first differing frame is 9")
    expect(page.locator("#compared img")).to_have_count(4)


def test_a_chunk_is_resampled_and_a_future_becomes_a_branch(page: Page, visitor: Any):
    visitor.stand(0, "step 0 of")
    visitor.press("d", "step 1 of 1")
    first = visitor.picture("imagined")
    visitor.tab("Resample")
    page.get_by_role("button", name="Resample (4 seeds)").click()
    expect(page.locator("#futures img")).to_have_count(5)
    page.get_by_role("button", name="Make it a branch").click()
    expect(visitor.readout).to_contain_text("branch 3, step 1 of 1")
    visitor.settle()
    assert (visitor.picture("imagined") != first).any()


def test_a_policy_acts_by_the_best_of_several_imagined_chunks(page: Page, visitor: Any, inspector: tuple[str, Tabs]):
    visitor.stand(0, "step 0 of")
    visitor.press("d", "step 1 of 1")
    (tab,) = inspector[1].open.values()
    expected = propose(tab.session, "base policy", candidates=16)
    assert (expected != propose(tab.session, "base policy")).any()
    visitor.tab("Autopilot")
    page.get_by_label("Pilot").click()
    page.get_by_role("option", name="base policy").click()
    page.get_by_label("16", exact=True).check()
    page.get_by_role("button", name="One chunk").click()
    expect(visitor.readout).to_contain_text("step 2 of 2")
    np.testing.assert_array_equal(tab.session.steps[-1].actions, expected)
    page.get_by_label("Pilot").click()
    page.get_by_role("option", name="scripted expert").click()
    page.get_by_role("button", name="One chunk").click()
    expect(page.get_by_text("the scripted expert has one chunk to offer")).to_be_visible()


def test_a_key_records_what_really_happened_as_an_episode(page: Page, visitor: Any, inspector: tuple[str, Tabs]):
    visitor.stand(0, "step 0 of")
    page.keyboard.press("x")
    expect(page.get_by_text("nothing has happened on this branch yet")).to_be_visible()
    visitor.press("d", "branch 2, step 1 of 1")
    visitor.press("s", "step 2 of 2")
    visitor.press("z", "step 1 of 2")
    (tab,) = inspector[1].open.values()
    for number in (1, 2):  # no file is replaced
        page.keyboard.press("x")
        expect(page.get_by_text(f"push_red_{number:03}.hdf5 holds what really happened")).to_be_visible()
        (episode,) = EpisodeStore([inspector[1].recorder.folder / f"push_red_{number:03}.hdf5"])
        np.testing.assert_array_equal(episode.actions, tab.session.branch.actions[:8])
        np.testing.assert_array_equal(episode.frames, tab.session.branch.real[:9])
    expect(visitor.readout).to_contain_text("step 1 of 2")  # and the session stands where it stood


def test_a_link_gives_identical_frames_in_another_tab_and_a_broken_one_a_message(
    page: Page, visitor: Any, browser: Browser, inspector: tuple[str, Tabs]
):
    visitor.stand(8, "step 1 of")
    visitor.press("d", "step 2 of 2")
    visitor.press("f", "step 3 of 3")
    visitor.tab("Export")
    link = page.locator("#link textarea").input_value()
    other = type(visitor)(browser.new_page())
    other.open(link)
    expect(other.readout).to_contain_text("step 3 of 3")
    for name in ("imagined", "real", "third"):
        hashes = [hashlib.sha256(one.picture(name).tobytes()).hexdigest() for one in (visitor, other)]
        assert hashes[0] == hashes[1]
    other.open(inspector[0] + "?task=%3Cimg%20src%3Dx%3E&seed=1")
    expect(other.page.get_by_text("unknown task '<img src=x>'")).to_be_visible()
    other.open(inspector[0] + "?task=red_on_plate&seed=10001")
    expect(other.readout).to_contain_text("put the red cube on the plate")
    other.tab("Start")
    expect(other.page.get_by_label("Task")).to_have_value("red_on_plate")
    expect(other.page.get_by_label("Seed of the initial state")).to_have_value("10001")
    other.page.close()


def test_episodes_leave_and_come_in_again_and_the_gallery_lists_at_once(page: Page, visitor: Any, tmp_path: Path):
    visitor.stand(0, "step 0 of")
    visitor.press("d", "step 1 of 1")
    visitor.tab("Export")
    page.get_by_label("Name in the gallery").fill("my find")
    page.get_by_role("button", name="Save to gallery").click()
    page.get_by_role("button", name="Prepare downloads").click()
    real = page.locator("a[href$='/real.hdf5']").first
    expect(real).to_be_visible()
    with page.expect_download() as download:
        real.click()
    episode = tmp_path / "real.hdf5"
    download.value.save_as(episode)
    visitor.tab("Start")
    page.get_by_label("Hallucination, keyframe").click()
    expect(page.get_by_role("option", name="gallery: my find")).to_be_visible()
    page.keyboard.press("Escape")
    (tmp_path / "broken.hdf5").write_bytes(episode.read_bytes()[:500])
    page.locator("input[type=file]").first.set_input_files(tmp_path / "broken.hdf5")
    expect(page.get_by_text("broken.hdf5 cannot be used as episodes").first).to_be_visible()
    page.locator("h1").click()
    visitor.press("d", "step 2 of 2")  # the session lives on
    page.locator("input[type=file]").first.set_input_files(episode)
    expect(visitor.readout).to_contain_text("no imagined frame yet")


def test_two_tabs_do_not_mix_and_a_closed_one_waits_for_its_address(
    page: Page, visitor: Any, browser: Browser, inspector: tuple[str, Tabs]
):
    address, tabs = inspector
    there = set(tabs.open)
    other = type(visitor)(browser.new_page())
    other.open(address)
    (added,) = set(tabs.open) - there
    folder, key = Path(tabs.open[added].folder.name), tabs.open[added].key
    visitor.stand(0, "step 0 of")
    visitor.press("d", "step 1 of 1")
    visitor.press("d", "step 2 of 2")
    other.stand(0, "step 0 of")
    other.press("s", "step 1 of 1")
    other.page.close()
    visitor.press("d", "step 3 of 3")
    for _ in range(100):  # round trips, until the server has noticed
        if added not in tabs.open:
            break
        visitor.press("z", "step 2 of 3")
        visitor.press("Shift+Z", "step 3 of 3")
    assert added not in tabs.open and not folder.exists() and key in tabs.closed_ones


@pytest.mark.parametrize(("width", "theme"), [(390, "light"), (800, "dark"), (1280, "light"), (1280, "dark")])
def test_every_control_has_a_name_all_fits_and_all_text_can_be_read(
    page: Page, visitor: Any, inspector: tuple[str, Tabs], width: int, theme: str
):
    page.set_viewport_size({"width": width, "height": 800})
    visitor.open(f"{inspector[0]}?__theme={theme}")
    visitor.stand(0, "step 0 of")
    visitor.press("d", "step 1 of 1")
    for name in PANELS if width >= 800 else PANELS[:3]:
        visitor.tab(name)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        assert page.evaluate(WIDE) == [], name
        assert page.evaluate(NAMELESS) == [], name
        assert page.evaluate(FAINT) == [], name
        if width == 1280:
            assert page.evaluate("document.documentElement.scrollHeight") <= 800, name
