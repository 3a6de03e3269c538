"""Published tables: finished runs of several seeds become rows of data/results/NAME.json, and those rows
become the README's tables, so that text and numbers cannot part. In: run folders. Out: JSON, Markdown.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from wovr_lab.errors import UserError
from wovr_lab.experiments.baselines import baseline_of
from wovr_lab.machine import current_commit, package_version
from wovr_lab.pace.layout import EVALUATION
from wovr_lab.pace.settings import read_config
from wovr_lab.real.env import TRAINING_SEEDS
from wovr_lab.runs import read_json, read_object, write_json, write_text
from wovr_lab.seeding import stream

BEGIN, END = "<!-- table: {name} -->", "<!-- end of table -->"
PACKAGES = ("torch", "diffusers", "transformers", "mujoco", "numpy")


def collect_results(path: Path, setting: str, folders: list[Path], add: bool = False) -> None:
    """Puts the rows of `setting`, of the `base` it began with and of what it gained on the same starts, pooled over
    these runs, into the table at `path`; with `add` pooled with the other seeds that the table has already.

    Raises UserError if a run has no improved policy, or if the runs are not of different seeds under one protocol.
    """
    runs = [_outcomes(folder, setting) for folder in folders]
    _check_comparable(runs, setting)
    new = {"schema": 1, "title": "Tabletop: success by method", "rows": []}
    table = read_object(path, rows=list) if path.exists() else new
    if add and table.get("protocol", runs[0]["protocol"]) != runs[0]["protocol"]:
        raise UserError(f"{path} was made by another protocol; collect all seeds again instead of adding some")
    names = (setting, "base")  # every method of a scale starts from the same base
    rows: list[dict[str, Any]] = []
    seeds = [run["seed"] for run in runs]
    for task in ("all", *runs[0]["tasks"]):
        before, after = ([_of_task(run, key, task) for run in runs] for key in ("base", "method"))
        gained = [late.astype(int) - early for early, late in zip(before, after, strict=True)]
        rows += [row_of("base", "success", task, before, seeds), row_of(setting, "success", task, after, seeds)]
        rows.append(row_of(setting, "gain", task, gained, seeds))
    earlier = table["rows"]
    rows = [*(row for row in earlier if row["setting"] not in names), *(pooled(earlier, rows) if add else rows)]
    table |= {
        "command": f"wovr-lab results {setting} RUN_OF_EACH_SEED",
        **provenance(),
        "protocol": runs[0]["protocol"],
        "rows": sorted(rows, key=lambda row: row["setting"] != "base"),  # what all are compared with stands first
    }
    write_json(path, table)


def _check_comparable(runs: list[dict[str, Any]], setting: str) -> None:
    seeds = [run["seed"] for run in runs]
    if len(set(seeds)) < len(seeds):
        raise UserError(f"the runs of {setting} have seeds {seeds}; give one run a seed")
    if any(run["protocol"] != runs[0]["protocol"] or run["tasks"] != runs[0]["tasks"] for run in runs):
        raise UserError(f"the runs of {setting} differ in scale, tasks or evaluation; pool runs of one configuration")


def pooled_interval(per_seed: list[np.ndarray], resamples: int = 2000) -> tuple[float, float]:
    """95 % bootstrap over seeds and, within a seed, over starts; outcomes [n] of each seed, or their differences."""
    rng, means = stream(0, "pooled"), []
    for _ in range(resamples):
        chosen = rng.integers(len(per_seed), size=len(per_seed))
        means.append(np.mean([rng.choice(per_seed[seed], len(per_seed[seed])).mean() for seed in chosen]))
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def row_of(setting: str, metric: str, task: str, outcomes: list[np.ndarray], seeds: list[int]) -> dict[str, Any]:
    """One row of a table: the mean of these numbers [n] of each seed, with its interval."""
    low, high = pooled_interval(outcomes)
    per_seed = [float(found.mean()) for found in outcomes]
    return {
        "setting": setting, "metric": metric, "task": task, "depth": None, "value": float(np.mean(per_seed)),
        "low": low, "high": high, "n": sum(len(found) for found in outcomes), "seeds": seeds, "per_seed": per_seed,
        "counts": [_counts(found) for found in outcomes],
    }  # fmt: skip


def _counts(outcomes: np.ndarray) -> dict[str, int]:
    """How often each value was found: what a seed can be pooled by when its run is gone."""
    values, counts = np.unique(outcomes.astype(float), return_counts=True)
    return {f"{value:g}": int(count) for value, count in zip(values, counts, strict=True)}


def pooled(earlier: list[dict[str, Any]], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """These rows with the seeds that only their namesakes among the `earlier` ones have; a seed of both is the new one.

    Raises UserError if an earlier row does not say how often each outcome was found.
    """
    known = {(row["setting"], row["metric"], row["task"]): row for row in earlier}
    return [_with_seeds_of(known.get((row["setting"], row["metric"], row["task"])), row) for row in rows]


def _with_seeds_of(earlier: dict[str, Any] | None, row: dict[str, Any]) -> dict[str, Any]:
    found: dict[int, np.ndarray] = {}
    for each in (earlier, row):
        if each is not None:
            found |= zip(each["seeds"], _outcomes_of(each), strict=True)
    seeds = sorted(found)
    return row_of(row["setting"], row["metric"], row["task"], [found[seed] for seed in seeds], seeds)


def _outcomes_of(row: dict[str, Any]) -> list[np.ndarray]:
    """What each seed found, in no order."""
    if "counts" not in row:
        raise UserError(f"the table's {row['setting']} does not say what its seeds found; collect all of them again")
    return [np.repeat([float(value) for value in found], list(found.values())) for found in row["counts"]]


def _outcomes(folder: Path, setting: str) -> dict[str, Any]:
    """Greedy outcomes of base and method, with the task of each, from either kind of run."""
    config = read_config(folder)
    if baseline := baseline_of(folder):
        name, found = baseline
        base, method = found["base"]["outcomes"], found[name]["outcomes"]
    else:
        found = read_object(folder / EVALUATION, base=dict)
        if "wovr" not in found:
            raise UserError(f"{folder} has no improved policy: its gate refused RL; it cannot be a row of {setting}")
        base, method = found["base"]["outcomes"]["greedy"], found["wovr"]["outcomes"]["greedy"]
    starts = config["evaluation"]["starts"]
    protocol = {
        "environment": "wovr_lab/Tabletop-v0",
        "initial_states": f"seeds {TRAINING_SEEDS}-{TRAINING_SEEDS + starts - 1}",
        "max_steps": config["max_steps"],
        "temperature": 0.0,
        "scale": config["scale"],
    }
    tasks = np.repeat(config["tasks"], starts)
    return {"base": np.array(base, bool), "method": np.array(method, bool), "task_of": tasks,
            "tasks": config["tasks"], "seed": config["seed"], "protocol": protocol}  # fmt: skip


def _of_task(run: dict[str, Any], key: str, task: str) -> np.ndarray:
    return run[key] if task == "all" else run[key][run["task_of"] == task]


def provenance() -> dict[str, Any]:
    """The commit and the versions that a table is made with."""
    return {
        "version": package_version(),
        "commit": current_commit(),
        "versions": {package: version(package) for package in PACKAGES},
    }


def render_tables(readme: Path, results: Path) -> None:
    """Replaces every table between its two marks in the README by what the results file says.

    Raises UserError if there is no README, or if a table's end is not marked.
    """
    if not readme.exists():
        raise UserError(f"{readme} does not exist here; run this in the repository's folder")
    text = readme.read_text()
    for path in sorted(results.glob("*.json")):
        begin = BEGIN.format(name=path.stem)
        if begin in text:
            before, rest = text.split(begin, 1)
            if END not in rest:
                raise UserError(f"{readme} has no {END} after {begin}; put it on the line after the table")
            text = before + begin + "\n" + markdown_table(read_json(path)) + END + rest.split(END, 1)[1]
    write_text(readme, text)


def markdown_table(table: dict[str, Any]) -> str:
    """Settings down, and across them tasks in percent, seeds and gain, or what the table's own `columns`
    ([metric, depth] each) name. Values with their intervals; a dash: not measured."""
    if "columns" in table:
        return _columns_table(table)
    tasks = list(dict.fromkeys(row["task"] for row in table["rows"]))
    cells = {(row["setting"], row["task"]): row for row in table["rows"] if row["metric"] == "success"}
    gains = {row["setting"]: row for row in table["rows"] if row["metric"] == "gain" and row["task"] == "all"}
    lines = ["| setting | " + " | ".join(tasks) + " | seeds | gain |", "|---" * (len(tasks) + 3) + "|"]
    for setting in dict.fromkeys(row["setting"] for row in table["rows"]):
        texts = [_cell(cells.get((setting, task))) for task in tasks]
        seeds = ", ".join(f"{100 * value:.1f}" for value in cells[setting, tasks[0]]["per_seed"])
        lines.append(f"| {setting} | " + " | ".join(texts) + f" | {seeds} | {_cell(gains.get(setting))} |")
    return "\n".join(lines) + "\n"


def _cell(row: dict[str, Any] | None) -> str:
    return f"{100 * row['value']:.1f} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]" if row else "-"


def _columns_table(table: dict[str, Any]) -> str:
    """Rows of all tasks; what a row is `than` another setting (better, worse) stands behind its interval."""
    columns = [tuple(column) for column in table["columns"]]
    names = [metric if depth is None else f"{metric} {depth}" for metric, depth in columns]
    rows = [row for row in table["rows"] if row["task"] == "all" and (row["metric"], row["depth"]) in columns]
    cells = {(row["setting"], row["metric"], row["depth"]): row for row in rows}
    lines = ["| setting | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for setting in dict.fromkeys(row["setting"] for row in rows):
        texts = [_number(cells.get((setting, *column))) for column in columns]
        lines.append(f"| {setting} | " + " | ".join(texts) + " |")
    return "\n".join(lines) + "\n"


def _number(row: dict[str, Any] | None) -> str:
    if row is None:
        return "-"
    interval = f" [{row['low']:.3g}, {row['high']:.3g}]" if row["low"] < row["high"] else ""
    return f"{row['value']:.3g}{interval} {row.get('than', '')}".strip()
