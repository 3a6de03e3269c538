"""What the loop's gain is held against, from the same base on the same held-out starts: masked GRPO in the real
environment (paper Table 2, "GRPO online"), and longer imitation of the same demonstrations, which costs nothing real.

In: a configuration, how much to spend. Out: the policy, its evaluation in `online.json` or `longer.json`; resumable.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from wovr_lab.errors import UserError
from wovr_lab.grpo.trainer import GRPOTrainer
from wovr_lab.measure.evaluation import compare, evaluate
from wovr_lab.pace.config import LoopConfig
from wovr_lab.pace.data import demonstrate, evaluation_starts, real_env, starts, store
from wovr_lab.pace.learning import sft
from wovr_lab.pace.reporting import protocol_of
from wovr_lab.pace.stages import Run, Stage, open_run, run_stages
from wovr_lab.policy.checkpoints import load_policy, save_policy
from wovr_lab.policy.imitation import imitate
from wovr_lab.policy.vla import VLAPolicy
from wovr_lab.runs import read_object, write_json
from wovr_lab.seeding import seed_of
from wovr_lab.starts import InitialStarts

BASE, DEMONSTRATIONS = "checkpoints/base", "episodes/demonstrations.hdf5"
METHODS = {"online": "online_grpo", "longer": "longer_imitation"}  # by the name of their files


def run_online(config: LoopConfig, folder: Path, trajectories: int) -> dict[str, Any]:
    """Demonstrations, SFT, online GRPO for about `trajectories` real episodes over all tasks, evaluation.

    Returns online.json. Another number of trajectories in the same folder trains again from the same base.
    """
    group = config.grpo.groups * config.grpo.group_size
    iterations = max(1, round(trajectories / group))

    def improve_online(run: Run, policy: VLAPolicy) -> None:
        initial = InitialStarts(tuple(starts(config, range(10, 510))))
        paid = replace(config.grpo, max_resamples=1)  # what is drawn here has been paid for, whatever it teaches
        trainer = GRPOTrainer(
            policy, real_env(config, group), initial, paid, config.seed, "online", run.scratch, run.metrics,
            config.normaliser, config.mask, config.dual_clip,
        )  # fmt: skip
        trainer.train(iterations)

    return _run(config, folder, "online", iterations * group, iterations * group, improve_online)


def run_sft_control(config: LoopConfig, folder: Path, steps: int) -> dict[str, Any]:
    """Demonstrations, SFT, `steps` more of it as the loop imitates successes, where it does, evaluation.

    Returns longer.json: what is gained without any rollout, so that a loop's gain can be told from it.
    """
    schedule = config.imitate_successes or config.imitation

    def imitate_longer(run: Run, policy: VLAPolicy) -> None:
        longer = replace(schedule, fit=replace(schedule.fit, steps=steps))
        demonstrations = list(store(run, "demonstrations"))
        imitate(policy, demonstrations, longer, seed_of(config.seed, "longer"), run.scratch, run.metrics, "longer")

    return _run(config, folder, "longer", steps, 0, imitate_longer)


def baseline_of(folder: Path) -> tuple[str, dict[str, Any]] | None:
    """The method's name and what was found where `folder` holds a finished baseline, else None."""
    for name, method in METHODS.items():
        if (folder / f"{name}.json").exists():
            return method, read_object(folder / f"{name}.json")
    return None


def _run(
    config: LoopConfig, folder: Path, name: str, amount: int, trajectories: int, learn: Callable[[Run, VLAPolicy], None]
) -> dict[str, Any]:
    """Base, what `learn` makes of it in place with so many real trajectories, and both evaluated."""
    found = baseline_of(folder)
    if found is not None and found[0] != METHODS[name]:
        raise UserError(f"{folder} holds {found[0]}, another baseline; choose another folder")
    learnt = f"checkpoints/{name}"

    def work(run: Run) -> None:
        policy = load_policy(run.path(BASE))
        learn(run, policy)
        save_policy(policy, run.path(learnt))

    def judge(run: Run) -> None:
        spent = {"trajectories": trajectories}
        write_json(run.path(f"{name}.json"), spent | _judged(run, METHODS[name], learnt))

    run = open_run(folder, config)
    stages = (
        Stage("demonstrate", demonstrate, (), (DEMONSTRATIONS,)),
        Stage("sft", sft, (DEMONSTRATIONS,), (BASE,)),
        Stage(f"{name}_{amount}", work, (BASE, DEMONSTRATIONS), (learnt,)),
        Stage(f"evaluate_{name}", judge, (BASE, learnt), (f"{name}.json",)),
    )
    run_stages(run, stages)
    # what was learnt may be the same after more of it, and is then not judged again
    return read_object(run.path(f"{name}.json")) | {"trajectories": trajectories}


def _judged(run: Run, method: str, learnt: str) -> dict[str, Any]:
    config, first = run.config, evaluation_starts(run.config)
    env = real_env(config, len(first))
    result: dict[str, Any] = {"protocol": protocol_of(config)}
    greedy = {}
    for name, checkpoint in (("base", BASE), (method, learnt)):
        policy = load_policy(run.path(checkpoint))
        greedy[name] = evaluate(env, policy, first, config.seed, 0.0)
        sampled = evaluate(env, policy, first, config.seed, config.grpo.temperature)
        result[name] = {
            "greedy": asdict(greedy[name].overall),
            "sampled": asdict(sampled.overall),
            "by_task": {task: asdict(rate) for task, rate in greedy[name].by_task().items()},
            "outcomes": greedy[name].succeeded.astype(int).tolist(),
            "sampled_outcomes": sampled.succeeded.astype(int).tolist(),
        }
    difference, p_value = compare(greedy["base"], greedy[method])
    result["comparison"] = {"difference": asdict(difference), "p_value": p_value}
    return result
