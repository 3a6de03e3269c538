"""The page in a real browser, as a person goes through it: it opens on a hallucination that plays, a key drives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from wovr_lab.inspector.keys import direction_chunk
from wovr_lab.inspector.models import RunModels
from wovr_lab.inspector.session import Session
from wovr_lab.inspector.tabs import Tabs

expect.set_options(timeout=60_000)  # milliseconds; only a failing test waits that long
pytestmark = pytest.mark.browser


def driven(models: RunModels, tabs: Tabs, position: int, keys: str) -> Session:
    """A session that stands after so many chunks of the first scene and goes on with these keys."""
    session = Session(models)
    session.start_scene(tabs.scenes[0])
    session.rewind(position)
    for key in keys:
        session.step(direction_chunk(key, session.state.gripper))
    return session


def test_it_opens_on_a_recorded_hallucination_that_plays_on_one_screen(
    page: Page, visitor: Any, inspector: tuple[str, Tabs]
):
    scene = inspector[1].scenes[0]
    expect(page.locator("#caption")).to_have_text(scene.caption)
    expect(page.get_by_role("button", name="Pause")).to_be_visible()  # nobody has pressed anything
    expect(page.locator("#outcome")).to_contain_text("open")
    expect(page.locator("#outcome")).to_contain_text("false success")
    expect(page.locator("#state")).to_contain_text("lost")
    assert page.evaluate("document.documentElement.scrollHeight") <= 800
    bottom = page.locator("#timeline").bounding_box()
    assert bottom["y"] + bottom["height"] <= 800
    length = len(scene.branch.actions)
    visitor.stand(length, f"step {length // 8} of {length // 8}")
    for name, frames in (("imagined", scene.branch.imagined), ("real", scene.branch.real)):
        np.testing.assert_array_equal(visitor.picture(name), frames[-1])
    expect(page.locator("#frame")).to_contain_text(f"frame {length} of {length}")


def test_the_first_key_drives_and_shows_what_the_session_computes(
    page: Page, visitor: Any, inspector: tuple[str, Tabs], models: RunModels
):
    page.keyboard.press("ArrowRight")
    expect(page.locator("#caption")).to_contain_text("You are driving")
    page.locator("#rail button").first.click()
    expect(page.locator("#caption")).to_have_text(inspector[1].scenes[0].caption)
    visitor.stand(13, "step 1 of")  # within the second chunk: one drives on from its beginning
    visitor.press("ArrowRight", "step 2 of 2")
    visitor.press("f", "step 3 of 3")
    session = driven(models, inspector[1], 1, "df")
    for name, frames in (("imagined", session.branch.imagined), ("real", session.branch.real)):
        np.testing.assert_array_equal(visitor.picture(name), frames[-1])
    expect(visitor.readout).to_contain_text(f"{session.steps[-1].psnr:.1f} dB")


def test_a_chunk_is_played_frame_by_frame(page: Page, visitor: Any):
    visitor.stand(0, "step 0 of")
    page.evaluate("""window.seen = []; new MutationObserver(() => {
        const [shown] = document.getElementById('frame').textContent.match(/\\d+/); window.seen.push(Number(shown));
    }).observe(document.getElementById('frame'), {childList: true, characterData: true, subtree: true})""")
    visitor.press("d", "step 1 of 1")
    expect(page.locator("#frame")).to_contain_text("frame 8 of 8")
    seen = page.evaluate("window.seen")
    assert seen == sorted(seen) and seen[-1] == 8 and 1 in seen and len(set(seen) & set(range(2, 8))) >= 2


def test_back_and_forth_lose_nothing_and_the_map_shows_every_branch(page: Page, visitor: Any):
    visitor.stand(0, "step 0 of")
    visitor.press("d", "step 1 of 1")
    visitor.press("s", "step 2 of 2")
    last = visitor.picture("imagined")
    visitor.press("z", "step 1 of 2")
    visitor.press("Shift+Z", "step 2 of 2")
    np.testing.assert_array_equal(visitor.picture("imagined"), last)
    visitor.press("z", "step 1 of 2")
    visitor.press("a", "branch 3, step 2 of 2")
    visitor.tab("Branches")
    expect(page.locator("#map .branch")).to_have_count(3)
    page.locator("#map .branch", has_text="branch 2").click()
    expect(visitor.readout).to_contain_text("branch 2, step 2 of 2")
    np.testing.assert_array_equal(visitor.picture("imagined"), last)
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator("#map .branch")).to_have_count(2)
    page.get_by_role("button", name="Restore deleted").click()
    expect(page.locator("#map .branch")).to_have_count(3)


def test_space_preview_enter_single_actions_and_what_is_refused(page: Page, visitor: Any):
    visitor.stand(0, "step 0 of")
    visitor.press("z", "step 0 of")
    expect(page.get_by_text("there are 0 steps to undo")).to_be_visible()
    visitor.press(" ", "gripper closed")
    page.get_by_label("Preview first").check()
    page.keyboard.press("d")
    expect(page.locator("#pane-imagined")).to_have_class("preview")
    expect(page.locator("#pane-imagined .tag")).to_be_visible()
    expect(page.locator("#outcome")).to_contain_text("preview")
    visitor.settle()
    real = visitor.picture("real")
    page.locator("h1").click()  # away from the checkbox, which keeps Enter for itself
    visitor.press("Enter", "step 2 of 2")
    assert (visitor.picture("real") != real).any()
    expect(page.locator("#pane-imagined .tag")).to_be_hidden()
    page.get_by_label("Preview first").uncheck()
    page.get_by_label("one action").check()
    page.locator("h1").click()
    visitor.press("d", "Horizon: 17 ")
    expect(visitor.readout).to_contain_text("off the trained protocol")


def test_a_reload_and_the_browsers_back_button_keep_everything(page: Page, visitor: Any, browser: Browser):
    visitor.stand(0, "step 0 of")
    visitor.press("d", "step 1 of 1")
    visitor.press("s", "step 2 of 2")
    last = visitor.picture("imagined")
    page.go_back()
    expect(visitor.readout).to_contain_text("step 1 of 2")
    page.go_forward()
    expect(visitor.readout).to_contain_text("step 2 of 2")
    visitor.settle()
    visitor.open(page.url)
    expect(visitor.readout).to_contain_text("branch 2, step 2 of 2")
    np.testing.assert_array_equal(visitor.picture("imagined"), last)
    address = page.url
    other = type(visitor)(browser.new_page())
    other.open(address)  # a second tab goes on by itself
    other.press("w", "step 3 of 3")
    expect(visitor.readout).to_contain_text("step 2 of 2")
    other.page.close()


def test_the_timeline_shows_a_frame_under_the_pointer_and_goes_there_on_a_click(
    page: Page, visitor: Any, inspector: tuple[str, Tabs]
):
    branch = inspector[1].scenes[0].branch
    length = len(branch.actions)
    visitor.stand(length, f"step {length // 8} of")
    box = page.locator("#timeline svg").bounding_box()
    # frame 8 lies here: the axis begins 46 pixels from the left and ends 10 from the right
    x = box["x"] + 46 + 8 / max(length, 16) * (box["width"] - 56)
    page.mouse.move(x, box["y"] + 60)
    expect(page.locator("#frame")).to_contain_text("frame 8 of")
    np.testing.assert_array_equal(visitor.picture("real"), branch.real[8])
    page.mouse.move(x, box["y"] - 200)
    expect(page.locator("#frame")).to_contain_text(f"frame {length} of")
    page.mouse.click(x, box["y"] + 60)
    expect(visitor.readout).to_contain_text("step 1 of")
    visitor.press(".", "step 1 of")
    page.mouse.move(x, box["y"] - 200)
    expect(page.locator("#frame")).to_contain_text("frame 9 of")


def test_the_third_picture_shows_error_difference_onion_skin_and_camera(
    page: Page, visitor: Any, inspector: tuple[str, Tabs]
):
    branch = inspector[1].scenes[0].branch
    length = len(branch.actions)
    visitor.stand(length, f"step {length // 8} of")
    imagined, real = branch.imagined[-1].astype(int), branch.real[-1].astype(int)
    page.locator("#gain").fill("1")
    page.locator("#view").select_option("difference")
    np.testing.assert_array_equal(visitor.picture("third"), abs(imagined - real))
    page.locator("#view").select_option("onion")
    np.testing.assert_allclose(visitor.picture("third"), (imagined + real) / 2, atol=1)
    page.locator("#view").select_option("camera")
    expect(page.locator("#camera")).to_be_visible()
    expect(page.locator("#third")).to_be_hidden()
    assert page.locator("#pane-real .marks path.real").count() == 2  # hand and cube, where they really are
    assert page.locator("#pane-real .marks path.imagined").count() == 3  # where they are believed to be; the gripper
    page.locator("#crosses").uncheck()
    assert page.locator("#pane-real .marks path").count() == 0


def test_keys_of_the_page_itself(page: Page, visitor: Any, inspector: tuple[str, Tabs]):
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Keys and pictures")).to_be_visible()
    page.keyboard.press("d")  # the help is open: nothing moves
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name="Keys and pictures")).to_be_hidden()
    expect(page.locator("#caption")).to_have_text(inspector[1].scenes[0].caption)
    page.keyboard.press("p")
    visitor.settle()
    page.keyboard.press("d")
    expect(page.locator("#caption")).to_contain_text("You are driving")
    page.keyboard.press("1")
    expect(page.locator("#caption")).to_have_text(inspector[1].scenes[0].caption)
