"""Stages: each reads and writes named artefacts of a run folder, is skipped when its output is there and its inputs are
unchanged, and books the real episodes it used.

A stage's record (`stages/NAME.json`) is written last, in one piece: a run that was killed goes on with the stage it was
in, from what the stage has saved in `resume/NAME` for the same inputs, and nothing is booked twice.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from wovr_lab.errors import UserError
from wovr_lab.fields import NonNegative
from wovr_lab.machine import current_commit
from wovr_lab.outputs import MARKER, recover
from wovr_lab.pace.config import RunConfig, load_config
from wovr_lab.pace.layout import CONFIG, stage_record
from wovr_lab.pace.settings import differing, read_config, to_dict
from wovr_lab.runs import Metrics, read_json, read_object, write_json
from wovr_lab.types import Episode


@dataclass(frozen=True)
class Entry:
    """One line of the ledger."""

    stage: str
    kind: str  # demonstrations, real, pretraining, imagined, measurement
    episodes: int
    frames: int


class Ledger:
    """Who used how many episodes. Only `real` ones count against the budget; it refuses to overspend them."""

    def __init__(self, budget: int, entries: Sequence[Entry] = ()):
        self.budget, self.entries = budget, list(entries)

    def used(self, kind: str) -> tuple[int, int]:
        """(episodes, frames) of a kind."""
        chosen = [entry for entry in self.entries if entry.kind == kind]
        return sum(entry.episodes for entry in chosen), sum(entry.frames for entry in chosen)

    def reserve(self, stage: str, episodes: int) -> None:
        """Raises UserError if so many more real episodes would overspend the budget; call it before collecting."""
        spent = self.used("real")[0]
        if spent + episodes > self.budget:
            raise UserError(
                f"{stage} wants {episodes} real episodes, {spent} of {self.budget} are spent; "
                "collect fewer or give the run a larger budget"
            )

    def debit(self, stage: str, kind: str, episodes: int, frames: int) -> None:
        """Books episodes; real ones are checked against the budget."""
        if kind == "real":
            self.reserve(stage, episodes)
        self.entries.append(Entry(stage, kind, episodes, frames))


@dataclass
class Run:
    """A run folder in use: configuration, ledger, metrics."""

    folder: Path
    config: RunConfig
    force: bool
    ledger: Ledger
    metrics: Metrics
    lock: FileLock  # held as long as this object is there
    stage: str = ""
    seconds: dict[str, float] = field(default_factory=dict)  # by stage, in the order they ran
    commits: dict[str, str] = field(default_factory=dict)  # by stage: of the code that did its work

    @property
    def scratch(self) -> Path:
        """Where a stage keeps what it needs to go on after a kill; emptied when the stage is done."""
        path = self.folder / "resume" / self.stage
        path.mkdir(parents=True, exist_ok=True)
        return path

    def path(self, name: str) -> Path:
        """An artefact by its name relative to the run folder."""
        return self.folder / name

    def debit(self, kind: str, episodes: Sequence[Episode]) -> None:
        """Books episodes to the present stage."""
        self.ledger.debit(self.stage, kind, len(episodes), sum(len(episode) for episode in episodes))


@dataclass(frozen=True)
class Stage:
    """`work(run)` turns the artefacts `reads` into the artefacts `writes`."""

    name: str
    work: Callable[[Run], None]
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()


def open_run(folder: Path, config: RunConfig, force: bool = False) -> Run:
    """Makes or reopens a run folder.

    Raises UserError if it was made by another configuration, holds something else, or if another process works in it.
    """
    path = folder / CONFIG
    if path.exists():
        if names := differing(load_config(folder), config):
            raise UserError(
                f"{folder} was made with other settings ({', '.join(names)}); choose another folder, or delete this one"
            )
    elif (folder / "stages").is_dir():
        read_config(folder)  # says that it is lost
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is not empty and is not a run; choose another folder")
    else:
        write_json(path, to_dict(config))
    return enter_run(folder, config, force)


def enter_run(folder: Path, config: RunConfig, force: bool = False) -> Run:
    """A run folder whose configuration need not be checked, since nothing is trained in it. Raises UserError if another
    process works in it."""
    lock = _locked(folder)
    recover(folder)
    return Run(folder, config, force, Ledger(config.data.budget * len(config.tasks)), Metrics(folder), lock)


def _locked(folder: Path) -> FileLock:
    """The system takes the lock back from a process that ends, however it ends."""
    lock = FileLock(folder / "lock", thread_local=False, is_singleton=True)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UserError(f"another process is at work in {folder}; wait until it is done or end it") from error
    return lock


def run_stages(run: Run, stages: Sequence[Stage], say: Callable[[str], None] = print) -> None:
    """Runs what is not done yet, in order. Raises UserError if an artefact that a stage reads is missing."""
    for stage in stages:
        inputs = {name: digest(run.path(name)) for name in stage.reads}
        record = _record(run, stage, inputs)
        if record:
            run.ledger.entries += _entries(_record_path(run, stage), record["ledger"])
            run.seconds[stage.name] = record["seconds"]
            run.commits[stage.name] = record.get("commit", "unknown")  # records did not always name it
            say(f"{stage.name}: done before, {record['seconds']:.0f} s")
        else:
            say(f"{stage.name} ...")
            _work(run, stage, inputs)
            say(f"{stage.name}: {run.seconds[stage.name]:.0f} s")


def _record(run: Run, stage: Stage, inputs: dict[str, str]) -> dict[str, Any] | None:
    """What was written down when the stage was done with these inputs; None if it has to be done."""
    path = _record_path(run, stage)
    if not path.exists() or not all(run.path(name).exists() for name in stage.writes):
        return None
    record = read_object(path, inputs=dict, ledger=list, seconds=NonNegative)
    return record if record["inputs"] == inputs else None


def _entries(path: Path, found: list[Any]) -> list[Entry]:
    """What a stage booked. Raises UserError if that was damaged: then nobody knows what was spent."""
    kinds = {"stage": str, "kind": str, "episodes": int, "frames": int}
    for entry in found:
        if not isinstance(entry, dict) or {name: type(value) for name, value in entry.items()} != kinds:
            raise UserError(f"{path} books {str(entry)[:80]}, which is no entry; delete it to do the stage again")
    return [Entry(**entry) for entry in found]


def _work(run: Run, stage: Stage, inputs: dict[str, str]) -> None:
    run.stage, booked, begin = stage.name, len(run.ledger.entries), time.monotonic()
    run.commits[stage.name] = current_commit()
    _keep_scratch_of(run, inputs)
    stage.work(run)
    entries = [asdict(entry) for entry in run.ledger.entries[booked:]]
    seconds = run.seconds[stage.name] = time.monotonic() - begin
    record = {"stage": stage.name, "commit": run.commits[stage.name], "inputs": inputs, "seconds": seconds}
    write_json(_record_path(run, stage), record | {"ledger": entries})
    shutil.rmtree(run.scratch)


def _keep_scratch_of(run: Run, inputs: dict[str, str]) -> None:
    """Empties the present stage's scratch folder unless it was begun with the same inputs."""
    path = run.scratch / "inputs.json"
    if not path.exists() or read_json(path) != inputs:
        shutil.rmtree(run.scratch)
        write_json(path, inputs)


def _record_path(run: Run, stage: Stage) -> Path:
    return run.path(stage_record(stage.name))


def digest(path: Path) -> str:
    """A hash of a file, or of all files in a folder with their names (its marker aside). Raises UserError if there is
    neither."""
    if not path.exists():
        raise UserError(f"{path} is missing; delete the run folder's stages/ record of the stage that makes it")
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    total = hashlib.blake2b(digest_size=16)
    for file in (file for file in files if file.name != MARKER):
        total.update(str(file.relative_to(path.parent)).encode() + b"\0" + file.read_bytes())
    return total.hexdigest()
