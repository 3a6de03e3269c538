"""What `wovr-lab --help` shows, kept in overview.json so that it is there at once.

A test compares it with the commands; `python -m wovr_lab.cli.overview` writes it again.
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import typer

KEPT = Path(__file__).with_suffix(".json")


def overview() -> typer.Typer:
    """An app that knows what every command is called and for, and can run none."""
    kept = json.loads(KEPT.read_text(encoding="utf-8"))
    app = typer.Typer(no_args_is_help=True, add_completion=False, help=kept["help"])
    for entry in kept["commands"]:
        app.command(entry["name"], help=entry["help"], rich_help_panel=entry["panel"])(_nothing)
    return app


def _nothing() -> None:
    """What stands for a command that is only listed."""


def overview_of(app: typer.Typer) -> dict[str, Any]:
    """What is kept of the whole app."""
    group = typer.main.get_group(app)
    found = [{"name": name, "help": each.help, "panel": _panel(each)} for name, each in group.commands.items()]
    return {"help": group.help, "commands": found}


def _panel(command: Any) -> str | None:
    """Under which title it is listed; none for most."""
    return command.rich_help_panel if isinstance(command.rich_help_panel, str) else None


if __name__ == "__main__":
    found = overview_of(import_module("wovr_lab.cli.commands").app)
    KEPT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
