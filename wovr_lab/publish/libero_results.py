"""Runs on LIBERO become rows of data/results/libero.json: real success of base and method, what was gained on the same
starts, and what the gates said. A run whose gate refused RL in imagination is a result, too: base and gate alone.

In: run folders, one a seed, of the loop or of a baseline. Out: rows named METHOD/SUITE/TASK, in JSON. Where
one policy has learnt several tasks, methods are called METHOD_together, base included, as it is another base than that
of one task alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from wovr_lab.errors import UserError
from wovr_lab.experiments.baselines import baseline_of
from wovr_lab.pace.layout import EVALUATION, REPORT
from wovr_lab.pace.settings import read_config
from wovr_lab.publish.results import pooled, provenance, row_of
from wovr_lab.real.names import suite_of
from wovr_lab.runs import read_object, write_json

TITLE = "LIBERO at CPU scale: success by method"
COLUMNS = ["success", "sampled_success", "gain", "gate_1_precision", "gate_2_precision", "real_episodes"]


def collect_libero_results(path: Path, setting: str, folders: list[Path], add: bool = False) -> None:
    """Puts the rows of these runs into the table at `path`, in place of those of the same names; with `add` pooled with
    the other seeds that the table has already.

    Raises UserError if the runs are not of different seeds under one protocol, or are not finished.
    """
    runs = [_finished(folder) for folder in folders]
    seeds, tasks = [run["seed"] for run in runs], runs[0]["tasks"]
    if len(set(seeds)) < len(seeds) or any(run["protocol"] != runs[0]["protocol"] for run in runs):
        raise UserError(f"the runs of {setting} must differ in their seed (here {seeds}) and in nothing else")
    suffix = "_together" if len(tasks) > 1 else ""
    methods = ("base" + suffix, setting + suffix)
    rows = [row for name in tasks for row in _rows_of_tasks(runs, methods, name, [name], seeds)]
    if suffix:
        rows += _rows_of_tasks(runs, methods, _name(tasks), tasks, seeds)
    label = f"{methods[1]}/{_name(tasks)}"
    rows += _rows_of_run(runs, label, seeds)
    cards = [run["card"] for run in runs]
    if add:
        found = _table(path)
        if found["protocol"].get(label, runs[0]["protocol"]) != runs[0]["protocol"]:
            raise UserError(f"{path} has {label} by another protocol; collect all seeds again instead of adding some")
        rows = pooled(found["rows"], rows)
        cards = [*(card for card in found["runs"].get(label, []) if card["seed"] not in seeds), *cards]
    put_rows(path, rows, {label: runs[0]["protocol"]}, {label: cards})


def _table(path: Path) -> dict[str, Any]:
    return read_object(path, rows=list) if path.exists() else {"rows": [], "protocol": {}, "runs": {}}


def put_rows(
    path: Path, rows: list[dict[str, Any]], protocol: dict[str, Any], runs: dict[str, Any] | None = None
) -> None:
    """Writes rows, their protocol and runs into the table at `path`, in place of those of the same names."""
    names, found = {row["setting"] for row in rows}, _table(path)
    table = {
        "schema": 1,
        "title": TITLE,
        "command": "wovr-lab results SETTING RUN_OF_EACH_SEED",
        **provenance(),
        "protocol": found["protocol"] | protocol,
        "runs": found["runs"] | (runs or {}),
        "columns": [[column, None] for column in COLUMNS],
        "rows": [*(row for row in found["rows"] if row["setting"] not in names), *rows],
    }
    write_json(path, table)


def _finished(folder: Path) -> dict[str, Any]:
    """What a table needs of a run; `method` is None where the gate refused RL. Raises UserError on half a run."""
    config, baseline = read_config(folder), baseline_of(folder)
    method, found = baseline or ("wovr", read_object(folder / EVALUATION))
    report = found if baseline else read_object(folder / REPORT)
    if "protocol" not in report:
        raise UserError(f"{folder} does not say how it was evaluated; evaluate it again with this version")
    spent = {"real_episodes": found["trajectories"]} if baseline else report["budget"]
    return {
        "tasks": config["tasks"],
        "seed": config["seed"],
        "starts": config["evaluation"]["starts"],
        "protocol": report["protocol"] | {"scale": config["scale"]},
        "base": _by_kind(found["base"]),
        "method": _by_kind(found[method]) if method in found else None,
        "gates": {} if baseline else {name: gate for name, gate in report["gate"].items() if gate},
        "card": {"seed": config["seed"], "budget": spent} | ({} if baseline else _card(report)),
    }


def _by_kind(judged: dict[str, Any]) -> dict[str, list[int]]:
    """Greedy and sampled outcomes, which the loop's evaluation keeps in one entry and the baselines' in two."""
    greedy = judged["outcomes"]
    return greedy if isinstance(greedy, dict) else {"greedy": greedy, "sampled": judged["sampled_outcomes"]}


def _card(report: dict[str, Any]) -> dict[str, Any]:
    """What else is worth keeping of one run of the loop."""
    names = ("forced", "verdict", "gate", "reward", "confusion", "world", "stages", "machine")
    return {name: report[name] for name in names}


def _rows_of_tasks(
    runs: list[dict[str, Any]], methods: tuple[str, str], name: str, tasks: list[str], seeds: list[int]
) -> list[dict[str, Any]]:  # fmt: skip
    """What base and method reach on these tasks, which stand in the table under one name."""
    rows, (base, method) = [], (f"{each}/{name}" for each in methods)
    for metric, kind in (("success", "greedy"), ("sampled_success", "sampled")):
        before = [_outcomes(run, "base", kind, tasks) for run in runs]
        rows.append(row_of(base, metric, "all", before, seeds))
        if any(run["method"] is None for run in runs):
            continue
        after = [_outcomes(run, "method", kind, tasks) for run in runs]
        rows.append(row_of(method, metric, "all", after, seeds))
        if kind == "greedy":
            gained = [late.astype(int) - early for early, late in zip(before, after, strict=True)]
            rows.append(row_of(method, "gain", "all", gained, seeds))
    return rows


def _outcomes(run: dict[str, Any], who: str, kind: str, tasks: list[str]) -> np.ndarray:
    """bool [starts of these tasks]."""
    by_task = np.array(run[who][kind], bool).reshape(-1, run["starts"])
    return by_task[[run["tasks"].index(task) for task in tasks]].ravel()


def _rows_of_run(runs: list[dict[str, Any]], name: str, seeds: list[int]) -> list[dict[str, Any]]:
    """What the gates said, and what was spent, of a run as a whole."""
    rows = []
    for gate in runs[0]["gates"]:
        said = [run["gates"][gate]["precision"] for run in runs if gate in run["gates"]]
        if len(said) == len(runs) and all(found["n"] for found in said):
            are_real = [np.arange(found["n"]) < round(found["rate"] * found["n"]) for found in said]
            rows.append(row_of(name, f"{gate}_precision", "all", are_real, seeds))
    spent = [np.array([run["card"]["budget"]["real_episodes"]]) for run in runs]
    return [*rows, row_of(name, "real_episodes", "all", spent, seeds)]


def _name(tasks: list[str]) -> str:
    suites = sorted({suite_of(task) for task in tasks})
    return tasks[0] if len(tasks) == 1 else f"{len(tasks)} tasks of {', '.join(suites)}"
