"""Rollouts of equal actions in both worlds, read by the probe and held against the rules about objects.

In: both worlds, a policy, starts. Out: `PairedRollouts` and both sets of rollouts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wovr_lab.contracts import Actor, ChunkEnv
from wovr_lab.imagined.environment import ImaginedEnv
from wovr_lab.measure.hallucination import decibels
from wovr_lab.measure.paired import PairedRollouts, state_error_cm
from wovr_lab.measure.tabletop.objects import violations
from wovr_lab.measure.tabletop.probes import StateProbe, read_states
from wovr_lab.rollout import replay, roll_out
from wovr_lab.types import Rollouts, Start


def pair_rollouts(
    imagined_env: ImaginedEnv, real_env: ChunkEnv, actor: Actor, starts: Sequence[Start], alone: np.ndarray,
    probe: StateProbe, run_seed: int, name: str, temperature: float,
) -> tuple[PairedRollouts, Rollouts, Rollouts]:  # fmt: skip
    """The policy acts in imagination, then the simulator repeats its actions; both environments must hold after success
    to their end. `alone` is `PairedRollouts.alone`, which does not depend on the world model."""
    imagined = roll_out(imagined_env, actor, starts, run_seed, name, temperature, video=True, progress=True)
    real = replay(real_env, starts, imagined.actions, run_seed, f"{name}/real", video=True)
    tasks = [start.task for start in starts]
    found, seen = probe.read(imagined.video), probe.read(real.video)
    error = (imagined.video[:, 1:].astype(np.float32) - real.video[:, 1:]) ** 2
    return PairedRollouts(
        tasks=tuple(tasks),
        imagined_success=imagined.success,
        real_success=real.success,
        alone=alone,
        probability=imagined_env.reward.probability(imagined.video[:, 1:], imagined.instructions),
        psnr=decibels(error.mean((2, 3, 4))).astype(np.float32),
        found=found,
        seen=seen,
        truth=read_states(real.states),
        imagined_violations=violations(imagined.video, found, tasks),
        real_violations=violations(real.video, seen, tasks),
        state_error=state_error_cm(imagined_env.robot, imagined.proprio, real.proprio),
    ), imagined, real  # fmt: skip
