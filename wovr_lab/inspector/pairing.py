"""A run's policy in one of its world models, and its actions in the real world, for notebooks (paper section 1).

In: the models of a run, starts. Out: `PairedRollouts` with both films. `wovr-lab measure` does so for a whole run.
"""

from __future__ import annotations

from collections.abc import Sequence

from wovr_lab.imagined.environment import ImaginedEnv
from wovr_lab.inspector.models import Models
from wovr_lab.measure.paired import PairedRollouts, pair_rollouts
from wovr_lab.measure.probes import load_probe
from wovr_lab.real.chunks import start_of_seed, tabletop_chunks
from wovr_lab.real.tabletop import TabletopEnv
from wovr_lab.rollout import roll_out
from wovr_lab.types import Rollouts, Start

FIRST_SEED = 9000  # of those that training never draws from and that no published evaluation uses
STEPS = 48  # the shipped run's limit of actions
TEMPERATURE = 1.2  # what GRPO samples with


def unseen_starts(models: Models, count: int, first_seed: int = FIRST_SEED) -> list[Start]:
    """`count` initial states that nothing of the run has learnt from, tasks in turn."""
    env, tasks = TabletopEnv(resolution=models.resolution), models.tasks
    return [start_of_seed(env, tasks[row % len(tasks)], first_seed + row) for row in range(count)]


def pair(
    models: Models, policy: str, checkpoint: str, starts: Sequence[Start], run_seed: int
) -> tuple[PairedRollouts, Rollouts, Rollouts]:
    """The policy acts in imagination (`checkpoint` "base" or "evolved"), then the simulator repeats its actions: pairs,
    imagined and real rollouts. Raises UserError if the run lacks one of them."""
    actor, rows, size = models.policy(policy), len(starts), models.resolution
    world, reward = models.world(models.switches(checkpoint)), models.reward(checkpoint)
    imagined = ImaginedEnv(world, reward, rows, STEPS, STEPS)
    real = tabletop_chunks(rows, size, STEPS, STEPS)
    own = tabletop_chunks(rows, size, STEPS, every_frame=False)
    alone = roll_out(own, actor, starts, run_seed, "paired", TEMPERATURE).succeeded
    return pair_rollouts(imagined, real, actor, starts, alone, load_probe(), run_seed, "paired", TEMPERATURE)
