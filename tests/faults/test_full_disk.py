"""A disk that fills up is one message and exit code 2, damages nothing, and the run goes on when there is space."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from campaign import differences, in_two_sizes, leftovers
from lives import Ending, command, live, with_file_limit

from wovr_lab.pace.stages import digest
from wovr_lab.seeding import stream

pytestmark = [pytest.mark.smoke, pytest.mark.timeout(1200)]
ENOUGH = "size=256m"
LIMIT = 400_000  # bytes a file may have: demonstrations fit, a training checkpoint does not
SEED = 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def resize(disk: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{size}", disk], check=True)


def check_refusal(ending: Ending) -> None:
    errors = [line for line in ending.said.splitlines() if "No space left" in line or "cannot write" in line]
    assert ending.code == 2 and "Traceback" not in ending.said, ending.said[-3000:]
    assert len(errors) == 1 and "free some space" in errors[0], ending.said[-3000:]


@in_two_sizes("places", 3, 10)
def test_a_run_whose_disk_fills_up_again_and_again_ends_as_one_with_space(places, disk, smoke_run, tmp_path, record):
    """Each time it gets some more space, at random, and goes on."""
    rng, kilobytes, full, folder = stream(SEED, "disk"), 64, 0, disk / "run"
    stop = "run" if places > 3 else "sft"
    while full < places:
        ending = live(command, stop, "--scale", "smoke", "--run", str(folder), log=tmp_path / "log")
        if ending.code == 0:
            break
        check_refusal(ending)
        assert not list(disk.rglob("*.partial"))
        full += 1
        kilobytes += int(rng.integers(16, 2600 if places > 3 else 400))
        resize(disk, f"size={kilobytes}k")
    resize(disk, ENOUGH)
    ending = live(command, stop, "--scale", "smoke", "--run", str(folder), log=tmp_path / "log")
    assert ending.code == 0, ending.said[-3000:]
    assert full == places, f"the disk was full {full} times only"
    if stop == "run":
        assert (differences(folder, smoke_run), leftovers(folder)) == ([], [])
    else:
        assert digest(folder / "checkpoints/base") == digest(smoke_run / "checkpoints/base")
    record("full_disk", "refused, and went on equal to the bit", [True] * places)


def test_a_file_that_cannot_grow_is_one_message_and_nothing_is_damaged(tmp_path):
    folder = tmp_path / "run"
    ending = live(with_file_limit, LIMIT, "sft", "--scale", "smoke", "--run", str(folder), log=tmp_path / "log")
    errors = [line for line in ending.said.splitlines() if "cannot write" in line]
    assert ending.code == 2 and "Traceback" not in ending.said, ending.said[-3000:]
    assert len(errors) == 1 and "free some space" in errors[0]
    assert (folder / "stages/demonstrate.json").exists() and not (folder / "stages/sft.json").exists()
    assert (folder / "episodes/demonstrations.hdf5").exists() and not list(folder.rglob("*.partial"))
