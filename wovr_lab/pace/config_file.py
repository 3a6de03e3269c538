"""The configuration that a run was made with, as its folder keeps it: read in one way by all that opens a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wovr_lab.borders import as_path
from wovr_lab.errors import UserError
from wovr_lab.runs import read_object

NAME = "config.json"


def read_config(folder: Path | str) -> dict[str, Any]:
    """What RUN/config.json says. Raises UserError if `folder` is no run, or if its configuration is lost or damaged."""
    folder = as_path(folder)
    path = folder / NAME
    if (folder / "stages").is_dir() and not path.exists():
        raise UserError(
            f"{path} does not exist, although {folder} is a run: put it back from a run with the same settings "
            "(wovr-lab demonstrate --scale SCALE --seed SEED --run OTHER writes OTHER/config.json)"
        )
    if not path.exists():
        raise UserError(f"{path} does not exist: {folder} is no run folder; choose another, or make one: wovr-lab run")
    found = read_object(path)
    tasks = found.get("tasks")
    told = {"scale": str, "seed": int, "tasks": list}
    wrong = [name for name, kind in told.items() if type(found.get(name)) is not kind]
    if wrong or not all(isinstance(task, str) for task in tasks):
        raise UserError(
            f"{folder} is no run folder (its {NAME} names no {wrong[0] if wrong else 'tasks'}); choose another folder"
        )
    return found
