"""A notebook that cannot run on this machine says why and what to do; `notebooks/run.py` then goes on without it."""

from __future__ import annotations

import importlib.util


class Skipped(Exception):
    """What is missing, and how to get it."""


def require(package: str, cure: str) -> None:
    """Raises Skipped with `cure` if a Python package is not installed."""
    if importlib.util.find_spec(package) is None:
        raise Skipped(f"{package} is not installed; {cure}")
