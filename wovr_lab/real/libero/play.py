"""Scripted play in LIBERO's scenes, from which a world model learns what contact does before it sees any policy.

In: an environment, a number, a seed. Out: an episode without labels, in which stretches of the expert's attempts take
turns with smooth random walks: grasps, carries, drops, misses, pushes by chance. Half of the attempts move like a
policy that draws its tokens: rounded to its bins, with a wrist that twitches and a gripper that flickers. Some aim
beside the thing or its place, let go where they should not, or let the wrist lean, as policies do after a failure.

Every second episode begins with a blind attempt: planned for another initial state, it goes on as if it held the thing
whether it does or not. Who acts with open eyes shows by how he goes on whether he succeeded; a world model that saw
nothing else takes actions for evidence, and makes a policy's confidence come true.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

import numpy as np

from wovr_lab.real.libero.env import LiberoEnv
from wovr_lab.real.libero.expert import Expert
from wovr_lab.real.record import Recorder
from wovr_lab.real.single import TRAINING_SEEDS
from wovr_lab.seeding import seed_of, stream
from wovr_lab.types import ACTION_DIM, Episode

ATTEMPT, WALK = (20, 90), (5, 20)  # actions in a stretch, from and to
HELD = 6  # actions of a plan after its success, in which the hand withdraws
IN_A_ROW = 20  # episodes of one task, since an environment keeps three simulators and builds the others anew
SLIP = 0.1  # share of attempts in which the gripper opens where it should not
BESIDE, OFF = 0.3, 0.02  # share of attempts that aim beside, and how far: standard deviation in metres
TENTHS = 10.0  # of an action are what a policy's 21 bins tell apart
TWITCH = 0.03  # standard deviation of the wrist's noise; one in ten is then rounded to a tenth
LOOSE, LEAN = 0.4, (0.03, 0.1)  # share of stretches with a wrist that is not kept upright; its roll's, pitch's noise
BLIND_NOISE = (0.0, 0.05, 0.1)  # standard deviation of a blind attempt's noise, which adds up: up to about 3 cm
FLICKER = (0.0, 0.05, 0.15)  # how often an action's gripper is turned over


def play_episode(env: LiberoEnv, number: int, run_seed: int, steps: int) -> Episode:
    """`steps` actions in the scene of one of `env`'s tasks. Raises UserError if that has no expert."""
    generator = stream(run_seed, "play", number)
    task = env.tasks[number // IN_A_ROW % len(env.tasks)]
    first, other = (seed_of(run_seed, purpose, number) % TRAINING_SEEDS for purpose in ("play start", "play plan"))
    blind = _blind(_plan(env, task, other, steps), generator) if number % 2 else ()
    recorder = Recorder(env, first, task)
    actions = chain(blind, _actions(Expert(env.simulator), generator))
    for _ in range(steps):
        recorder.step(next(actions))
    return replace(recorder.episode(), task="play", instruction="play", success=np.zeros(steps, bool))


def _plan(env: LiberoEnv, task: str, seed: int, steps: int) -> list[np.ndarray]:
    """The expert's actions from an initial state until it succeeds, and a few more; at most `steps`."""
    env.place(task, seed, None)
    expert, plan, held = Expert(env.simulator), [], 0
    while len(plan) < steps and held < HELD:
        plan.append(expert.act())
        env.advance(plan[-1])
        held += env.success
    return plan


def _blind(plan: list[np.ndarray], generator: np.random.Generator) -> Iterator[np.ndarray]:
    """The plan with noise, smooth or like a policy's."""
    noise, flicker, like_policy = generator.choice(BLIND_NOISE), generator.choice(FLICKER), generator.random() < 0.5
    for planned in plan:
        action = planned.astype(np.float64)
        action[:3] += generator.normal(0.0, noise, 3)
        action = _as_tokens(action, flicker, generator) if like_policy else action
        yield np.clip(action, -1.0, 1.0).astype(np.float32)


def _as_tokens(action: np.ndarray, flicker: float, generator: np.random.Generator) -> np.ndarray:
    """The action as a policy would draw it: the wrist twitches, all is rounded, the gripper may be turned over."""
    action[3:6] += generator.normal(0.0, TWITCH, 3)
    action = np.round(action * TENTHS) / TENTHS
    action[6] *= -1.0 if generator.random() < flicker else 1.0
    return action


def _actions(expert: Expert, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """One stretch after the other, for ever; float32 [7] in [-1, 1]."""
    while True:
        yield from _attempt(expert, generator)
        drift, gripper, lean = np.zeros(3), generator.choice([-1.0, 1.0]), _lean(generator)
        for _ in range(generator.integers(*WALK)):
            drift = 0.8 * drift + generator.normal(0.0, 0.4, 3)
            action = np.zeros(ACTION_DIM)
            action[:3], action[3:5], action[6] = drift, generator.normal(0.0, lean), gripper
            yield np.clip(action, -1.0, 1.0).astype(np.float32)


def _attempt(expert: Expert, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """The expert at its task for a while, well or badly."""
    noise, flicker = generator.choice([0.05, 0.2, 0.4]), generator.choice(FLICKER)
    slips, like_policy, beside = generator.random(3) < (SLIP, 0.5, BESIDE)
    lean = _lean(generator)
    expert.aside = np.array([*generator.normal(0.0, OFF, 2), 0.0]) * beside
    for _ in range(generator.integers(*ATTEMPT)):
        action = expert.act().astype(np.float64)
        action[:3] += generator.normal(0.0, noise, 3)
        action[3:5] = generator.normal(0.0, lean) if lean.any() else action[3:5]
        action[6] = -1.0 if slips else action[6]
        action = _as_tokens(action, flicker, generator) if like_policy else action
        yield np.clip(action, -1.0, 1.0).astype(np.float32)


def _lean(generator: np.random.Generator) -> np.ndarray:
    """Standard deviations of roll and pitch in a stretch, float64 [2]; none where the wrist is kept upright."""
    return np.array(LEAN) * (generator.random() < LOOSE)
