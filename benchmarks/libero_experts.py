"""Prints the success of LIBERO's scripted experts over official initial states, task by task, and goes on if stopped.

`python benchmarks/libero_experts.py --out data/results/libero_experts.json` takes all pick-and-place tasks and all 50
states; `--states 10` a sample. Several processes may be told to share the work. Needs the libero extra (make libero).
"""

from __future__ import annotations

import argparse
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

from wovr_lab.errors import UserError
from wovr_lab.measure.intervals import wilson
from wovr_lab.runs import read_json, write_json

SUITES = "object,spatial,goal,10"


def outcomes(task: str, states: int, noise: float) -> list[tuple[bool, int]] | str:
    """Success and actions from official states (training and evaluation states in turn), or why there is no expert."""
    from wovr_lab.real.libero.env import LiberoEnv
    from wovr_lab.real.libero.expert import expert_succeeds

    env = LiberoEnv(task, 16)
    seeds = [index // 2 + 10_000 * (index % 2) for index in range(states)]
    try:
        return [expert_succeeds(env, task, seed, noise) for seed in seeds]
    except UserError as error:
        return str(error)
    finally:
        env.close()


def main(names: str, states: int, noise: float, processes: int, out: Path | None) -> None:
    """Measures and prints, one line a task; `out` keeps what is done."""
    from wovr_lab.real.libero.tasks import find_tasks

    tasks = [task.name for name in names.split(",") for task in find_tasks(name)]
    table = read_json(out) if out and out.exists() else {}
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        futures = {
            task: pool.submit(outcomes, task, states, noise) for task in tasks if table.get(task, {}).get("n") != states
        }
        for task, future in futures.items():
            result = future.result()
            if isinstance(result, str):
                table[task] = {"n": states, "reason": result}
            else:
                rate = wilson(sum(success for success, _ in result), len(result))
                steps = [actions for success, actions in result if success]
                table[task] = {**asdict(rate), "mean_actions": sum(steps) / max(1, len(steps)), "noise": noise}
            if out:
                write_json(out, table)
            print(task, table[task], flush=True)
    good = [task for task in tasks if table[task].get("rate", 0.0) >= 0.9]
    print(f"{len(good)} tasks at 90 % or more (n = {states} a task)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", default=SUITES, help="suites or SUITE/TASK, with commas")
    parser.add_argument("--states", type=int, default=50)
    parser.add_argument("--noise", type=float, default=0.0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    main(chosen.tasks, chosen.states, chosen.noise, chosen.processes, chosen.out)
