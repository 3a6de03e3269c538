"""Commands that study finished runs: `wovr-lab study ...`. Registered by `cli`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wovr_lab.cli.options import Commands
from wovr_lab.cli.real import console
from wovr_lab.errors import UserError
from wovr_lab.experiments.learning_curve import SETTINGS, CurveConfig, measure_curves
from wovr_lab.outputs import OUR_PAGE, claim_file, file_with, json_with
from wovr_lab.pace.config import load_config
from wovr_lab.publish.curve_table import write_learning_curve
from wovr_lab.report.learning_curve import draw_learning_curve

study = Commands(no_args_is_help=True, help="Study finished runs; every study goes on where it stopped.")
DEFAULT = CurveConfig()
MARKS = ",".join(map(str, DEFAULT.marks))


@study.command("learning-curve")
def learning_curve(
    folders: Annotated[list[Path], typer.Argument(help="run folders, one a base policy")],
    marks: Annotated[str, typer.Option(help="numbers of updates at which to judge")] = MARKS,
    settings: Annotated[str, typer.Option(help="which parts are learnt")] = ",".join(SETTINGS),
    rl_seeds: Annotated[int, typer.Option(min=1, help="seeds of RL, from 0 on")] = len(DEFAULT.rl_seeds),
    starts: Annotated[int, typer.Option(min=1, help="initial states a task that judge a mark")] = DEFAULT.starts,
    groups: Annotated[int, typer.Option(min=0, help="groups of rollouts that judge the simulator")] = DEFAULT.groups,
    table: Annotated[Path, typer.Option(help="where the table goes")] = Path("data/results/learning_curve.json"),
    picture: Annotated[Path, typer.Option(help="where its page goes")] = Path("runs/learning_curve.html"),
) -> None:  # fmt: skip
    """How many updates in the learnt simulator does real success follow? Beside the same updates in the real one."""
    table = claim_file(table, json_with("schema", "rows", command="wovr-lab study learning-curve"))
    picture = claim_file(picture, file_with(OUR_PAGE))
    config = CurveConfig(_numbers(marks), tuple(settings.split(",")), tuple(range(rl_seeds)), starts, groups)
    for folder in folders:
        measure_curves(folder, config, load_config(folder))
    command = f"wovr-lab study learning-curve RUN_OF_EACH_BASE --marks {marks} --settings {settings}"
    command += f" --rl-seeds {rl_seeds} --starts {starts} --groups {groups}"
    found = write_learning_curve(folders, config, table, command)
    draw_learning_curve(found, picture)
    for row in found["rows"]:
        if row["metric"] == "trusted_updates":
            console.print(f"{row['setting']:32} {row['value']:.0f} trusted updates", highlight=False)
    console.print(f"Look at {picture}", markup=False, highlight=False, soft_wrap=True)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(number) for number in text.split(","))
    except ValueError as error:
        raise UserError(f"--marks takes whole numbers with commas between, such as 0,8,16, not {text!r}") from error
