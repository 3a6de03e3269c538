"""Real environments in other processes: the same results as in this one, whoever dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from wovr_lab.checks import check_chunk_env
from wovr_lab.errors import UserError
from wovr_lab.real.process_pool import PooledChunkEnv, Workers
from wovr_lab.real.tabletop.chunk_env import initial_start, make_tabletop_env
from wovr_lab.real.tabletop.env import TabletopEnv

STARTS = [initial_start(task, seed) for seed, task in enumerate(("push_red", "green_on_plate", "push_blue"))]
make_tabletop = partial(TabletopEnv, resolution=32, max_steps=24)


class MortalTabletop(TabletopEnv):
    """Its process is killed in its fifth action, once if a file can be left behind as a sign of it."""

    def __init__(self, sign: Path):
        super().__init__(resolution=32, max_steps=24)
        self.sign = sign

    def apply_action(self, action: np.ndarray) -> None:
        if self.steps == 4 and not self.sign.exists():
            if self.sign.parent.exists():
                self.sign.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        super().apply_action(action)


def chunks_of(env) -> list[dict[str, np.ndarray]]:
    """What three random chunks lead to."""
    env.reset(seed=0, options={"starts": STARTS})
    rng = np.random.default_rng(1)
    infos = [env.step(rng.uniform(-1, 1, (3, 8, 7)).astype(np.float32))[4] for _ in range(3)]
    env.close()
    return infos


def state_after(env: TabletopEnv, seed: int, steps: int) -> np.ndarray:
    """Where some moves upwards lead to."""
    env.reset(seed=seed)
    for _ in range(steps):
        env.apply_action(np.eye(7, dtype=np.float32)[2])
    return env.get_state()


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    workers = Workers(make_tabletop, processes=2)
    yield workers
    workers.close()


def test_it_keeps_the_contract(workers):
    check_chunk_env(lambda: PooledChunkEnv(workers, 3), STARTS)


def test_results_are_those_of_environments_in_this_process_and_of_processes_that_died(workers, tmp_path: Path):
    expected = chunks_of(make_tabletop_env(3, max_steps=24))
    pooled = chunks_of(PooledChunkEnv(workers, 3))
    dying = Workers(partial(MortalTabletop, tmp_path / "died"), processes=2)
    mortal = chunks_of(PooledChunkEnv(dying, 3))
    dying.close()
    assert (tmp_path / "died").exists()
    for other in (pooled, mortal):
        for one, two in zip(expected, other, strict=True):
            assert one.keys() == two.keys() and all(np.array_equal(one[name], two[name]) for name in one)


def test_what_they_make_one_after_the_other_is_in_order_and_survives_a_death(tmp_path: Path):
    wanted = [(seed, 5 + seed % 3) for seed in range(11)]  # more than are made ahead
    dying = Workers(partial(MortalTabletop, tmp_path / "died"), processes=2)
    made = list(dying.each(state_after, wanted))
    dying.close()
    env = make_tabletop()
    assert (tmp_path / "died").exists()
    assert np.array_equal(made, [state_after(env, *each) for each in wanted])


def test_processes_that_keep_dying_are_given_up_with_advice(tmp_path: Path):
    workers = Workers(partial(MortalTabletop, tmp_path / "nowhere" / "sign"), processes=1)
    env = PooledChunkEnv(workers, 1)
    env.reset(options={"starts": STARTS[:1]})
    with pytest.raises(UserError, match="enough memory"):
        env.step(np.zeros((1, 8, 7), np.float32))
    workers.close()


def test_processes_end_when_what_started_them_is_killed():
    code = (
        "import os, signal; from wovr_lab.real.process_pool import Workers\n"
        "from wovr_lab.real.tabletop.env import TabletopEnv\n"
        "workers = Workers(TabletopEnv, 1); print(workers.call([(os.getpid, ())])[0], flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    worker, end = int(killed.stdout), time.monotonic() + 20
    while Path(f"/proc/{worker}").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not Path(f"/proc/{worker}").exists()


def test_starts_and_films_are_made_by_the_processes_too(workers):
    starts = workers.starts_of("push_red", [0, 5])
    again = initial_start("push_red", 5)
    assert (starts[1].anchor == again.anchor).all() and (starts[1].state == again.state).all()
    actions = np.random.default_rng(0).uniform(-1, 1, (16, 7)).astype(np.float32)
    films = PooledChunkEnv(workers, 2).films(starts, [actions, actions[:8]])
    assert [film.shape for film in films] == [(17, 256, 256, 3), (9, 256, 256, 3)]
