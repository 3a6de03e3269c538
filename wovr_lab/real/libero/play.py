"""Scripted play in LIBERO's scenes, from which a world model learns what contact does before it sees any policy.

In: an environment, a number, a seed. Out: an episode without labels, in which stretches of the expert's attempts take
turns with smooth random walks: grasps, carries, drops, misses, pushes by chance. Half of the attempts move like a
policy that draws its tokens: rounded to its bins, with a wrist that twitches and a gripper that flickers; some aim
beside the thing or its place, or let go where they should not.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from wovr_lab.real.env import TRAINING_SEEDS
from wovr_lab.real.libero.env import LiberoEnv
from wovr_lab.real.libero.expert import Expert
from wovr_lab.real.record import Recorder, as_play
from wovr_lab.seeding import seed_of, stream
from wovr_lab.types import ACTION_DIM, Episode

ATTEMPT, WALK = (20, 90), (5, 20)  # actions in a stretch, from and to
IN_A_ROW = 20  # episodes of one task, since an environment keeps three simulators and builds the others anew
SLIP = 0.1  # share of attempts in which the gripper opens where it should not
BESIDE, OFF = 0.3, 0.02  # share of attempts that aim beside, and how far: standard deviation in metres
TENTHS = 10.0  # of an action are what a policy's 21 bins tell apart
TWITCH = 0.03  # standard deviation of the wrist's noise; one in ten is then rounded to a tenth
FLICKER = (0.0, 0.05, 0.15)  # how often an action's gripper is turned over


def play_episode(env: LiberoEnv, number: int, run_seed: int, steps: int) -> Episode:
    """`steps` actions in the scene of one of `env`'s tasks. Raises UserError if that has no expert."""
    generator = stream(run_seed, "play", number)
    task = env.tasks[number // IN_A_ROW % len(env.tasks)]
    recorder = Recorder(env, seed_of(run_seed, "play start", number) % TRAINING_SEEDS, task)
    actions = _actions(Expert(env.simulator), generator)
    for _ in range(steps):
        recorder.step(next(actions))
    return as_play(recorder.episode())


def _actions(expert: Expert, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """One stretch after the other, for ever; float32 [7] in [-1, 1]."""
    while True:
        yield from _attempt(expert, generator)
        drift, gripper = np.zeros(3), generator.choice([-1.0, 1.0])
        for _ in range(generator.integers(*WALK)):
            drift = 0.8 * drift + generator.normal(0.0, 0.4, 3)
            action = np.zeros(ACTION_DIM)
            action[:3], action[6] = drift, gripper
            yield np.clip(action, -1.0, 1.0).astype(np.float32)


def _attempt(expert: Expert, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """The expert at its task for a while, well or badly."""
    noise, flicker = generator.choice([0.05, 0.2, 0.4]), generator.choice(FLICKER)
    slips, like_policy, beside = generator.random(3) < (SLIP, 0.5, BESIDE)
    expert.aim_offset = np.array([*generator.normal(0.0, OFF, 2), 0.0]) * beside
    for _ in range(generator.integers(*ATTEMPT)):
        action = expert.act().astype(np.float64)
        action[:3] += generator.normal(0.0, noise, 3)
        action[6] = -1.0 if slips else action[6]
        if like_policy:
            action[3:6] += generator.normal(0.0, TWITCH, 3)
            action = np.round(action * TENTHS) / TENTHS
            action[6] *= -1.0 if generator.random() < flicker else 1.0
        yield np.clip(action, -1.0, 1.0).astype(np.float32)
