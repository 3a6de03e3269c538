"""Does passing the reliability gate predict that RL in imagination pays off for real?

In: finished or stopped runs. Out: a row for each phase of RL: what its gate said, and real success before and after.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from wovr_lab.errors import UserError
from wovr_lab.measure.intervals import difference_of_rates
from wovr_lab.runs import load_metrics, read_json
from wovr_lab.types import Interval


def gate_history(folders: Sequence[Path]) -> list[dict[str, Any]]:
    """Rows {run, phase, passed, precision, base_precision, base_gap, before, after, gain}. Real success is that of the
    checks that were not used for checkpoint selection; base_gap is imagined minus real success of the base policy in
    the gate, base_precision its precision (None in gates of older versions).

    Raises UserError if no run has both a gate and a phase of RL.
    """
    rows = []
    for folder in folders:
        metrics = load_metrics(folder)
        for gate in sorted(folder.glob("gate_[0-9]*.json")):
            phase = int(gate.stem.removeprefix("gate_"))
            checks = [row for row in metrics if row["phase"] == f"improve_{phase}/real"]
            if len(checks) > 1:
                rows.append({"run": folder.name, "phase": phase} | _said(read_json(gate)) | _gained(checks))
    if not rows:
        raise UserError(
            "none of these folders has a gate and a phase of RL in imagination after it; give finished runs"
        )
    return rows


def _said(gate: dict[str, Any]) -> dict[str, Any]:
    base = [policy for policy in gate["policies"] if policy["name"].startswith("base")]
    known = [policy["precision"] for policy in base if policy.get("precision", {}).get("n")]
    n = sum(each["n"] for each in known)
    return {
        "passed": gate["passed"],
        "precision": gate["precision"]["rate"],
        "base_precision": sum(each["rate"] * each["n"] for each in known) / n if n else None,
        "base_gap": float(np.mean([p["imagined"]["rate"] - p["real"]["rate"] for p in base])) if base else None,
    }


def _gained(checks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    first, last = (
        Interval(row["success"], int(row["n"]), row["low"], row["high"])
        for row in (min(checks, key=lambda row: row["step"]), max(checks, key=lambda row: row["step"]))
    )
    return {"before": asdict(first), "after": asdict(last), "gain": asdict(difference_of_rates(last, first))}
