"""A run's policy in one of its world models, and its actions in the real world, for notebooks (paper section 1).

In: the models of a run, starts. Out: outcomes, or whole `PairedRollouts`. `wovr-lab measure` does so for a whole run.
"""

from __future__ import annotations

from collections.abc import Sequence

from wovr_lab.imagined.environment import ImaginedEnv
from wovr_lab.inspector.models import RunModels
from wovr_lab.measure.hallucination import PairedOutcomes, replay_in_simulator
from wovr_lab.measure.paired import PairedRollouts
from wovr_lab.measure.tabletop.pairing import pair_rollouts
from wovr_lab.measure.tabletop.probes import load_probe
from wovr_lab.pace.config import load_config
from wovr_lab.real.chunk_env import start_of_seed
from wovr_lab.real.tabletop.chunk_env import make_tabletop_env
from wovr_lab.real.tabletop.env import TabletopEnv
from wovr_lab.rollout import roll_out
from wovr_lab.types import Rollouts, Start

FIRST_SEED = 9000  # of those that training never draws from and that no published evaluation uses


def unseen_starts(models: RunModels, count: int, first_seed: int = FIRST_SEED) -> list[Start]:
    """`count` initial states that nothing of the run has learnt from, tasks in turn."""
    env, tasks = TabletopEnv(resolution=models.resolution), models.tasks
    return [start_of_seed(env, tasks[row % len(tasks)], first_seed + row) for row in range(count)]


def outcomes_in(
    models: RunModels, policy: str, checkpoint: str, starts: Sequence[Start], run_seed: int
) -> PairedOutcomes:  # fmt: skip
    """The policy acts in imagination (`checkpoint`: one of theirs) until it believes in success, as in training,
    then the simulator repeats its actions. Raises UserError if the run lacks one of them."""
    world, reward = models.world(models.switches(checkpoint)), models.reward(checkpoint)
    steps, temperature = _limit_and_temperature(models)
    imagined = roll_out(
        ImaginedEnv(world, reward, len(starts), steps), models.policy(policy), starts, run_seed, "paired", temperature,
        progress=True,
    )  # fmt: skip
    real = make_tabletop_env(len(starts), models.resolution, steps)
    return replay_in_simulator(real, imagined, run_seed, "paired/real")[0]


def pair(
    models: RunModels, policy: str, checkpoint: str, starts: Sequence[Start], run_seed: int
) -> tuple[PairedRollouts, Rollouts, Rollouts]:
    """The policy acts in imagination and the simulator repeats its actions, all rollouts to their full length whatever
    happens: pairs, imagined and real rollouts."""
    actor, rows, size = models.policy(policy), len(starts), models.resolution
    world, reward = models.world(models.switches(checkpoint)), models.reward(checkpoint)
    steps, temperature = _limit_and_temperature(models)
    imagined = ImaginedEnv(world, reward, rows, steps, steps)
    real = make_tabletop_env(rows, size, steps, steps)
    own = make_tabletop_env(rows, size, steps, every_frame=False)
    alone = roll_out(own, actor, starts, run_seed, "paired", temperature).succeeded
    return pair_rollouts(imagined, real, actor, starts, alone, load_probe(), run_seed, "paired", temperature)


def _limit_and_temperature(models: RunModels) -> tuple[int, float]:
    """How many actions the run allows, and what its GRPO samples with."""
    config = load_config(models.run)
    return config.max_steps, config.rl.temperature
