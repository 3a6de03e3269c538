"""The command line: its commands, and what says whether this machine can run them."""

from wovr_lab.cli.commands import app, main

__all__ = ["app", "main"]
