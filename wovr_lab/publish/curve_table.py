"""Learning curves of several bases and seeds of RL as one table, and how many updates a simulator can be trusted for.

In: what `learning_curve` found in run folders. Out: rows as data/results has them: real success at each mark, what was
believed there, agreement within groups, and for each setting its trusted updates.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wovr_lab.errors import UserError
from wovr_lab.experiments.learning_curve import CEILING, FIRST_SEED, CurveConfig, marks_of
from wovr_lab.measure.groups import correlation_interval
from wovr_lab.measure.intervals import paired_difference
from wovr_lab.measure.update_efficiency import update_efficiency_interval
from wovr_lab.pace.settings import read_config
from wovr_lab.publish.results import provenance, row_of
from wovr_lab.runs import write_json
from wovr_lab.types import Interval

TOLERANCE = 0.05  # of real success: a smaller lag behind the ceiling is none, however sure
Pairs = list[tuple[Path, int]]  # a run and a seed of RL


def write_learning_curve(folders: Sequence[Path], config: CurveConfig, out: Path, command: str) -> dict[str, Any]:
    """Writes the table of these runs and returns it. Raises UserError if nothing was measured in one of them."""
    pairs = [(folder, rl_seed) for folder in folders for rl_seed in config.rl_seeds]
    seeds = [int(read_config(folder)["seed"]) for folder, _ in pairs]
    rows: list[dict[str, Any]] = []
    for setting in config.settings:
        for updates in config.marks:
            rows += _rows_at(pairs, setting, updates, seeds)
        if CEILING in config.settings:
            rows.append(_trusted_row(pairs, setting, config.marks, seeds))
    protocol = {
        "initial_states": f"seeds {FIRST_SEED} and up, {config.starts} a task",
        "marks": list(config.marks),
        "runs": [f"base seed {seed}, RL seed {rl_seed}" for seed, (_, rl_seed) in zip(seeds, pairs, strict=True)],
        "trusted_updates": "the last mark up to which real success is not clearly behind the same updates in the real "
        "simulator with the true reward: their paired 95 % interval reaches zero, or the gap is at most "
        f"{TOLERANCE:.0%}",
    }
    title = "Real success after so many updates, each part of the simulator learnt or replaced by the truth"
    columns = [["success", updates] for updates in config.marks] + [["trusted_updates", None]]
    table = {"schema": 1, "title": title, "command": command, **provenance(), "protocol": protocol}
    write_json(out, table | {"columns": columns, "rows": rows})
    return table | {"rows": rows}


def _rows_at(pairs: Pairs, setting: str, updates: int, seeds: list[int]) -> list[dict[str, Any]]:
    found = [_mark(folder, setting, rl_seed, updates) for folder, rl_seed in pairs]
    rl = {"rl_seeds": [rl_seed for _, rl_seed in pairs], "depth": updates}
    rows = []
    for metric, key in (("success", "greedy"), ("sampled_success", "sampled")):
        for task in ("all", *sorted(set(found[0]["tasks"]))):
            outcomes = [_of_task(each, key, task) for each in found]
            rows.append(row_of(setting, metric, task, outcomes, seeds) | rl)
    for metric, key in (("trajectories", "trajectories"), ("believed_success", "believed")):
        values = [each[key] for each in found]
        if None not in values:
            rows.append(row_of(setting, metric, "all", [np.array([float(value)]) for value in values], seeds) | rl)
    groups = [each["groups"] for each in found]
    if None not in groups:
        judged, real = (np.concatenate([np.array(each[side], bool) for each in groups]) for side in ("judged", "real"))
        measures = {"within_group_correlation": correlation_interval, "update_efficiency": update_efficiency_interval}
        for metric, measure in measures.items():
            interval = measure(judged, real)
            if interval is not None:
                rows.append(_interval_row(setting, metric, interval, seeds) | rl)
    return rows


def _interval_row(setting: str, metric: str, interval: Interval, seeds: list[int]) -> dict[str, Any]:
    low, high = interval.low, interval.high
    row = {"setting": setting, "metric": metric, "task": "all", "value": interval.rate, "low": low, "high": high}
    return row | {"n": interval.n, "seeds": seeds, "per_seed": []}


def _trusted_row(pairs: Pairs, setting: str, marks: Sequence[int], seeds: list[int]) -> dict[str, Any]:
    """Pooled over all pairs, and between which values single pairs lie."""
    curves = [[_outcomes(pair, setting, updates) for pair in pairs] for updates in marks]
    ceilings = [[_outcomes(pair, CEILING, updates) for pair in pairs] for updates in marks]
    pooled = trusted_updates(marks, *([np.concatenate(mark) for mark in curve] for curve in (curves, ceilings)))
    single = [
        trusted_updates(marks, [mark[row] for mark in curves], [mark[row] for mark in ceilings])
        for row in range(len(pairs))
    ]
    interval = Interval(float(pooled), len(pairs), float(min(single)), float(max(single)))
    row = _interval_row(setting, "trusted_updates", interval, seeds) | {"depth": None, "per_seed": single}
    return row | {"rl_seeds": [rl_seed for _, rl_seed in pairs]}


def trusted_updates(marks: Sequence[int], curve: Sequence[np.ndarray], ceiling: Sequence[np.ndarray]) -> int:
    """The last of `marks` up to which `curve` is nowhere clearly behind `ceiling`; outcomes bool [n] on the same starts
    at each mark. 0 if it is behind at once."""
    trusted = 0
    for updates, mine, best in zip(marks, curve, ceiling, strict=True):
        gap = paired_difference(best, mine)
        if gap.high < 0 and gap.rate < -TOLERANCE:
            break
        trusted = updates
    return trusted


def _mark(folder: Path, setting: str, rl_seed: int, updates: int) -> dict[str, Any]:
    marks = marks_of(folder, setting, rl_seed)
    if updates not in marks:
        raise UserError(
            f"{folder} has no mark of {updates} updates in {setting}, RL seed {rl_seed}; run "
            f"wovr-lab study learning-curve {folder} to its end first"
        )
    return marks[updates]


def _outcomes(pair: tuple[Path, int], setting: str, updates: int) -> np.ndarray:
    return np.array(_mark(pair[0], setting, pair[1], updates)["greedy"], bool)


def _of_task(mark: dict[str, Any], key: str, task: str) -> np.ndarray:
    chosen = [task in ("all", each) for each in mark["tasks"]]
    return np.array(mark[key], bool)[chosen]
