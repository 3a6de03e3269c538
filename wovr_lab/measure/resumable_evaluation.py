"""Evaluation that can be stopped and goes on: outcomes of each group of episodes are on disk before the next begins.

In: real environments in processes of their own, any actor, tasks and seeds. Out: FOLDER/protocol.json (what was asked
for), FOLDER/episodes.json (one entry an episode), films of a first success and a first failure of each task.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wovr_lab.contracts import Actor
from wovr_lab.errors import UserError
from wovr_lab.fields import Natural, NonNegative, configuration
from wovr_lab.measure.evaluation import Evaluation
from wovr_lab.outputs import claim_work_folder
from wovr_lab.real.process_pool import PooledChunkEnv
from wovr_lab.rollout import roll_out
from wovr_lab.runs import read_json, write_json
from wovr_lab.types import Rollouts

SaveFilm = Callable[[Path, np.ndarray], None]  # path, uint8 [T, H, W, 3]


@configuration
class ResumableEvaluationConfig:
    """What is evaluated, and how; two of them with the same protocol give the same outcomes."""

    tasks: tuple[str, ...]
    seeds: tuple[Natural, ...]  # initial states, for every task
    run_seed: int
    temperature: NonNegative
    protocol: dict[str, Any]  # what else decides the outcomes: policy, versions, renderer

    def to_dict(self) -> dict[str, Any]:
        """The protocol card, as JSON holds it."""
        own = {"tasks": list(self.tasks), "seeds": list(self.seeds)}
        return {**own, "run_seed": self.run_seed, "temperature": self.temperature, **self.protocol}


def evaluate_resumable(
    env: PooledChunkEnv, actor: Actor, config: ResumableEvaluationConfig, folder: Path, save_film: SaveFilm
) -> Evaluation:
    """Runs what is not in `folder` yet, `env.num_envs` episodes at a time, and returns all outcomes.

    Raises UserError if `folder` holds an evaluation of something else, or anything else.
    """
    protocol = config.to_dict()
    folder = claim_work_folder(folder, "evaluation", ("protocol.json", "episodes.json", "videos"))
    if (folder / "protocol.json").exists() and read_json(folder / "protocol.json") != protocol:
        raise UserError(f"{folder} holds an evaluation with another protocol; choose another folder, or delete it")
    write_json(folder / "protocol.json", protocol)
    entries = read_json(folder / "episodes.json") if (folder / "episodes.json").exists() else []
    done = {(entry["task"], entry["seed"]) for entry in entries}
    for task, seeds in _groups(config, env.num_envs):
        if (task, seeds[-1]) in done:
            continue
        starts, name = env.workers.starts_of(task, seeds), f"evaluate {task} {seeds[0]}"
        rollouts = roll_out(env, actor, starts, config.run_seed, name, config.temperature, progress=True)
        for seed, success, steps in zip(seeds, rollouts.succeeded.tolist(), rollouts.steps.tolist(), strict=True):
            entries.append({"task": task, "seed": seed, "success": success, "actions": steps})
        _film(env, rollouts, folder / "videos" / task.replace("/", "-"), save_film)
        write_json(folder / "episodes.json", entries)
    return Evaluation(
        np.array([entry["task"] for entry in entries]), np.array([entry["success"] for entry in entries], bool)
    )


def _groups(config: ResumableEvaluationConfig, rows: int) -> Iterator[tuple[str, Sequence[int]]]:
    for task in config.tasks:
        for first in range(0, len(config.seeds), rows):
            yield task, config.seeds[first : first + rows]


def _film(env: PooledChunkEnv, rollouts: Rollouts, stem: Path, save_film: SaveFilm) -> None:
    """Films a first success and a first failure, unless earlier groups had them: the same actions, all frames drawn."""
    wanted = {}
    for outcome, name in ((True, "success"), (False, "failure")):
        path = stem.with_name(f"{stem.name}-{name}.mp4")
        rows = np.flatnonzero(rollouts.succeeded == outcome)
        if len(rows) and not path.exists():
            wanted[path] = int(rows[0])
    starts = [rollouts.starts[row] for row in wanted.values()]
    flat = rollouts.actions.reshape(len(rollouts), -1, rollouts.actions.shape[-1])
    films = env.films(starts, [flat[row, : rollouts.steps[row]] for row in wanted.values()])
    for path, film in zip(wanted, films, strict=True):
        save_film(path, film)
