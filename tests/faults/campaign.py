"""What the tests of the fault campaign share: two sizes of each, and how a finished run differs from another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from wovr_lab.pace.stages import digest
from wovr_lab.runs import read_json

# What depends on the machine or the moment; reports and metrics are compared without their times.
REPORTS = ("report.json", "evaluation.json")
VOLATILE = (*REPORTS, "stages/", "tensorboard/", "report.html", "lock", "metrics.jsonl")


def in_two_sizes(name: str, small: Any, full: Any) -> pytest.MarkDecorator:
    """An argument of a test: `small` in every run of the tests, `full` by `make faults` alone."""
    return pytest.mark.parametrize(name, [small, pytest.param(full, marks=pytest.mark.every_fault)])


def differences(one: Path, other: Path) -> list[str]:
    """What differs between two finished run folders: files to the bit, reports and metrics by what they say."""
    found = [name for name in sorted(_files(one) | _files(other)) if _digest(one / name) != _digest(other / name)]
    for name in REPORTS:
        if lasting(read_json(one / name)) != lasting(read_json(other / name)):
            found.append(name)
    return found + (["metrics.jsonl"] if _rows(one) != _rows(other) else [])


def leftovers(folder: Path) -> list[Path]:
    """Half-written files, and what stages keep to go on from after a kill."""
    resumed = folder / "resume"
    return [*folder.rglob("*.partial"), *folder.rglob("*.old"), *(resumed.iterdir() if resumed.is_dir() else ())]


def lasting(report: dict[str, Any]) -> dict[str, Any]:
    """A report, or an evaluation, without what depends on the machine and the moment: names of it, times and speeds."""
    kept = {key: _without_speed(value) for key, value in report.items() if key != "machine"}
    kept["stages"] = [stage["name"] for stage in report.get("stages", ())]
    return kept


def _without_speed(part: Any) -> Any:
    if not isinstance(part, dict):
        return part
    return {key: value for key, value in part.items() if key not in ("speed", "frames_per_second")}


def _files(folder: Path) -> set[str]:
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {name for name in names if not name.startswith(VOLATILE)}


def _digest(path: Path) -> str:
    return digest(path) if path.exists() else "missing"


def _rows(folder: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return sorted(found, key=lambda row: (row["phase"], row["step"]))
