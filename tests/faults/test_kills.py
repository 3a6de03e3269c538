"""Killed at random moments and resumed, a run ends as the one that nothing happened to: real processes and signals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from campaign import differences, in_two_sizes, leftovers
from lives import Moment, command, live

from wovr_lab.seeding import stream

pytestmark = [pytest.mark.smoke, pytest.mark.timeout(1200)]
MOST_CHANGES, MOST_SECONDS = 90, 6.0  # of files, of computing: how long a life may be
SEED = 0


def moment_of(rng: np.random.Generator) -> Moment:
    """Kills while files change are the dangerous ones: every second one."""
    if rng.random() < 0.5:
        return Moment(count=int(rng.integers(1, MOST_CHANGES)))
    return Moment(seconds=float(rng.uniform(0.05, MOST_SECONDS)))


def go_on(folder: Path, log: Path, moment: Moment | None = None):
    """A life of the run in `folder`: resumed, or begun where it died before it had a configuration."""
    known = (folder / "config.json").exists()
    arguments = ("resume", str(folder)) if known else ("run", "--scale", "smoke", "--run", str(folder))
    return live(command, *arguments, log=log, moment=moment)


@in_two_sizes("kills", 4, 20)
def test_a_run_that_is_killed_and_resumed_ends_as_one_that_was_not(kills, smoke_run, tmp_path, record):
    rng, moments, runs = stream(SEED, "kills"), [], 0
    while len(moments) < kills:
        folder, moment = tmp_path / f"run-{runs}", moment_of(rng)
        ending = go_on(folder, tmp_path / "log", moment)
        if ending.was_killed:
            moments.append(moment)
        else:
            check(ending, folder, smoke_run, moments)
            runs += 1
    check(go_on(folder, tmp_path / "log"), folder, smoke_run, moments)
    record("kills", "ended equal to the bit", [True] * kills)


def check(ending, folder: Path, smoke_run: Path, moments: list[Moment]) -> None:
    """The run is done, whole, and the same as the one that nothing happened to."""
    assert ending.code == 0, f"after {moments} (seed {SEED}): {ending.said[-3000:]}"
    assert (differences(folder, smoke_run), leftovers(folder)) == ([], []), f"after {moments} (seed {SEED})"
