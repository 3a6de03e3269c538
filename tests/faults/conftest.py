"""What the campaign found is printed at its end; in full, it is a table of results as well."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wovr_lab.measure.intervals import wilson
from wovr_lab.publish.results import provenance
from wovr_lab.runs import write_json

TABLE = Path(__file__).parents[2] / "data" / "results" / "faults.json"
ROWS = pytest.StashKey[list[dict[str, Any]]]()
FULL = pytest.StashKey[bool]()
PARTS = {"command_lines", "full_disk", "kills", "mutants", "inspector"}  # of a whole campaign


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Callable[..., None]:
    """`record("kills", "ended equal to the bit", outcomes)`: one row of the summary; `task` says of what."""
    stash = request.config.stash
    if request.node.get_closest_marker("every_fault"):
        stash[FULL] = True

    def add(setting: str, metric: str, outcomes: Sequence[bool], task: str = "all") -> None:
        found = wilson(int(np.sum(outcomes)), len(outcomes))
        row = {"setting": setting, "metric": metric, "task": task, "depth": None, "value": found.rate}
        row |= {"low": found.low, "high": found.high, "n": found.n, "seeds": [0], "per_seed": [found.rate]}
        stash.setdefault(ROWS, []).append(row)

    return add


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config) -> None:
    """The rows; and, of a whole campaign in which all went well, the table."""
    rows = config.stash.get(ROWS, [])
    if not rows:
        return
    terminalreporter.section("faults")
    for row in rows:
        of = "" if row["task"] == "all" else f" ({row['task']})"
        told = f"{row['setting']}{of}: {round(row['value'] * row['n'])} of {row['n']} {row['metric']}"
        terminalreporter.write_line(told)
    whole = config.stash.get(FULL, False) and {row["setting"] for row in rows} == PARTS
    if whole and exitstatus == pytest.ExitCode.OK:
        table = {"schema": 1, "title": "Faults: what was done to it, and how often all went well"}
        table |= {"command": "make faults", **provenance(), "protocol": {"seed": 0, "scale": "smoke"}, "rows": rows}
        write_json(TABLE, table)
        terminalreporter.write_line(f"written: {TABLE}")
