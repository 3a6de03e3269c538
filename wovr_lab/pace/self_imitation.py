"""What a policy imitates before a round of RL: its real successes, in the pictures of both worlds (not in the paper).

Rejection sampling on what is paid for anyway, with no hallucination in its actions. Where imagined pictures are
blurred, a policy that has only ever seen real ones acts worse in imagination than it does for real, and RL there mends
what was never wrong; shown the same successes as the world model sees them, it acts as well in both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from wovr_lab.imagined.environment import ImaginedEnv
from wovr_lab.measure.hallucination import replay_in_imagination
from wovr_lab.pace.data import own_successes
from wovr_lab.pace.stages import Run
from wovr_lab.policy.imitation import imitate
from wovr_lab.policy.vla import VLAPolicy
from wovr_lab.seeding import seed_of, stream
from wovr_lab.types import CHUNK, Episode


def filtered_bc(run: Run, number: int, policy: VLAPolicy, env: ImaginedEnv) -> VLAPolicy:
    """The policy that round `number` of RL begins with, or that a run ends with after its last round (a number more):
    where the run says so, it imitates what has really succeeded so far, and the same as `env` shows it."""
    config, chosen, name = run.config, run.config.rl.filtered_bc, f"imitation_{number}"
    if chosen is None:
        return policy
    real = own_successes(run, number)
    imagined = as_imagined(env, real, config.seed, name) if chosen.in_imagination else []
    episodes = balanced(real) + balanced(imagined)
    return imitate(policy, episodes, chosen.training, seed_of(config.seed, name), run.scratch, run.metrics, name)


def as_imagined(env: ImaginedEnv, episodes: Sequence[Episode], run_seed: int, name: str) -> list[Episode]:
    """Real successes in imagined pictures, with the same actions: each from its beginning and from a frame between
    there and its success. Where imagination does not see the success, its pictures do not fit the actions: left out."""
    found = []
    for part, begin in enumerate(([0] * len(episodes), _between(episodes, stream(run_seed, name, "between")))):
        outcomes, rollouts = replay_in_imagination(env, episodes, run_seed, f"{name}/{part}", begin)
        for row in np.flatnonzero(outcomes.imagined):
            found.append(_seen(episodes[row], begin[row], rollouts.video[row], int(rollouts.steps[row])))
    return found


def _between(episodes: Sequence[Episode], rng: np.random.Generator) -> list[int]:
    return [int(rng.integers(1, max(2, episode.first_success - CHUNK))) for episode in episodes]


def _seen(episode: Episode, begin: int, video: np.ndarray, steps: int) -> Episode:
    """An episode from frame `begin` on, in the pictures of `video`, as far as both go."""
    end = min(begin + steps, len(episode))
    labels = episode.expert_actions
    return replace(
        episode,
        frames=video[: end - begin + 1],
        actions=episode.actions[begin:end],
        success=episode.success[begin:end],
        states=None,
        expert_actions=None if labels is None else labels[begin:end],
    )


def balanced(episodes: Iterable[Episode]) -> list[Episode]:
    """Equally many of every task, those of rarer tasks repeated: what succeeds often would be all that is learnt."""
    by_task: dict[str, list[Episode]] = {}
    for episode in episodes:
        by_task.setdefault(episode.task, []).append(episode)
    most = max(map(len, by_task.values()), default=0)
    return [found[row % len(found)] for found in by_task.values() for row in range(most)]
