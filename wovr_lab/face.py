"""What a first script needs, in a handful of functions; `import wovr_lab as wl` offers them.

In: a run folder. Out: imagined rollouts, a policy that has learnt from them, its success in the real simulator. Each is
a few lines over the parts below, which are there to be used directly once these are too little.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

from wovr_lab.contracts import Actor, ChunkEnv
from wovr_lab.grpo.trainer import GRPOConfig, GRPOTrainer
from wovr_lab.imagined.environment import ImaginedEnv
from wovr_lab.measure.evaluation import evaluate as evaluate_policy
from wovr_lab.pace.run_folder import RunFolder
from wovr_lab.policy.vla import VLAPolicy
from wovr_lab.real.domain import Domain
from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.rollout import roll_out
from wovr_lab.starts import InitialStarts
from wovr_lab.types import CHUNK, Interval, Rollouts, Start
from wovr_lab.world.protocol import ImaginingModel

ROWS = 64  # imagined or simulated at once


def load(path: Path | str) -> RunFolder:
    """Opens a run folder, or a shipped run by its name, such as demo. Raises UserError if it is none."""
    return RunFolder(path)


def imagine(
    world: ImaginingModel,
    policy: Actor,
    starts: Sequence[Start],
    reward: SuccessClassifier | None = None,
    steps: int = 48,
    temperature: float = 0.8,
    seed: int = 0,
) -> Rollouts:
    """One imagined rollout from each start, of at most `steps` actions: `video` uint8 [N, T + 1, H, W, 3], `actions`,
    and `success`, which the reward judges (without one nothing is a success). Raises UserError if sizes do not fit."""
    rows = min(ROWS, len(starts))
    env = ImaginedEnv(world, reward, rows, max_steps=steps - steps % -CHUNK)
    return roll_out(env, policy, starts, seed, "imagine", temperature, video=True)


def improve(
    policy: VLAPolicy,
    env: ChunkEnv,
    starts: Sequence[Start],
    updates: int = 1,
    config: GRPOConfig | None = None,
    seed: int = 0,
) -> VLAPolicy:
    """A copy of the policy after so many updates of masked GRPO in `env`, imagined or real; its groups are as large as
    the environment allows. Raises UserError if it has fewer rows than a group."""
    chosen = config or GRPOConfig()
    better = deepcopy(policy)
    groups = max(1, env.num_envs // chosen.group_size)
    trainer = GRPOTrainer(better, env, InitialStarts(tuple(starts)), replace(chosen, groups=groups), seed, "improve")
    trainer.train(updates)
    return better.eval()


def evaluate(policy: Actor, domain: Domain, seeds: Iterable[int], temperature: float = 0.0) -> Interval:
    """Real success over all tasks of a domain, one episode of each from the initial state of each seed, with its 95 %
    interval; greedy unless told. Seeds from 10,000 on were never used to train anything that is shipped."""
    chosen = list(seeds)
    starts = [start for task in domain.tasks for start in domain.starts(task, chosen)]
    return evaluate_policy(domain.make_env(min(ROWS, len(starts))), policy, starts, 0, temperature).overall
