"""The first script that somebody writes runs as it stands, and importing costs next to nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wovr_lab as wl
from wovr_lab.errors import UserError
from wovr_lab.types import Interval

ROOT = Path(__file__).parent.parent


def test_the_readmes_first_script_runs_as_it_stands(monkeypatch):
    monkeypatch.chdir(ROOT)
    script = re.search(r"```python\n(import wovr_lab as wl\n.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {"found": None}
    exec(script[1].replace("print(", "found = (").replace("10_025", "10_002"), names)  # fewer starts, the same lines
    run, rollouts, better, found = (names[name] for name in ("run", "rollouts", "better", "found"))
    assert rollouts.video.shape[0] == 16 and rollouts.video.dtype == np.uint8 and rollouts.actions.shape[2:] == (8, 7)
    assert rollouts.success.shape[0] == 16 and rollouts.video.shape[1] == rollouts.success.shape[1] + 1
    assert isinstance(found, Interval) and found.n == 8 and 0 <= found.low <= found.rate <= found.high <= 1
    assert not all((a == b).all() for a, b in zip(better.parameters(), run.policy("base").parameters(), strict=True))


def test_importing_the_package_imports_no_torch():
    code = "import sys, wovr_lab; assert wovr_lab.__version__; print('torch' in sys.modules, 'mujoco' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["False", "False"]


def test_every_public_name_is_there_and_others_are_refused_by_the_names_that_are():
    assert all(getattr(wl, name) is not None for name in wl.__all__) and set(wl.__all__) <= set(dir(wl))
    with pytest.raises(AttributeError, match="it offers RunConfig, RunFolder"):
        _ = wl.dream


def test_what_a_run_does_not_hold_is_named_beside_what_it_holds(tmp_path):
    run = wl.RunFolder(ROOT / "data/demo")
    with pytest.raises(UserError, match=r"no checkpoint 'best'; it has base, improved_2"):
        run.policy("best")
    with pytest.raises(UserError, match=r"no episodes 'dreams'; it has base, demonstrations"):
        run.episodes("dreams")
    with pytest.raises(UserError, match=r"config\.json does not exist"):
        wl.load(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="is no run folder"):
        wl.load(tmp_path)
