"""Damaged and hostile files through every reader: one UserError or what the reader promises, soon, in little memory.

A mutant is made by its reader's name and its number alone: `made(NAME, NUMBER, CONTENT)` makes a failing one again.
"""

from __future__ import annotations

import json
import resource
import shutil
import signal
import traceback
from pathlib import Path
from typing import Any

import psutil
import pytest
from campaign import in_two_sizes
from lives import live
from mutations import mutant
from readers import READERS, Reader, add_files, equal

from wovr_lab.errors import UserError
from wovr_lab.seeding import stream

pytestmark = pytest.mark.timeout(3000)
SLOW, GIGABYTES = 10, 2  # seconds for a file that is read in less than one; what may be asked for beyond what is in use
GOOD = ("refused", "right")
LINES = ("jsonl", "toml")  # formats of lines: with fewer of them a file is whole


def made(name: str, number: int, content: bytes) -> tuple[str, bytes]:
    """(what was done, the mutant) of a reader's undamaged file."""
    return mutant(READERS[name].kind, content, stream(number, f"mutant of {name}"))


def read_mutants(name: str, folder: Path, numbers: range, results: Path) -> None:
    """Reads these mutants one after the other and writes a line about each, before and after."""
    reader = READERS[name]
    path = folder / reader.file
    content, whole = path.read_bytes(), reader.read(folder)
    room = psutil.Process().memory_info().vms + GIGABYTES * 2**30
    resource.setrlimit(resource.RLIMIT_AS, (room, resource.getrlimit(resource.RLIMIT_AS)[1]))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends a reader that hangs, wherever it does
    with results.open("a") as file:
        for number in numbers:
            done, changed = made(name, number, content)
            path.write_bytes(changed)
            _say(file, number, done, "died")
            signal.alarm(SLOW)
            outcome, told = outcome_of(reader, folder, whole, done)
            signal.alarm(0)
            _say(file, number, done, outcome, told)
            path.write_bytes(content)


def outcome_of(reader: Reader, folder: Path, whole: Any, done: str) -> tuple[str, str]:
    """ "refused" by a message that says something, "right", "wrong" or "traceback"; and what there is to say of it."""
    try:
        found = reader.read(folder)
        reader.check(found, whole)
        if done == "cut" and reader.kind not in LINES:
            assert equal(found, whole), "half of the file was taken for the whole"
    except UserError as error:
        return ("refused", str(error)[:300]) if len(str(error)) > 20 else ("wrong", "it says nothing")
    except AssertionError:
        return "wrong", traceback.format_exc()[-700:]
    except Exception:  # whatever else a reader lets out is a fault
        return "traceback", traceback.format_exc()[-1500:]
    return "right", ""


def _say(file: Any, number: int, done: str, outcome: str, told: str = "") -> None:
    file.write(json.dumps([number, done, outcome, told]) + "\n")
    file.flush()


@pytest.fixture(scope="module")
def whole_folder(smoke_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(shutil.copytree(smoke_run, tmp_path_factory.mktemp("readers") / "run"))
    add_files(folder)
    return folder


@pytest.mark.parametrize("name", READERS)
@in_two_sizes("count", 8, 400)
def test_no_damaged_file_is_more_than_one_message(name, count, whole_folder, tmp_path, record):
    folder, results = Path(shutil.copytree(whole_folder, tmp_path / "run")), tmp_path / "results"
    outcomes: dict[int, list[Any]] = {}
    while len(outcomes) < count:  # a mutant that ends the process is passed over by the next
        ending = live(
            read_mutants, name, folder, range(len(outcomes), count), results, log=tmp_path / "log", patience=2900
        )
        found = {number: rest for number, *rest in map(json.loads, results.read_text().splitlines())}
        assert len(found) > len(outcomes), ending.said[-3000:]
        outcomes = found
        shutil.copy(whole_folder / READERS[name].file, folder / READERS[name].file)
    faults = {number: rest for number, rest in outcomes.items() if rest[1] not in GOOD}
    told = "\n".join(
        f"{name}, mutant {number}: {done}: {what}: {text}" for number, (done, what, text) in faults.items()
    )
    assert not faults, f"{len(faults)} of {count}:\n{told[:8000]}"
    record("mutants", "refused with one message, or read as promised", [True] * count, name)
