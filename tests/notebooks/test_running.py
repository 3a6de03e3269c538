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

RUNNER = Path(__file__).parent.parent.parent / "notebooks" / "run.py"
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
from wovr_lab.show.skipping import need
need("no_such_package", "get it by `make dreams`")

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


def test_the_map_runs_and_shows_its_figures(tmp_path: Path):
    result = run("00_map", "-p", "run", str(tmp_path / "run"), folder=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert (tmp_path / "run" / "report.json").exists()
    page = (tmp_path / "output" / "00_map.html").read_text()
    assert page.count("Plotly.newPlot(") >= 5 and page.count("data:image/png;base64,") >= 3
    assert not re.findall(FOREIGN_SCRIPT, page)
    assert "0%|" not in page and "model_id" not in page, "progress bars are of no use in a page"


def test_kept_numbers_are_compared_with_their_goldens(runner: ModuleType):
    golden = {"value": 0.5, "tolerance": 0.1, "why": "few rollouts"}
    assert runner.drifted({"a": 0.58}, {"a": golden}) == []
    assert runner.drifted({"a": 0.7}, {"a": golden}) == ["a was 0.5, is 0.7 (tolerance 0.1: few rollouts)"]
    assert runner.drifted({"b": 1.0}, {"a": golden}) == [
        "b is 1 and has no golden value",
        "a was 0.5 and is not kept any more",
    ]


def test_the_objective_stands_by_its_goldens_and_falls_without_its_mask(tmp_path: Path):
    good = run("08_masked_grpo", folder=tmp_path)
    assert good.returncode == 0, good.stdout + good.stderr
    found = json.loads((tmp_path / "output" / "08_masked_grpo.metrics.json").read_text())
    assert found["praise"] == pytest.approx(1.28)
    again = run("08_masked_grpo", folder=tmp_path)
    assert again.returncode == 0
    assert json.loads((tmp_path / "output" / "08_masked_grpo.metrics.json").read_text()) == found, "not the same twice"
    unmasked = run("08_masked_grpo", "-p", "masked", "False", folder=tmp_path)
    assert unmasked.returncode == 1
    assert "of the quick success's gradient falls on actions that came after it" in unmasked.stdout


def test_an_expert_that_acts_at_random_loses_the_claim_that_it_teaches(tmp_path: Path):
    good = run("01_real_world_and_episodes", folder=tmp_path)
    assert good.returncode == 0, good.stdout + good.stderr
    noisy = run("01_real_world_and_episodes", "-p", "noise", "0.8", folder=tmp_path)
    assert noisy.returncode == 1 and "too much noise to learn from" in noisy.stdout


@pytest.mark.parametrize(
    ("name", "parameter", "value", "message"),
    [
        ("02_policy", "listens", "False", "it does not listen"),
        ("03_world_model", "channels", "attention", "it does not do what it is told"),
        ("04_anchor_memory_noise", "anchor", "False", "the anchor makes no difference"),
        ("05_reward", "threshold", "0.0", "of what it calls a success is one"),
        ("06_hallucination", "perfect", "True", "there is nothing to hallucinate"),
        ("07_keyframes", "keyframed", "False", "of the error depth"),
        ("09_pace", "refined", "False", "did not bring imagination nearer to reality"),
        ("12_scaling", "trains", "False", "nothing is trained"),
    ],
)
def test_a_claim_falls_without_its_mechanism(name: str, parameter: str, value: str, message: str, tmp_path: Path):
    without = run(name, "-p", parameter, value, "-p", "scale", "glance", folder=tmp_path)
    assert without.returncode == 1 and message in without.stdout, without.stdout + without.stderr


@pytest.mark.parametrize("name", ["01_real_world_and_episodes", "03_world_model"])  # and 08_masked_grpo, above
def test_two_runs_keep_the_very_same_numbers(name: str, tmp_path: Path):
    kept = []
    for _ in range(2):
        result = run(name, folder=tmp_path)
        assert result.returncode == 0, result.stdout + result.stderr
        kept.append(json.loads((tmp_path / "output" / f"{name}.metrics.json").read_text()))
    assert kept[0] and kept[0] == kept[1]


def test_a_policy_that_was_shown_another_task_has_not_learnt_ones_own(tmp_path: Path):
    mistaught = run("11_your_own_task", "-p", "taught", "red_on_plate", folder=tmp_path)
    assert mistaught.returncode == 1 and "it was shown nothing that helps" in mistaught.stdout
