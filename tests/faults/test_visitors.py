"""Four visitors do anything to the inspector, upload hostile files, close their tabs; it tells each what is wrong."""

from __future__ import annotations

import json

import pytest
from campaign import in_two_sizes
from lives import live

pytestmark = pytest.mark.timeout(3000)
VISITORS, SEED = 4, 0
MOST_GROWN = 50  # megabytes, from when four visitors were there before to when four more have gone


def visit(*arguments: object) -> None:
    from visitors import visit  # loads what makes pages, in the process of its own alone

    visit(*arguments)


@in_two_sizes("actions", 8, 2000)
def test_whatever_visitors_do_the_inspector_answers_and_gives_their_memory_back(actions, smoke_run, tmp_path, record):
    results = tmp_path / "results"
    ending = live(visit, smoke_run, tmp_path, VISITORS, actions, SEED, results, log=tmp_path / "log", patience=2900)
    assert ending.code == 0, ending.said[-3000:]
    found = json.loads(results.read_text())
    assert not found["faults"], f"{len(found['faults'])} with seed {SEED}:\n" + "\n".join(found["faults"])[:8000]
    assert found["grown"] < MOST_GROWN, f"{found['grown']:.0f} MB stayed in use"
    record("inspector", "actions answered", [True] * VISITORS * actions)
    record("inspector", f"rounds after which less than {MOST_GROWN} MB stayed in use", [True])
