"""The last stage: base and improved policy on the held-out starts, greedy and sampled, and imagination held against
reality. In: checkpoints. Out: `evaluation.json` and small episodes in `comparison/` that people can look at.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from wovr_lab.episodes import write_episodes
from wovr_lab.measure.evaluation import Evaluation, compare, evaluate
from wovr_lab.measure.hallucination import PairedOutcomes, psnr_by_horizon, replay_in_imagination, replay_in_simulator
from wovr_lab.pace.data import evaluation_starts, held_out_of_base, real_env, seeds, starts
from wovr_lab.pace.improving import imagined_env
from wovr_lab.pace.layout import BASE, COMPARISON, EVALUATION, GATE
from wovr_lab.pace.rounds import Simulator
from wovr_lab.pace.stages import Run, Stage
from wovr_lab.policy.checkpoints import load_policy
from wovr_lab.policy.vla import VLAPolicy
from wovr_lab.real.env import TRAINING_SEEDS
from wovr_lab.rollout import roll_out
from wovr_lab.runs import write_json
from wovr_lab.types import Episode, Rollouts

SHOWN = 2  # examples of each outcome kept for people
KINDS = {  # imagined, real
    "success": (True, True),
    "imagined_only": (True, False),
    "real_only": (False, True),
    "failure": (False, False),
}


@dataclass(frozen=True)
class Improved:
    """A policy, and the simulator that it was improved in."""

    policy: str
    simulator: Simulator


def evaluate_stage(improved: Improved | None) -> Stage:
    """The stage that judges the base, and the improved policy that the loop ended with if there is one."""
    policies = {"base": Improved(BASE, Simulator.of())} | ({"wovr": improved} if improved else {})

    def work(run: Run) -> None:
        shutil.rmtree(run.path(COMPARISON), ignore_errors=True)  # examples of outcomes that may not happen again
        found = {name: _judge(run, name, judged) for name, judged in policies.items()}
        result: dict[str, Any] = {name: rows for name, (rows, _) in found.items()}
        if improved:
            difference, p_value = compare(found["base"][1], found["wovr"][1])
            result["comparison"] = {"difference": asdict(difference), "p_value": p_value}
        last = "wovr" if improved else "base"
        result["world"] = _video_error(run, policies[last].simulator) | {"frames_per_second": result[last]["speed"]}
        write_json(run.path(EVALUATION), result)

    reads = {name for judged in policies.values() for name in (judged.policy, *judged.simulator.names)}
    return Stage("evaluate", work, (*sorted(reads), GATE), (EVALUATION, COMPARISON))


def _judge(run: Run, name: str, judged: Improved) -> tuple[dict[str, Any], Evaluation]:
    config, actor = run.config, load_policy(run.path(judged.policy))
    first = evaluation_starts(config)
    env = real_env(config, len(first))
    greedy = evaluate(env, actor, first, config.seed, 0.0, "evaluate")
    sampled = evaluate(env, actor, first, config.seed, config.rl.temperature, "evaluate")
    run.ledger.debit(run.stage, "measurement", 2 * len(first), 0)
    _film(run, name, actor)
    outcomes, speed = _confusion(run, name, actor, judged.simulator)
    return {
        "greedy": asdict(greedy.overall),
        "sampled": asdict(sampled.overall),
        "by_task": {task: asdict(rate) for task, rate in greedy.by_task().items()},
        "sampled_by_task": {task: asdict(rate) for task, rate in sampled.by_task().items()},
        "outcomes": {
            "greedy": greedy.succeeded.astype(int).tolist(),
            "sampled": sampled.succeeded.astype(int).tolist(),
        },
        "confusion": outcomes.counts(),
        "imagined_success_precision": asdict(outcomes.precision),
        "speed": speed,
    }, greedy


def _film(run: Run, name: str, actor: VLAPolicy) -> None:
    """A few greedy episodes of every task, for videos."""
    config = run.config
    first = starts(config, range(TRAINING_SEEDS, TRAINING_SEEDS + 2 * SHOWN))
    env = real_env(config, len(first), config.data.hold_after_success, every_frame=True)
    rollouts = roll_out(env, actor, first, config.seed, "film", 0.0, video=True)
    run.ledger.debit(run.stage, "measurement", len(first), int(rollouts.steps.sum()))
    write_episodes(run.path(f"{COMPARISON}/{name}.hdf5"), rollouts.episodes())


def _confusion(run: Run, name: str, actor: VLAPolicy, simulator: Simulator) -> tuple[PairedOutcomes, float]:
    """Imagined rollouts of a policy, executed for real; keeps examples; frames a second of the whole imagined step."""
    config = run.config
    first = starts(config, seeds(config, "confusion", config.evaluation.confusion_rollouts))
    env = imagined_env(run, simulator, config.world.imagined_rows)
    begin = time.monotonic()
    imagined = roll_out(env, actor, first, config.seed, "confusion", config.rl.temperature, video=True, progress=True)
    speed = float(imagined.steps.sum()) / (time.monotonic() - begin)
    outcomes, real = replay_in_simulator(
        real_env(config, len(first), every_frame=True), imagined, config.seed, "confusion/real"
    )
    run.ledger.debit(run.stage, "measurement", len(first), int(real.steps.sum()))
    _keep_examples(run, name, outcomes, imagined, real)
    return outcomes, speed


def _keep_examples(run: Run, name: str, outcomes: PairedOutcomes, imagined: Rollouts, real: Rollouts) -> None:
    for kind, (in_imagination, in_reality) in KINDS.items():
        rows = np.flatnonzero((outcomes.imagined == in_imagination) & (outcomes.real == in_reality))[:SHOWN]
        if len(rows):
            write_episodes(run.path(f"{COMPARISON}/{name}-{kind}-imagined.hdf5"), _chosen(imagined.episodes(), rows))
            write_episodes(run.path(f"{COMPARISON}/{name}-{kind}-real.hdf5"), _chosen(real.episodes(), rows))


def _chosen(episodes: Sequence[Episode], rows: np.ndarray) -> list[Episode]:
    return [episodes[row] for row in rows]


def _video_error(run: Run, simulator: Simulator) -> dict[str, Any]:
    """PSNR by horizon on the gate's held-out episodes of the base policy."""
    config, episodes = run.config, held_out_of_base(run)
    # held to the limit, so that no imagined rollout ends early and every depth is seen
    env = imagined_env(run, simulator, config.world.imagined_rows, hold_after_success=config.max_steps)
    _, imagined = replay_in_imagination(env, episodes, config.seed, "video")
    curves = psnr_by_horizon(episodes, imagined)
    return {"psnr_by_depth": curves["world"], "psnr_by_depth_copy": curves["copy"]}
