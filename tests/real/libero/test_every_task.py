"""Tasks of all suites build, reset and move: one of each suite here, every single one by `make test-libero`."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.libero
STANDARD = ("libero_spatial", "libero_object", "libero_goal", "libero_10", "libero_90")
VARIANTS = [f"{suite}_{kind}" for suite in STANDARD[:4] for kind in ("swap", "object", "lan", "task")]


def check_task(name: str) -> None:
    """A training and an evaluation state differ, show something, and an action moves the hand."""
    from wovr_lab.real.libero.env import LiberoEnv

    env = LiberoEnv(name, 32)
    frames = [env.reset(seed=seed)[0]["frame"] for seed in (1, 10_001)]
    assert frames[0].std() > 10 and not np.array_equal(*frames), name
    hand = env.simulator.hand().copy()
    for _ in range(4):
        env.step(np.array([0, 0, 1, 0, 0, 0, -1], np.float32))
    assert env.simulator.hand()[2] > hand[2] + 0.01, name
    env.close()


@pytest.mark.parametrize("suite", STANDARD)
def test_a_task_of_each_suite_builds_resets_and_moves(suite: str):
    from wovr_lab.real.libero.tasks import tasks_of

    check_task(tasks_of(suite)[-1].name)


@pytest.mark.every_task
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("suite", [*STANDARD, *VARIANTS])
def test_every_task_of_a_suite_builds_resets_and_moves(suite: str):
    from wovr_lab.real.libero.tasks import tasks_of

    for task in tasks_of(suite):
        check_task(task.name)
