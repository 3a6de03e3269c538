"""Commands in real simulators: evaluate a policy, let experts demonstrate, the baselines. Registered by `cli`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from wovr_lab.cli.configuring import Changes, SettingsFile, configured
from wovr_lab.errors import UserError
from wovr_lab.experiments.baselines import METHODS, run_online, run_sft_control
from wovr_lab.figures.pictures import save_video
from wovr_lab.measure.evaluation import evaluate as evaluate_policy
from wovr_lab.measure.resumable_evaluation import evaluate_resumable
from wovr_lab.outputs import claim_file, json_with
from wovr_lab.pace.data import evaluation_starts, real_env
from wovr_lab.pace.scales import config_in, scale_config
from wovr_lab.policy.checkpoints import load_policy
from wovr_lab.real.domains import tasks_of
from wovr_lab.real.names import LIBERO, TABLETOP
from wovr_lab.runs import write_json

console = Console()

Folder = Annotated[Path, typer.Option("--run", help="run folder")]
Scale = Annotated[str, typer.Option(help="smoke, demo or full")]
Seed = Annotated[int, typer.Option(help="every random stream follows from it")]
Environment = Annotated[str, typer.Option("--env", help="tabletop, or libero:SUITE/TASK, more of them with commas")]


def evaluate(
    policy: Annotated[Path, typer.Option(help="policy checkpoint folder")],
    env: Environment = TABLETOP,
    seed: Seed = 0,
    temperature: Annotated[float, typer.Option(min=0.0, help="0 is greedy")] = 0.0,
    starts: Annotated[int | None, typer.Option(min=1, help="held-out initial states a task; 200, LIBERO 50")] = None,
    out: Annotated[Path | None, typer.Option(help="write the result here as JSON")] = None,
    folder: Annotated[Path, typer.Option("--run", help="LIBERO: episodes and videos; goes on")] = Path("runs/libero"),
    official: Annotated[bool, typer.Option("--official", help="LIBERO: all 50 official states")] = False,
    renderer: Annotated[str, typer.Option(help="LIBERO: fast, or package (its own settings)")] = "fast",
    rows: Annotated[int, typer.Option(min=1, help="LIBERO: episodes at a time")] = 10,
    processes: Annotated[int | None, typer.Option(min=1, help="LIBERO: all cores unless told")] = None,
) -> None:
    """Evaluate a policy in a real simulator on held-out initial states."""
    if out:
        out = claim_file(out, json_with("policy", "temperature", "seed", "success"), inputs=[policy])
    actor = load_policy(policy)
    if env.startswith(LIBERO):
        from wovr_lab.experiments import libero_evaluation  # needs the libero extra

        choice = libero_evaluation.LiberoEvaluationConfig(
            env.removeprefix(LIBERO), starts or 50, official, renderer, rows, processes
        )
        protocol = libero_evaluation.resumable_config(choice, actor, policy, seed, temperature)
        real = libero_evaluation.make_env(choice, actor.config)
        result = evaluate_resumable(real, actor, protocol, folder, save_video)
    else:
        sizes = {"evaluation_starts": starts or 200, "resolution": actor.config.resolution}
        config = scale_config("demo", seed, tasks=tasks_of(env), **sizes)
        first = evaluation_starts(config)
        result = evaluate_policy(real_env(config, len(first)), actor, first, seed, temperature)
    rates = {task: asdict(rate) for task, rate in result.by_task().items()} | {"all": asdict(result.overall)}
    for task, rate in rates.items():
        console.print(f"{task:16} {rate['rate']:6.1%}  [{rate['low']:.1%}, {rate['high']:.1%}]  n = {rate['n']}")
    if out:
        write_json(out, {"policy": str(policy), "temperature": temperature, "seed": seed, "success": rates})


def demonstrations(
    env: Annotated[str, typer.Option(help="libero:SUITE[/TASK]")],
    out: Annotated[Path, typer.Option(help="folder for SUITE/TASK_demo.hdf5")] = Path("runs/demonstrations"),
    episodes: Annotated[int, typer.Option(min=1, help="a task, from training states")] = 25,
    noise: Annotated[float, typer.Option(min=0.0, help="deviation of executed x, y, z")] = 0.0,
    resolution: Annotated[int, typer.Option(min=8, help="pixels a side")] = 128,
) -> None:
    """Let the scripted expert demonstrate LIBERO tasks; files in the benchmark's own layout. Those that can be written
    are; if one cannot, the exit code says so."""
    from wovr_lab.real.libero.env import LiberoEnv  # needs the libero extra
    from wovr_lab.real.libero.official import write_demonstrations

    world = LiberoEnv(env.removeprefix(LIBERO), resolution)
    missing = []
    for task in world.tasks:
        try:
            console.print(f"{write_demonstrations(out, world, task, range(episodes), noise)}")
        except UserError as error:
            console.print(f"{task}: {error}", style="yellow", markup=False)
            missing.append(task)
    if missing:
        raise UserError(f"{len(missing)} of {len(world.tasks)} tasks have no demonstrations: {', '.join(missing)}")


def online(
    folder: Folder = Path("runs/online"), scale: Scale = "demo", seed: Seed = 0,
    trajectories: Annotated[int, typer.Option(min=1, help="real trajectories over all tasks")] = 6000,
    env: Environment = TABLETOP, file: SettingsFile = None, changes: Changes = None,
) -> None:  # fmt: skip
    """The online-GRPO baseline: the same policy and objective on the real simulator."""
    config = configured(config_in(env, scale, seed), file, changes)
    _print_rates(run_online(config, folder, trajectories), METHODS["online"])


def sft_control(
    folder: Folder = Path("runs/sft-control"), scale: Scale = "demo", seed: Seed = 0,
    steps: Annotated[int, typer.Option(min=1, help="of imitation, beyond the base's")] = 5000,
    env: Environment = TABLETOP, file: SettingsFile = None, changes: Changes = None,
) -> None:  # fmt: skip
    """The control: the base imitates its demonstrations for longer, without any rollout."""
    config = configured(config_in(env, scale, seed), file, changes)
    _print_rates(run_sft_control(config, folder, steps), METHODS["longer"])


def _print_rates(result: dict[str, Any], method: str) -> None:
    """Greedy success of base and baseline."""
    for name in ("base", method):
        rate = result[name]["greedy"]
        console.print(f"{name:16} {rate['rate']:6.1%}  [{rate['low']:.1%}, {rate['high']:.1%}]  n = {rate['n']}")
