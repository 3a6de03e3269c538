"""How a command is told the settings of a run: a scale, a file, single changes, in this order.

In: options. Out: the run's configuration, or a page of JSON that shows it.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from wovr_lab.errors import UserError
from wovr_lab.pace.config import RunConfig
from wovr_lab.pace.settings import KIND, assignment, changed, flattened, from_dict, to_dict
from wovr_lab.runs import read_json

SettingsFile = Annotated[
    Path | None, typer.Option("--config", help="TOML or JSON file of settings, as --show-config names them")
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="one setting, such as rl.groups=12; repeatable"),
]
ShowConfig = Annotated[bool, typer.Option("--show-config", help="print all settings as JSON and stop")]


def configured(preset: RunConfig, file: Path | None, changes: list[str] | None) -> RunConfig:
    """The preset with the settings of a file and then single ones. A file that says of what kind it is, as a run's own
    config.json does, takes the preset's place.

    Raises UserError on what cannot be read, is not known or does not fit.
    """
    config = preset if file is None else _from_file(preset, file)
    return changed(config, _free(dict(map(assignment, changes or ()))))


def shown(config: RunConfig) -> str:
    """All settings as JSON, which `--config` takes back."""
    return json.dumps(to_dict(config), indent=1)


def _from_file(preset: RunConfig, file: Path) -> RunConfig:
    found = _read(file)
    if KIND in found:
        return from_dict(RunConfig, found, str(file))
    return changed(preset, _free(flattened(found)))


def _read(file: Path) -> dict[str, Any]:
    if file.suffix != ".toml":
        found = read_json(file)
    else:
        try:
            found = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise UserError(f"{file} cannot be read as TOML: {error}; write it as NAME = VALUE, a line each") from error
    if not isinstance(found, dict):
        raise UserError(f"{file} holds no settings but {type(found).__name__}; write them by name")
    return found


def _free(changes: dict[str, Any]) -> dict[str, Any]:
    """Raises UserError where the name of a preset is changed as if it were one of its settings."""
    if "scale" in changes:
        raise UserError("scale chooses a whole preset: give it as --scale, not as a setting")
    return changes
