"""A stage of `wovr-lab measure`: groups of the base policy's imagined rollouts, as GRPO draws them, executed for real.

In: checkpoints, starts by kind. Out: measure/update_efficiency.json, a row for each world model and kind of start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from wovr_lab.measure.groups import correlation_interval
from wovr_lab.measure.hallucination import replay_in_simulator
from wovr_lab.measure.intervals import rate_of
from wovr_lab.measure.update_efficiency import update_efficiency_interval
from wovr_lab.pace.data import real_env
from wovr_lab.pace.improving import imagined_env
from wovr_lab.pace.layout import BASE
from wovr_lab.pace.rounds import Simulator
from wovr_lab.pace.stages import Run
from wovr_lab.policy.checkpoints import load_policy
from wovr_lab.policy.exploration import ExploringActor
from wovr_lab.rollout import roll_out
from wovr_lab.runs import write_json
from wovr_lab.types import Start

WRITES = "measure/update_efficiency.json"


def measure_update_efficiency(
    worlds: dict[str, Simulator], chosen: dict[str, list[Start]], groups: int
) -> Callable[[Run], None]:
    """About `groups` groups from the starts of each kind, in each world model with its reward."""

    def work(run: Run) -> None:
        rows = []
        for world, simulator in worlds.items():
            for kind, some in chosen.items():
                first = some[:: max(1, len(some) // groups)]
                rows.append({"policy": "base", "world": world, "start": kind} | _row(run, simulator, first))
        write_json(run.path(WRITES), rows)

    return work


def _row(run: Run, simulator: Simulator, first: Sequence[Start]) -> dict[str, Any]:
    config, size = run.config, run.config.rl.group_size
    env = imagined_env(run, simulator, config.world.imagined_rows)
    policy, name = load_policy(run.path(BASE), config.resolution), f"worth of {Path(simulator.world).name}"
    repeated = [start for start in first for _ in range(size)]
    actor = ExploringActor(policy, config.rl.noise)
    imagined = roll_out(env, actor, repeated, config.seed, name, config.rl.temperature, progress=True)
    real = real_env(config, len(repeated), every_frame=True)
    outcomes = replay_in_simulator(real, imagined, config.seed, name)[0]
    both = {"imagined": outcomes.imagined.reshape(-1, size), "real": outcomes.real.reshape(-1, size)}
    mixed = {f"mixed_{which}": asdict(rate_of(seen.any(1) & ~seen.all(1))) for which, seen in both.items()}
    worth, agreement = update_efficiency_interval(**both), correlation_interval(both["imagined"], both["real"])
    found = {"worth": asdict(worth) if worth else None, "within_group_correlation": asdict(agreement)}
    return {"n": len(first), "group_size": size, **mixed, **found}
