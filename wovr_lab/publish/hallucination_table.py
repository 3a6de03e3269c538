"""A run's measure.json becomes data/results/hallucination.json. In: what `measure_run` found. Out: rows with intervals,
of one run: `seeds` is its seed, and intervals are over rollouts.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wovr_lab.publish.results import provenance
from wovr_lab.runs import write_json

DEPTHS = (8, 16, 24, 32, 40, 48)
CURVES = {
    "object_cm": "cube_error_cm", "hand_cm": "hand_error_cm", "psnr_db": "psnr", "disagreement": "disagreement",
    "state_hand_cm": "state_hand_error_cm", "state_opening_cm": "state_opening_error_cm",
}  # fmt: skip
COLUMNS = (
    ("imagined_success", None), ("real_success", None), ("imagined_success_precision", None), ("horizon_initial", None),
    ("cube_error_cm_initial", 24), ("vanished_initial", None), ("within_group_correlation_initial", None),
)  # fmt: skip


def write_hallucination_table(found: dict[str, Any], path: Path, run: Path) -> None:
    """Replaces the table at `path` by what was found in the folder `run`."""
    names = {"environment": "wovr_lab/Tabletop-v0", "scale": found["scale"], "rollouts_of_a_setting": found["rollouts"]}
    rows = [
        {"setting": setting, "metric": metric, "task": task, "depth": depth, "value": number["rate"],
         "low": number["low"], "high": number["high"], "n": number["n"], "seeds": [found["seed"]],
         "per_seed": [number["rate"]]}
        for setting, metric, task, depth, number in _numbers(found)
    ]  # fmt: skip
    table = {
        "schema": 1,
        "title": "Imagined against real: outcomes, depth, objects, control",
        "command": f"wovr-lab measure {run} --rollouts {found['rollouts']} --table {path}",
        **provenance(),
        "protocol": names | found["protocol"],
        "columns": [list(column) for column in COLUMNS],
        "rows": rows,
    }
    write_json(path, table)


def _numbers(found: dict[str, Any]) -> Iterator[tuple[str, str, str, int | None, dict[str, float]]]:
    """(setting, metric, task, depth, interval) of everything; what differs by kind of start has it in the metric."""
    for row in found["confusion"]:
        if row["start"] == "all":
            paired, closed = row["paired"], row["closed_loop"]
            told = {
                "imagined_success": row["imagined"], "real_success": paired["real"],
                "imagined_success_precision": paired["precision"], "over_optimism": paired["over_optimism"],
                "real_success_alone": closed["real"], "over_optimism_alone": closed["over_optimism"],
            }  # fmt: skip
            yield from ((_setting(row), name, row["task"], None, number) for name, number in told.items())
    for row in found["worth"]:
        metrics = {"within_group_correlation": row.get("within_group_correlation"), "update_efficiency": row["worth"]}
        told = {metric: number for metric, number in metrics.items() if number is not None}
        yield from ((_setting(row), f"{metric}_{row['start']}", "all", None, told[metric]) for metric in told)
    for row in found["horizon"]:
        yield _setting(row), f"horizon_{row['start']}", "all", None, row["frames"]
    for row in found["depth"]:
        for name, metric in CURVES.items():
            points = (point for point in row["curves"].get(name, ()) if point["depth"] in DEPTHS)
            yield from ((_setting(row), f"{metric}_{row['start']}", "all", point["depth"], point) for point in points)
    for row in found["objects"]:
        for name, rates in row["faults"].items():
            yield _setting(row), f"{name}_{row['start']}", "all", None, rates["imagined"]
            yield _setting(row), f"{name}_{row['start']}_false_alarms", "all", None, rates["real"]
    for row in found["uncertainty"]:
        if row["auroc"] is not None:
            metric = f"auroc_of_{row['score']}_{row['start']}_{row['rollouts']}"
            yield _setting(row), metric, "all", None, row["auroc"]
    for row in found["control"]["rows"]:
        for name in ("correlation", "error_cm", "depth_correlation", "depth_error_cm"):
            yield f"{row['world']} world, {row['channels']}", f"control_{name}", "all", None, row[name]


def _setting(row: dict[str, Any]) -> str:
    return f"{row['policy']} policy, {row['world']} world"
