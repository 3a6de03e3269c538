"""The online-GRPO baseline: the same masked GRPO on the real environment (paper Table 2, "GRPO online").

In: a base policy, a number of real trajectories. Out: the improved policy and its evaluation on the held-out starts.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from wovr_lab.grpo.trainer import GRPOTrainer
from wovr_lab.measure.evaluation import compare, evaluate
from wovr_lab.pace.config import LoopConfig
from wovr_lab.pace.data import demonstrate, evaluation_starts, real_env, starts
from wovr_lab.pace.learning import sft
from wovr_lab.pace.reporting import protocol_of
from wovr_lab.pace.stages import Run, Stage, open_run, run_stages
from wovr_lab.policy.checkpoints import load_policy, save_policy
from wovr_lab.runs import read_json, write_json
from wovr_lab.starts import InitialStarts

BASE, DEMONSTRATIONS = "checkpoints/base", "episodes/demonstrations.hdf5"


def run_online(config: LoopConfig, folder: Path, trajectories: int) -> dict[str, Any]:
    """Demonstrations, SFT, online GRPO for about `trajectories` real episodes over all tasks, evaluation; resumable.

    Returns online.json. Another number of trajectories in the same folder trains again from the same base.
    """
    run = open_run(folder, config)
    group = config.grpo.groups * config.grpo.group_size
    iterations = max(1, round(trajectories / group))
    done = iterations * group

    def improve_online(run: Run) -> None:
        policy = load_policy(run.path(BASE))
        initial = InitialStarts(tuple(starts(config, range(10, 510))))
        paid = replace(config.grpo, most_draws=1)  # what is drawn here has been paid for, whatever it teaches
        trainer = GRPOTrainer(
            policy, real_env(config, group), initial, paid, config.seed, "online", run.scratch, run.metrics,
            config.normaliser, config.mask, config.dual_clip,
        )  # fmt: skip
        trainer.train(iterations)
        save_policy(policy, run.path("checkpoints/online"))

    def evaluate_online(run: Run) -> None:
        _evaluate(run, done)

    stages = (
        Stage("demonstrate", demonstrate, (), (DEMONSTRATIONS,)),
        Stage("sft", sft, (DEMONSTRATIONS,), (BASE,)),
        Stage(f"online_{done}", improve_online, (BASE,), ("checkpoints/online",)),
        Stage("evaluate_online", evaluate_online, (BASE, "checkpoints/online"), ("online.json",)),
    )
    run_stages(run, stages)
    return read_json(run.path("online.json")) | {"trajectories": done}


def _evaluate(run: Run, trajectories: int) -> None:
    config, first = run.config, evaluation_starts(run.config)
    env = real_env(config, len(first))
    result: dict[str, Any] = {"protocol": protocol_of(config), "trajectories": trajectories}
    greedy = {}
    for name, checkpoint in (("base", "base"), ("online_grpo", "online")):
        policy = load_policy(run.path(f"checkpoints/{checkpoint}"))
        greedy[name] = evaluate(env, policy, first, config.seed, 0.0)
        sampled = evaluate(env, policy, first, config.seed, config.grpo.temperature)
        result[name] = {
            "greedy": asdict(greedy[name].overall),
            "sampled": asdict(sampled.overall),
            "by_task": {task: asdict(rate) for task, rate in greedy[name].by_task().items()},
            "outcomes": greedy[name].succeeded.astype(int).tolist(),
            "sampled_outcomes": sampled.succeeded.astype(int).tolist(),
        }
    difference, p_value = compare(greedy["base"], greedy["online_grpo"])
    result["comparison"] = {"difference": asdict(difference), "p_value": p_value}
    write_json(run.path("online.json"), result)
