"""What tests of several folders share: episodes made of known noise, and one finished run of the whole loop."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, sync_playwright

from wovr_lab.seeding import stream
from wovr_lab.types import Episode


def noise_episode(
    seed: int,
    length: int = 12,
    size: int = 8,
    task: str = "push_red",
    success_at: int | None = None,
    states: bool = True,
    labels: bool = False,
    proprio: int = 0,
) -> Episode:
    """An episode whose every frame, action and state is different, so that a shift by one shows."""
    rng = stream(seed, "test episode")
    actions = rng.uniform(-1, 1, (length, 7)).astype(np.float32)
    return Episode(
        task=task,
        instruction=task.replace("_", " the ") + " cube",
        seed=seed,
        frames=rng.integers(0, 256, (length + 1, size, size, 3)).astype(np.uint8),
        actions=actions,
        success=np.arange(length) >= (length if success_at is None else success_at),
        states=rng.normal(size=(length + 1, 5)) if states else None,
        expert_actions=np.clip(actions + 0.1, -1, 1) if labels else None,
        proprio=rng.normal(size=(length + 1, proprio)).astype(np.float32) if proprio else None,
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """LIBERO's tests need its extra; without it they are skipped, each with the reason."""
    if importlib.util.find_spec("libero") is None:
        for item in items:
            if item.get_closest_marker("libero"):
                item.add_marker(pytest.mark.skip(reason="the libero extra is not installed (make libero)"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium without a window; tests that need it are skipped where it is missing."""
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=flags)
        yield browser
        browser.close()


@pytest.fixture
def make_episode() -> Callable[..., Episode]:
    return noise_episode


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished smoke run with its report, made once by the command line. Look only: `smoke_copy` is to touch."""
    from typer.testing import CliRunner

    from wovr_lab.cli import app

    folder = tmp_path_factory.mktemp("runs") / "smoke"
    result = CliRunner().invoke(app, ["run", "--scale", "smoke", "--run", str(folder)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def smoke_copy(smoke_run: Path, tmp_path: Path) -> Path:
    """A copy of the finished smoke run to damage or to go on with."""
    return Path(shutil.copytree(smoke_run, tmp_path / "run"))
