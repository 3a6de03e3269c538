"""Notebooks are executed as people would read them: with figures, and with one clear message when a claim fails."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
from playwright.sync_api import Browser

RUNNER = Path(__file__).parent.parent.parent / "notebooks" / "run.py"
RUN_TWICE = ("01_real_world_and_episodes", "03_world_model", "08_masked_grpo")
FOREIGN_SCRIPT = r"<script[^>]+src=[\"'][^\"']"
pytestmark = pytest.mark.notebook

FIGURE = """
# %% tags=["parameters"]
height = 100
name = "a"

# %%
import plotly.graph_objects as go
print(repr(height), repr(name))
go.Figure(go.Scatter(y=[1, 2], name="a line of this test"), layout={"height": height}).show()
"""
ABSENT = """
# %% tags=["parameters"]
height = 1

# %%
from wovr_lab.notebook.require import require
require("no_such_package", "get it by `make dreams`")

# %%
assert False, "this cell must not be reached"
"""
BROKEN = """
# %% tags=["parameters"]
height = 1

# %%
claimed = height > 1000

# %%
assert claimed, "the claim is wrong"
"""


def run(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess:
    """The runner from another working directory than the project's."""
    command = [sys.executable, RUNNER, *arguments, "--output", folder / "output"]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def outputs(path: Path) -> str:
    """All that the cells printed."""
    cells = nbformat.read(path, as_version=4).cells
    return "".join(output.get("text", "") for cell in cells for output in cell.get("outputs", []))


def test_a_failed_claim_and_a_missing_extra_are_told_and_the_others_still_run(tmp_path: Path):
    broken, figure = write(tmp_path / "broken.py", BROKEN), write(tmp_path / "figure.py", FIGURE)
    absent = write(tmp_path / "absent.py", ABSENT)
    result = run(absent, broken, figure, "-p", "height", "200", folder=tmp_path)
    assert result.returncode == 1
    assert "absent: skipped: no_such_package is not installed; get it by `make dreams`" in result.stdout
    assert "broken: cell 4 failed: AssertionError: the claim is wrong" in result.stdout
    assert str(tmp_path / "output" / "broken.ipynb") in result.stdout
    assert "Traceback" not in result.stdout + result.stderr
    assert (tmp_path / "output" / "broken.html").exists()

    page = (tmp_path / "output" / "figure.html").read_text()
    assert "a line of this test" in page and "Plotly.newPlot" in page
    assert not re.findall(FOREIGN_SCRIPT, page), "the page asks others for scripts"
    assert outputs(tmp_path / "output" / "figure.ipynb").startswith("200 'a'")


@pytest.fixture(scope="module")
def runner() -> ModuleType:
    specification = importlib.util.spec_from_file_location("notebook_runner", RUNNER)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_parameters_are_typed_as_in_the_notebook_and_others_are_refused(runner: ModuleType, tmp_path: Path):
    built = runner.build(write(tmp_path / "figure.py", FIGURE), tmp_path / "output")
    assert runner.typed(built, {"height": "3", "name": "3"}) == {"height": 3, "name": "3"}
    with pytest.raises(ValueError, match="unknown parameter hight; its parameters are height, name"):
        runner.typed(built, {"hight": "3"})
    with pytest.raises(ValueError, match="height is 100 there"):
        runner.typed(built, {"height": "'tall'"})


def test_a_missing_notebook_is_named(runner: ModuleType):
    with pytest.raises(SystemExit, match=r"99_missing\.py"):
        runner.chosen(["99_missing"])


def test_the_map_runs_and_shows_its_figures(tmp_path: Path, browser: Browser):
    result = run("00_map", "-p", "run", str(tmp_path / "run"), folder=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert (tmp_path / "run" / "report.json").exists()
    page = (tmp_path / "output" / "00_map.html").read_text()
    assert page.count("Plotly.newPlot(") >= 5 and page.count("data:image/png;base64,") >= 3
    assert not re.findall(FOREIGN_SCRIPT, page)
    assert "0%|" not in page and "model_id" not in page, "progress bars are of no use in a page"
    narrow = browser.new_page(viewport={"width": 800, "height": 900})
    narrow.goto((tmp_path / "output" / "00_map.html").as_uri())
    drawn = narrow.locator(".jp-MarkdownOutput pre").first
    lines = len(drawn.inner_text().rstrip().splitlines())
    assert lines == 7 and drawn.bounding_box()["height"] < 20 * lines, "the map of the loop is wrapped"
    assert drawn.evaluate("map => map.getBoundingClientRect().left + map.scrollWidth") < 800, "the map is cut off"


def test_kept_numbers_are_compared_with_their_goldens(runner: ModuleType):
    golden = {"value": 0.5, "tolerance": 0.1, "why": "few rollouts"}
    assert runner.drifted({"a": 0.58}, {"a": golden}) == []
    assert runner.drifted({"a": 0.7}, {"a": golden}) == ["a was 0.5, is 0.7 (tolerance 0.1: few rollouts)"]
    assert runner.drifted({"b": 1.0}, {"a": golden}) == [
        "b is 1 and has no golden value",
        "a was 0.5 and is not kept any more",
    ]


@pytest.mark.parametrize(
    "name", sorted(source.stem for source in RUNNER.parent.glob("[0-9]*.py") if source.stem != "00_map")
)
def test_a_notebook_stands_by_its_claims_and_goldens(name: str, tmp_path: Path):
    """At its own parameters, as `make notebooks` runs it; some twice, since the numbers must be the very same."""
    kept = []
    for _ in range(2 if name in RUN_TWICE else 1):
        result = run(name, folder=tmp_path)
        assert result.returncode == 0, result.stdout + result.stderr
        if f"{name}: skipped:" in result.stdout:
            pytest.skip(result.stdout.strip())
        kept.append(json.loads((tmp_path / "output" / f"{name}.metrics.json").read_text()))
    assert kept[0] and kept[0] == kept[-1]


@pytest.mark.parametrize(
    ("name", "scale", "parameter", "value", "message"),
    [
        ("01_real_world_and_episodes", "smoke", "noise", "0.8", "too much noise to learn from"),
        ("02_policy", "glance", "listens", "False", "it does not listen"),
        ("03_world_model", "glance", "channels", "a still hand", "it does not do what it is told"),
        ("04_anchor_memory_noise", "glance", "anchor", "False", "the anchor makes no difference"),
        ("05_reward", "glance", "threshold", "0.0", "of what it calls a success is one"),
        ("06_hallucination", "glance", "perfect", "True", "there is nothing to hallucinate"),
        ("07_keyframes", "glance", "keyframed", "False", "of the horizon"),
        (
            "08_masked_grpo",
            "smoke",
            "masked",
            "False",
            "of the quick success's gradient falls on actions that came after it",
        ),
        ("09_pace", "glance", "refined", "False", "is believed no more in the world model"),
        pytest.param("10_libero", "smoke", "noise", "0.8", "nothing to learn from", marks=pytest.mark.libero),
        ("11_your_own_task", "smoke", "taught", "red_on_plate", "it was shown nothing that helps"),
        ("12_scaling", "glance", "trains", "False", "nothing is trained"),
    ],
)
def test_a_claim_falls_without_its_mechanism(
    name: str, scale: str, parameter: str, value: str, message: str, tmp_path: Path
):
    without = run(name, "-p", parameter, value, "-p", "scale", scale, folder=tmp_path)
    assert without.returncode == 1 and message in without.stdout, without.stdout + without.stderr
