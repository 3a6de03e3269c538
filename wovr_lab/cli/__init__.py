"""The command line: its commands, and what says whether this machine can run them.

The list of commands is shown without importing what the commands need, which takes seconds.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

__all__ = ["app", "main"]
FOR_OVERVIEW = ([], ["--help"])


def main() -> None:
    """Entry point: the list of commands, or the command that is named."""
    if sys.argv[1:] in FOR_OVERVIEW:
        import_module("wovr_lab.cli.overview").overview()()
    else:
        import_module("wovr_lab.cli.commands").main()


def __getattr__(name: str) -> Any:
    """`app`, which imports every command."""
    if name != "app":
        raise AttributeError(f"wovr_lab.cli has no {name!r}; it offers {', '.join(__all__)}")
    return import_module("wovr_lab.cli.commands").app
