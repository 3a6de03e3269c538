"""The page under a path, in a real browser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from wovr_lab.inspector.app import build_app
from wovr_lab.inspector.models import RunModels
from wovr_lab.inspector.serve import Root, Server

expect.set_options(timeout=60_000)  # milliseconds; only a failing test waits that long
pytestmark = pytest.mark.browser


def test_everything_works_under_a_path(page: Page, visitor, browser: Browser, models: RunModels, tmp_path: Path):
    root = Root("/lab/")
    server = Server(build_app(models, tmp_path, root)[0], root=root)
    other = type(visitor)(browser.new_page())
    asked: list[str] = []
    other.page.on("request", lambda request: asked.append(request.url))
    other.open(server.start())
    other.stand(0, "step 0 of")
    other.press("d", "step 1 of 1")
    other.tab("Export")
    link = other.page.locator("#link textarea").input_value()
    assert link.startswith(f"{server.address}?task=")
    again = type(visitor)(browser.new_page())
    again.open(link)
    expect(again.readout).to_contain_text("step 1 of 1")
    np.testing.assert_array_equal(other.picture("imagined"), again.picture("imagined"))
    assert all(url.startswith((server.address, "data:", "blob:")) for url in asked)
    for each in (other, again):
        each.page.close()
    server.stop()
