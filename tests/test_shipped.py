"""What is shipped is found by its name from any folder, and a folder of one's own comes first."""

from __future__ import annotations

from pathlib import Path

import pytest

from wovr_lab.errors import UserError
from wovr_lab.shipped import folder_of, is_shipped, shipped


def test_what_is_shipped_is_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert (shipped("demo") / "config.json").is_file() and is_shipped("probe")
    assert folder_of("demo") == folder_of("data/demo") == folder_of(Path("data/demo")) == shipped("demo")
    assert folder_of("demo/checkpoints/base") == shipped("demo") / "checkpoints/base"


def test_a_folder_of_ones_own_and_what_is_nowhere_stay_as_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    assert folder_of("demo") == Path("demo")
    for path in ("runs/demo", "data/../demo", "demo/nothing", "/demo", ".", "data"):
        assert folder_of(path) == Path(path)


@pytest.mark.parametrize("name", ["", "nothing", "../tests", "demo/checkpoints", "data"])
def test_a_name_that_is_not_shipped_is_refused_with_those_that_are(name):
    assert not is_shipped(name)
    with pytest.raises(UserError, match=r"among what is shipped: .*demo"):
        shipped(name)


def test_without_checkout_and_wheel_the_wheel_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("wovr_lab.shipped.CHECKOUT", tmp_path)
    assert not is_shipped("demo")
    with pytest.raises(UserError, match="pip install wovr-lab-data"):
        shipped("demo")
