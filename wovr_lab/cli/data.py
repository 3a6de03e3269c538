"""Commands on episodes: from one format into another. Registered by `cli`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wovr_lab.cli.real import console
from wovr_lab.episodes import conversion
from wovr_lab.episodes.lerobot.schema import SetCard
from wovr_lab.episodes.store import EpisodeStore
from wovr_lab.real.tabletop.proprioception import tabletop_robot
from wovr_lab.real.tabletop.scene import actions_a_second
from wovr_lab.real.tabletop.tasks import TASKS


def convert(
    source: Annotated[Path, typer.Argument(help="HDF5 file, folder of such files, or LeRobot data set")],
    dest: Annotated[Path, typer.Argument(help="folder of the new set, or the new HDF5 file")],
    to: Annotated[str | None, typer.Option(help="lerobot or libero; the other one than SOURCE, if not given")] = None,
    camera: Annotated[str | None, typer.Option(help="of a LeRobot set with several; the first, if not given")] = None,
    fps: Annotated[int | None, typer.Option(min=1, help="actions a second; 25 on the tabletop, else 20")] = None,
    robot: Annotated[str | None, typer.Option(help="what the set calls the robot")] = None,
) -> None:
    """Convert episodes between LIBERO's HDF5 and LeRobot data sets (version 3), either way."""
    target = conversion.target_of(source, to)
    conversion.claim_target(dest, target, source)
    store = conversion.open_source(source, camera)
    count = conversion.convert(store, dest, target, _card(store, fps, robot))
    console.print(f"{dest}: {count} episodes", markup=False, highlight=False, soft_wrap=True)


def _card(store: EpisodeStore, fps: int | None, robot: str | None) -> SetCard:
    """What is known of the tabletop; of other robots no more than what was said."""
    if not {summary.task for summary in store.summaries} <= TASKS.keys():
        return SetCard(fps or SetCard.fps, robot or SetCard.robot_type)
    return SetCard(fps or actions_a_second(), robot or "wovr_tabletop", tabletop_robot().names)
