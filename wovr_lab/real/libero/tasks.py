"""LIBERO's suites and tasks by name: Spatial, Object, Goal, Long (10), 90, and the perturbed variants that are shipped.

In: names as people write them ("object", "libero_object", "long", "object/TASK"). Out: `LiberoTask`s: words, files, the
official limit of steps (paper section 6) and the 50 official initial states, split once into 25 for training and 25 for
evaluation.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from wovr_lab.errors import UserError
from wovr_lab.real.libero.package import PackageTask, load_initial_states, package_path, task_maps

STANDARD = ("libero_spatial", "libero_object", "libero_goal", "libero_10", "libero_90")
LIMITS = {"libero_spatial": 220, "libero_object": 280, "libero_goal": 300, "libero_10": 520, "libero_90": 400}
OTHER_LIMIT = 520  # of suites outside the five, for which there is no official one
TRAINING_STATES = tuple(range(0, 50, 2))  # indices of official initial states that training may see
EVALUATION_STATES = tuple(range(1, 50, 2))
OTHER_WORDS = ("_lan", "_task")  # variants that ask for something else than their file names say


@dataclass(frozen=True)
class LiberoTask:
    """One task of one suite."""

    suite: str  # e.g. libero_object
    short: str  # the file's name, e.g. pick_up_the_milk_and_place_it_in_the_basket
    instruction: str
    bddl: Path  # scene and goal
    states: Path  # official initial states
    max_steps: int

    @property
    def name(self) -> str:
        """SUITE/TASK, unique over all suites."""
        return f"{self.suite}/{self.short}"

    def initial_states(self) -> np.ndarray:
        """float64 [50, 1 + nq + nv]: the simulator's time, positions and velocities."""
        return np.asarray(load_initial_states(self.states), np.float64)


@cache
def suites() -> tuple[str, ...]:
    """Every suite whose files are shipped, the five standard ones first."""
    whole = [name for name, listed in task_maps.items() if any(_is_shipped(_task(name, each)) for each in listed)]
    return (*STANDARD, *sorted(set(whole) - set(STANDARD)))


@cache
def tasks_of(suite: str) -> tuple[LiberoTask, ...]:
    """The tasks of a suite in the official order. Raises UserError naming the nearest suites if there is none."""
    name = _suite_name(suite)
    if name not in task_maps:
        raise UserError(f"unknown LIBERO suite {suite!r}; {_nearest(name, suites())}")
    found = tuple(_task(name, each) for each in task_maps[name])
    missing = [task.short for task in found if not _is_shipped(task)]
    if missing:
        raise UserError(
            f"the LIBERO package lists {name} but ships no scene or initial states for {len(missing)} of its tasks "
            f"({missing[0]}); choose another suite: {', '.join(suites())}"
        )
    return found


def find_tasks(name: str) -> tuple[LiberoTask, ...]:
    """The tasks that "SUITE" or "SUITE/TASK" names, or several of these with commas between them.

    Raises UserError naming the nearest ones if there are none.
    """
    found = tuple(task for part in str(name).split(",") for task in _tasks_named(part))
    twice = [task.name for number, task in enumerate(found) if task in found[:number]]
    if twice:
        raise UserError(f"{name!r} names {twice[0]} twice; name each task once")
    return found


def _tasks_named(name: str) -> tuple[LiberoTask, ...]:
    suite, _, short = name.partition("/")
    found = tasks_of(suite)
    if not short:
        return found
    for task in found:
        if task.short == short:
            return (task,)
    raise UserError(f"unknown task {short!r} of {found[0].suite}; {_nearest(short, [task.short for task in found])}")


def find_task(name: str) -> LiberoTask:
    """The one task that "SUITE/TASK" names. Raises UserError if there is none, or if a whole suite is named."""
    found = find_tasks(name)
    if len(found) > 1:
        raise UserError(f"{name!r} is a suite; add one of its tasks: {', '.join(task.short for task in found)}")
    return found[0]


def _suite_name(name: str) -> str:
    plain = name.lower().removeprefix("libero_")
    plain = plain.replace("long", "10", 1) if plain.startswith("long") else plain
    return f"libero_{plain}"


def _task(suite: str, name: str) -> LiberoTask:
    entry: PackageTask = task_maps[suite][name]
    base = max((each for each in LIMITS if suite.startswith(each)), key=len, default="")
    bddl = package_path("bddl_files") / suite / entry.bddl_file
    return LiberoTask(
        suite=suite,
        short=name,
        instruction=_words_of(bddl) if suite.endswith(OTHER_WORDS) and bddl.is_file() else entry.language,
        bddl=bddl,
        states=package_path("init_states") / suite / f"{entry.init_states_file}.npz",
        max_steps=LIMITS.get(base, OTHER_LIMIT),
    )


def _words_of(bddl: Path) -> str:
    """The `(:language ...)` of a scene file. Standard tasks are asked for by their file names, as everywhere."""
    lines = [line.strip() for line in bddl.read_text(encoding="utf-8").splitlines()]
    words = next(line for line in lines if line.startswith("(:language"))
    return words.removeprefix("(:language").removesuffix(")").strip()


def _is_shipped(task: LiberoTask) -> bool:
    return task.bddl.is_file() and task.states.is_file()


def _nearest(name: str, known: list[str] | tuple[str, ...]) -> str:
    parts = [each for each in known if name and name in each][:3]
    close = parts or difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    return f"did you mean {' or '.join(close)}?" if close else f"choose one of: {', '.join(known)}"
