"""One run that everything happens to: the disk fills up, it is killed in three stages, and it is resumed to its end.

Real processes, real signals. The result is compared with the run that nothing happened to.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from wovr_lab.pace.loop import STAGE_NAMES
from wovr_lab.pace.stages import digest
from wovr_lab.runs import read_json

pytestmark = [pytest.mark.smoke, pytest.mark.timeout(600)]
KILLED_IN = ("sft", "train_world", "improve_1")
PATIENCE = 240  # seconds that a stage may take to begin on a busy machine
DISK = 400_000  # bytes a file may have on the full disk: demonstrations fit, a training checkpoint does not


def command(*arguments: str | Path) -> list[str]:
    """The command line in a process of its own."""
    return [sys.executable, "-c", "from wovr_lab.cli import main; main()", *map(str, arguments)]


def environment() -> dict[str, str]:
    """With as many threads as this process has, on which the last bits depend."""
    return {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}


def full_disk() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (DISK, hard))


def has_training_state(folder: Path) -> bool:
    """Asked while another process writes there; os.walk, unlike rglob, forgives a folder that is gone by then."""
    return any(name.endswith(".training.safetensors") for _, _, names in os.walk(folder) for name in names)


def kill_in(stage: str, folder: Path) -> bool:
    """Runs until `stage` has saved something to go on from, then kills it; whether it was still in that stage."""
    process = subprocess.Popen(
        command("run", "--scale", "smoke", "--run", folder),
        env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        end = time.monotonic() + PATIENCE
        while not has_training_state(folder / "resume" / stage):
            if process.poll() is not None or time.monotonic() > end:
                return False
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        return not (folder / "stages" / f"{stage}.json").exists()
    finally:
        process.kill()
        process.wait()


@dataclass(frozen=True)
class Battered:
    """What happened to the run."""

    folder: Path
    full: subprocess.CompletedProcess[str]
    left_by_full: dict[str, str]  # digest by artefact after the disk was full
    killed: dict[str, bool]
    resumed: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def battered(tmp_path_factory: pytest.TempPathFactory) -> Battered:
    folder = tmp_path_factory.mktemp("battered") / "run"
    arguments = {"env": environment(), "capture_output": True, "text": True, "timeout": PATIENCE}
    full = subprocess.run(command("sft", "--scale", "smoke", "--run", folder), preexec_fn=full_disk, **arguments)
    left = {str(path.relative_to(folder)): digest(path) for path in folder.rglob("*") if path.is_file()}
    killed = {stage: kill_in(stage, folder) for stage in KILLED_IN}
    return Battered(folder, full, left, killed, subprocess.run(command("resume", folder), **arguments))


def lasting(report: dict[str, Any]) -> dict[str, Any]:
    """A report without what depends on the machine and the moment."""
    kept = {key: value for key, value in report.items() if key != "machine"}
    kept["stages"] = [stage["name"] for stage in report["stages"]]
    kept["world"] = {key: value for key, value in report["world"].items() if key != "frames_per_second"}
    return kept


def test_a_full_disk_is_one_message_and_exit_code_2_and_damages_nothing(battered):
    assert battered.full.returncode == 2, battered.full.stderr
    errors = [line for line in battered.full.stdout.splitlines() if "cannot write" in line]
    assert len(errors) == 1 and "free some space" in errors[0]
    assert "Traceback" not in battered.full.stdout + battered.full.stderr
    assert "stages/demonstrate.json" in battered.left_by_full
    assert "stages/sft.json" not in battered.left_by_full
    assert not [name for name in battered.left_by_full if name.endswith(".partial")]
    demonstrations = "episodes/demonstrations.hdf5"
    assert battered.left_by_full[demonstrations] == digest(battered.folder / demonstrations)


def test_the_run_was_really_killed_within_three_stages_and_then_resumed(battered):
    assert battered.killed == {stage: True for stage in KILLED_IN}
    assert battered.resumed.returncode == 0, battered.resumed.stdout + battered.resumed.stderr
    redone = [line.removesuffix(" ...") for line in battered.resumed.stdout.splitlines() if line.endswith(" ...")]
    assert redone == list(STAGE_NAMES[STAGE_NAMES.index("improve_1") :])


def test_a_run_that_was_killed_in_three_stages_reports_the_same_as_one_that_was_not(battered, smoke_run):
    assert lasting(read_json(battered.folder / "report.json")) == lasting(read_json(smoke_run / "report.json"))


def test_its_checkpoints_and_episodes_are_the_same_to_the_last_bit(battered, smoke_run):
    for name in ("checkpoints", "episodes", "comparison"):
        paths = sorted(path.relative_to(smoke_run) for path in (smoke_run / name).rglob("*") if path.is_file())
        assert len(paths) > 5
        different = [str(path) for path in paths if digest(smoke_run / path) != digest(battered.folder / path)]
        assert different == []


def test_no_logged_step_is_missing_or_there_twice(battered, smoke_run):
    def rows(folder: Path) -> list[dict[str, Any]]:
        found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        return sorted(found, key=lambda row: (row["phase"], row["step"]))

    assert rows(battered.folder) == rows(smoke_run)


def test_no_half_written_file_is_left_behind(battered):
    assert not list(battered.folder.rglob("*.partial"))
    assert not list((battered.folder / "resume").iterdir())
