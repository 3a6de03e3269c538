"""Commands that publish finished runs: tables in data/results and in the README, a small copy to ship."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wovr_lab.cli.real import console
from wovr_lab.pace.settings import read_config
from wovr_lab.publish.export import export_run
from wovr_lab.publish.libero_results import collect_libero_results
from wovr_lab.publish.results import collect_results, render_tables
from wovr_lab.real.names import is_libero


def results(
    name: Annotated[str, typer.Argument(help="setting, e.g. online_grpo_6000")],
    folders: Annotated[list[Path], typer.Argument(help="run folders, one a seed")],
    add: Annotated[bool, typer.Option("--add", help="to the seeds that the table has already")] = False,
) -> None:  # fmt: skip
    """Pool finished runs of several seeds into data/results: tabletop.json at the demo scale, else tabletop_SCALE.json;
    libero.json if they ran there."""
    first = read_config(folders[0])
    if is_libero(first.get("tasks", ())):
        collect_libero_results(Path("data/results/libero.json"), name, folders, add)
    else:
        scale = "" if first.get("scale") == "demo" else f"_{first.get('scale')}"
        collect_results(Path(f"data/results/tabletop{scale}.json"), name, folders, add)
    tables()


def export(
    folder: Annotated[Path, typer.Argument(help="finished run folder")],
    out: Annotated[Path, typer.Option(help="where the small copy goes")] = Path("data/demo"),
) -> None:
    """Make a small copy of a finished run: its models, its numbers, a few episodes."""
    console.print(f"{out}: {export_run(folder, out) / 1e6:.1f} MB")


def tables() -> None:
    """Render the tables of data/results into the README."""
    render_tables(Path("README.md"), Path("data/results"))
