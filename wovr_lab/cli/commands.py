"""The command line: `wovr-lab run` for the whole loop, one sub-command a stage, and what one needs around it.

Exit codes: 0 done, 2 bad input (one message says what to do), 3 the reliability gate refused RL in imagination.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from wovr_lab.cli.configuring import Changes, SettingsFile, ShowConfig, configured, shown
from wovr_lab.cli.data import convert
from wovr_lab.cli.doctor import findings
from wovr_lab.cli.options import Commands
from wovr_lab.cli.pixels import pretrain_pixels
from wovr_lab.cli.publishing import export, results, tables
from wovr_lab.cli.real import Environment, Folder, Scale, Seed, console, demonstrations, evaluate, online, sft_control
from wovr_lab.cli.serving import serve
from wovr_lab.cli.study import study
from wovr_lab.errors import UserError
from wovr_lab.experiments.ablations import AblationConfig, ablate
from wovr_lab.experiments.estimate import estimate
from wovr_lab.experiments.gate_history import gate_history
from wovr_lab.experiments.hallucination_run import ROLLOUTS, measure_run
from wovr_lab.figures.ablation_pictures import draw_ablations
from wovr_lab.figures.comparison_pictures import draw_comparisons
from wovr_lab.machine import check_proxies, require_extra
from wovr_lab.measure.tabletop.probe_training import ProbeTrainingConfig, make_probe
from wovr_lab.measure.video.feature_networks import PaperFeatures, ShippedFeatures
from wovr_lab.outputs import OUR_PAGE, OUR_PICTURE, claim_file, file_with, json_with
from wovr_lab.pace.config import RunConfig, load_config
from wovr_lab.pace.layout import REPORT
from wovr_lab.pace.loop import STAGE_NAMES, run_loop
from wovr_lab.pace.presets import LATENT, config_for
from wovr_lab.pace.settings import read_config
from wovr_lab.publish.hallucination_table import write_hallucination_table
from wovr_lab.publish.video_table import write_video_table
from wovr_lab.real.names import TABLETOP
from wovr_lab.report.gate_history import write_gate_history
from wovr_lab.report.hallucination_tables import hallucination_sentence
from wovr_lab.report.run_report import write_report
from wovr_lab.report.terminal import print_report
from wovr_lab.report_schema import load_report
from wovr_lab.training import FitConfig
from wovr_lab.world.pretraining import PretrainingConfig, pretrain
from wovr_lab.world.training import WorldTrainingConfig

app = Commands(no_args_is_help=True, add_completion=False, help="WoVR: train policies in imagination, on a laptop.")
BAD_INPUT, REFUSED = 2, 3
BACKBONE = PretrainingConfig()
UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.ENOTDIR}

World = Annotated[
    str | None, typer.Option("--world", help="what imagines: pixels, the tabletop's, or latent, the paper's geometry")
]
Force = Annotated[bool, typer.Option("--force", help="start RL in imagination although the gate did not pass")]


def main() -> None:
    """Entry point: turns a UserError, or a disk that cannot be written, into one message and exit code 2."""
    try:
        app()
    except UserError as error:
        _stop(str(error))
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        _stop(f"{error}; free some space or choose another folder, then go on with wovr-lab resume")


def _stop(message: str) -> NoReturn:
    console.print(message, style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(BAD_INPUT)


def _loop(config: RunConfig, folder: Path, force: bool, until: str | None = None) -> None:
    report = run_loop(config, folder, force, until)
    if report is None:
        return
    _show(folder)
    if "wovr" not in report["success"]:
        raise typer.Exit(REFUSED)


def _show(folder: Path) -> None:
    read_config(folder)
    draw_comparisons(folder)
    html = write_report(folder)
    print_report(load_report(folder), console, html)


def _loop_command(until: str | None) -> Callable[..., None]:
    """The whole loop, or its beginning up to and including a stage."""

    def command(
        folder: Folder = Path("runs/demo"), scale: Scale = "demo", seed: Seed = 0, force: Force = False,
        env: Environment = TABLETOP, world: World = None, file: SettingsFile = None, changes: Changes = None,
        show_config: ShowConfig = False,
    ) -> None:  # fmt: skip
        config = configured(config_for(env, scale, seed, world), file, changes)
        if show_config:
            return print(shown(config))
        if until is None and not folder.exists():
            console.print(_expected(config))
        _loop(config, folder, force, until)

    what = "Run the whole loop, or go on where it stopped"
    command.__doc__ = f"Run the loop up to and including {until}; what is done already is skipped." if until else what
    return command


def _expected(config: RunConfig) -> str:
    seconds, gigabytes = estimate(config)
    return f"about {sum(seconds.values()) / 60:.0f} minutes and {gigabytes:.1f} GB of memory on this machine"


app.command("run")(_loop_command(None))


@app.command()
def resume(folder: Annotated[Path, typer.Argument(help="run folder")], force: Force = False) -> None:
    """Go on with a run that was stopped."""
    _loop(load_config(folder), folder, force)


app.add_typer(study, name="study")
app.add_typer(serve, name="serve")
for other in (convert, evaluate, demonstrations, online, sft_control, pretrain_pixels, results, export, tables):
    app.command()(other)
for stage_name in STAGE_NAMES[:-1]:  # `evaluate` judges any policy
    app.command(stage_name.replace("_", "-"), rich_help_panel="Stages")(_loop_command(stage_name))


@app.command()
def report(folder: Annotated[Path, typer.Argument(help="run folder")] = Path("runs/demo")) -> None:
    """Draw the report of a finished run again."""
    _show(folder)


@app.command()
def measure(
    folder: Annotated[Path, typer.Argument(help="run folder")] = Path("runs/demo"),
    rollouts: Annotated[int, typer.Option(min=1, help="of each policy in each world model")] = ROLLOUTS,
    table: Annotated[Path | None, typer.Option(help="publish it there, e.g. data/results/hallucination.json")] = None,
) -> None:
    """Measure what the world models of a run hallucinate, into RUN/measure.json and its report."""
    if table is not None:
        table = claim_file(table, json_with("schema", "rows", command="wovr-lab measure"))
    found = measure_run(folder, rollouts)
    if table is not None:
        write_hallucination_table(found, table, folder)
    for row in found["confusion"]:
        if row["task"] == row["start"] == "all":
            console.print(hallucination_sentence(row), markup=False, highlight=False, soft_wrap=True)
    if (folder / REPORT).exists():
        console.print(f"Look at {write_report(folder)}", markup=False, highlight=False, soft_wrap=True)


@app.command("gate-history")
def gate_history_command(
    folders: Annotated[list[Path], typer.Argument(help="run folders")],
    out: Annotated[Path, typer.Option(help="page to write; the rows go beside it as JSON")] = Path("runs/gates.html"),
) -> None:
    """Does passing the gate predict real gains? Relate both over several runs."""
    out = claim_file(out, file_with(OUR_PAGE))
    claim_file(out.with_suffix(".json"), json_with("schema", "rows"))
    shown = write_gate_history(out, gate_history(folders))
    for row in shown.rows:
        told = (f"{column} {cell}" for column, cell in zip(shown.columns, row, strict=True))
        console.print(", ".join(told), markup=False, highlight=False, soft_wrap=True)
    console.print(f"Look at {out}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def train_probe(
    out: Annotated[Path, typer.Option(help="where the probe goes")] = Path("data/probe"), seed: Seed = 0,
    episodes: Annotated[int, typer.Option(min=3, help="real episodes of play and of noisy experts")] = 1800,
    steps: Annotated[int, typer.Option(min=1, help="training steps")] = 3000,
    resolution: Annotated[int, typer.Option(min=8, help="pixels a side of the frames that it reads")] = 32,
) -> None:  # fmt: skip
    """Train the state probe that measures imagined frames (minutes)."""
    found = make_probe(
        out, ProbeTrainingConfig(episodes=episodes, resolution=resolution, fit=FitConfig(steps, 2e-3)), seed
    )
    for name, error in found["held_out"].items():
        console.print(f"{name:8} median {error['median_cm']:.2f} cm, 90th percentile {error['p90_cm']:.2f} cm")


@app.command("pretrain")
def pretrain_command(
    out: Annotated[Path, typer.Option(help="where the backbone goes, or is and is trained on")] = Path("data/backbone"),
    folder: Folder = Path("runs/pretrain"), env: Environment = TABLETOP, seed: Seed = 0,
    episodes: Annotated[int, typer.Option(min=1, help="episodes of task-agnostic play")] = BACKBONE.episodes,
    codec_steps: Annotated[int, typer.Option(min=1, help="training steps of the codec")] = BACKBONE.codec.fit.steps,
    steps: Annotated[int, typer.Option(min=1, help="training steps of the transformer")] = BACKBONE.world.fit.steps,
    learning_rate: Annotated[float, typer.Option(help="of the transformer")] = BACKBONE.world.fit.learning_rate,
    muon: Annotated[bool, typer.Option("--muon", help="Muon instead of AdamW for the transformer's blocks")] = False,
    from_scratch: Annotated[bool, typer.Option("--from-scratch", help="ignore the weights that are there")] = False,
) -> None:  # fmt: skip
    """Pretrain codec and world model on play (hours), for demo runs of that environment; a second call goes on from the
    saved weights."""
    sizes = config_for(env, "demo", world=LATENT)
    codec, world = BACKBONE.codec, BACKBONE.world
    codec = replace(codec, fit=replace(codec.fit, steps=codec_steps))
    own = "blocks" if muon else ""
    world = replace(world, fit=replace(world.fit, steps=steps, learning_rate=learning_rate, muon=own))
    config = PretrainingConfig(episodes, sizes.world.size.latent_channels, codec, world)
    pretrain(sizes.real, out, folder, config, seed, from_scratch)


@app.command("ablate")
def ablate_command(
    folder: Annotated[Path, typer.Argument(help="run folder with base rollouts and policies")] = Path("runs/demo"),
    out: Annotated[Path, typer.Option(help="where variants and their qualities are kept")] = Path("runs/ablate"),
    steps: Annotated[int, typer.Option(min=1, help="fine-tuning steps of each variant")] = 100,
    rollouts: Annotated[int, typer.Option(min=2, help="held-out rollouts of play, and of each policy")] = 50,
    seeds: Annotated[int, typer.Option(min=1, help="how many, from 0 on")] = 3,
    weights: Annotated[str | None, typer.Option(help="folder or hub repository of LPIPS, FID, FVD networks")] = None,
    table: Annotated[Path, typer.Option(help="where the table goes")] = Path("data/results/video.json"),
    picture: Annotated[Path, typer.Option(help="where the picture goes")] = Path("docs/video.png"),
) -> None:  # fmt: skip
    """The paper's Table 4: take the world model's mechanisms away one at a time, and judge deep rollouts."""
    table = claim_file(table, json_with("schema", "rows", command="wovr-lab ablate"))
    picture = claim_file(picture, file_with(OUR_PICTURE))
    networks = PaperFeatures(weights) if weights else ShippedFeatures()
    fit = FitConfig(steps, 3e-4, min(20, steps), ema_decay=0.98)
    ablation = AblationConfig(WorldTrainingConfig(fit), tuple(range(seeds)), rollouts)
    config = load_config(folder)
    ablate(folder, config, out, ablation, networks)
    command = f"wovr-lab ablate {folder} --steps {steps} --rollouts {rollouts} --seeds {seeds}"
    command += f" --weights {weights}" if weights else ""
    write_video_table(out, table, config, ablation, command, networks)
    draw_ablations(out, picture, ablation.seeds[0], ablation.horizons)


@app.command()
def inspect(
    folder: Annotated[Path | None, typer.Argument(help="run folder; runs/demo, else data/demo, if not given")] = None,
    port: Annotated[int | None, typer.Option(help="the first free one from 7860, if not given")] = None,
    host: Annotated[str, typer.Option(help="others than 127.0.0.1 need a password: WOVR_LAB_PASSWORD")] = "127.0.0.1",
    root_path: Annotated[str, typer.Option(help="path or whole address at which a proxy serves it, as /lab/")] = "/",
) -> None:
    """Open the hallucination inspector on the models of a run."""
    require_extra("inspector", "gradio")
    check_proxies()
    from wovr_lab.inspector.app import launch  # loads what makes pages, which no other command needs

    launch(folder, port, host, root_path=root_path)


@app.command()
def doctor() -> None:
    """Say what works here, what is missing and how to get it."""
    broken = False
    for finding in findings():
        style = "green" if finding.works else ("red" if finding.needed else "yellow")
        console.print(
            f"{'ok' if finding.works else 'missing':8} {finding.name}: {finding.text}", style=style, markup=False
        )
        broken |= finding.needed and not finding.works
    if broken:
        raise typer.Exit(BAD_INPUT)
