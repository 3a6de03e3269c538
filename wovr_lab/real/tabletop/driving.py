"""Play that looks like a policy at work, since that is what a world model will be asked about.

In: counts and seeds. Out: episodes of both scenes without labels, beside those of `play`. An expert's attempts pushed
off by noise that a whole chunk shares, or drawn for each token; hands that press onto a cube's edge and stay there;
cubes that are held, carried about and let go of anywhere; axes driven as by a key that somebody holds down. A learning
policy is blocked by what it presses on and keeps hold of what it grasped far more often than scripts that reach their
points do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from wovr_lab.errors import UserError
from wovr_lab.real.env import TRAINING_SEEDS
from wovr_lab.real.record import Recorder, as_play
from wovr_lab.real.tabletop.env import TabletopEnv
from wovr_lab.real.tabletop.expert import CLOSE_GRIPPER, OPEN_GRIPPER, TRAVEL_HEIGHT, expert_action
from wovr_lab.real.tabletop.play import POLICY_GRID, Script, travel, wait
from wovr_lab.real.tabletop.scene import CUBE_HALF
from wovr_lab.real.tabletop.tasks import TASKS
from wovr_lab.seeding import seed_of, stream
from wovr_lab.types import ACTION_DIM, CHUNK, Episode

Perturbation = Callable[[np.ndarray], np.ndarray]


def driven_episodes(
    count: int, run_seed: int, first_index: int = 0, resolution: int = 32, steps: int = 48
) -> Iterator[Episode]:  # fmt: skip
    """`count` episodes of `steps` actions, numbers `first`, `first` + 1, ...: any split gives the same ones.

    Their initial states have training seeds. `task` is "play" and success is never claimed. Raises UserError on a
    negative count or number.
    """
    if count < 0 or first_index < 0 or steps < 1:
        raise UserError(
            f"cannot drive {count} episodes of {steps} steps from number {first_index}; use positive numbers"
        )
    env = TabletopEnv(resolution=resolution, max_steps=steps)
    for number in range(first_index, first_index + count):
        yield _drive(env, run_seed, number, steps)


def _drive(env: TabletopEnv, run_seed: int, number: int, steps: int) -> Episode:
    generator = stream(run_seed, "driving", number)
    env.task = list(TASKS)[int(generator.integers(len(TASKS)))]
    recorder = Recorder(env, seed_of(run_seed, "driving start", number) % TRAINING_SEEDS)
    perturb = _chunk_noise(generator) if generator.random() < 0.6 else _token_noise(generator)
    for action in _scripts(env, generator):
        recorder.step(_on_grid(perturb(action)))
        if env.steps == steps:
            break
    return as_play(recorder.episode())


def _scripts(env: TabletopEnv, generator: np.random.Generator) -> Script:
    """One script after the other, for ever; most episodes are attempts at the task, like a policy's."""
    weights = [0.30, 0.45, 0.15, 0.10]
    while True:
        yield from (_attempt, _press, _hold, _keys)[generator.choice(4, p=weights)](env, generator)


def _on_grid(action: np.ndarray) -> np.ndarray:
    """The nearest of a policy's actions, float32 [7]."""
    return (np.round(np.clip(action, -1, 1) / POLICY_GRID) * POLICY_GRID).astype(np.float32)


def _chunk_noise(generator: np.random.Generator) -> Perturbation:
    """One draw an action dimension for a whole chunk, as a policy's whose tokens share their noise."""
    spread, flips, turns = generator.choice([0.1, 0.25, 0.4, 0.6]), generator.choice([0.0, 0.03, 0.1]), 0.1
    count, offset, is_flipped = 0, np.zeros(ACTION_DIM), False

    def perturb(action: np.ndarray) -> np.ndarray:
        nonlocal count, offset, is_flipped
        if count % CHUNK == 0:
            offset = np.concatenate([generator.normal(0, spread, 3), generator.normal(0, turns, 3), [0.0]])
            is_flipped = generator.random() < flips
        count += 1
        action = action + offset
        action[6] *= -1 if is_flipped else 1
        return action

    return perturb


def _token_noise(generator: np.random.Generator) -> Perturbation:
    """Every number drawn for itself, now and then far from what was meant."""
    spread, stray, flips = generator.choice([0.1, 0.2, 0.4]), generator.choice([0.0, 0.05, 0.1]), 0.03

    def perturb(action: np.ndarray) -> np.ndarray:
        action = action + np.concatenate([generator.normal(0, spread, 3), generator.normal(0, 0.1, 3), [0.0]])
        strays = generator.random(3) < stray
        action[:3][strays] = generator.uniform(-1, 1, 3)[strays]
        action[6] *= -1 if generator.random() < flips else 1
        return action

    return perturb


def _attempt(env: TabletopEnv, generator: np.random.Generator) -> Script:
    """The expert at the episode's task, off its aim by a little all the time, to the end or not."""
    bias = np.zeros(ACTION_DIM)
    bias[:3] = generator.normal(0, generator.choice([0.0, 0.1, 0.25]), 3)
    for _ in range(int(generator.integers(12, 48))):
        yield expert_action(env.readout(), env.definition) + bias


def _press(env: TabletopEnv, generator: np.random.Generator) -> Script:
    """Down onto a cube, mostly on its edge, and on downwards while it blocks the hand; then sideways or up."""
    view = env.readout()
    cube = list(view.cubes.values())[generator.integers(2)][:2]
    off = np.array([generator.normal(0, 0.008), generator.choice([-1, 1]) * generator.uniform(0.0, CUBE_HALF + 0.02)])
    gripper = CLOSE_GRIPPER if generator.random() < 0.6 else OPEN_GRIPPER
    yield from travel(env, np.array([*(cube + off), TRAVEL_HEIGHT]), gripper)
    drift, down = generator.normal(0, 0.1, 2), -generator.uniform(0.6, 1.0)
    for _ in range(int(generator.integers(8, 28))):
        yield np.array([drift[0], drift[1], down, 0, 0, 0, gripper])
    leave = generator.normal(0, 0.6, 2)
    for _ in range(int(generator.integers(2, 8))):
        yield np.array([*leave, generator.choice([0.0, 0.8]), 0, 0, 0, gripper])


def _hold(env: TabletopEnv, generator: np.random.Generator) -> Script:
    """Grasps a cube near its middle, carries it about or stands still with it, and opens somewhere, or not at all."""
    view = env.readout()
    cube = list(view.cubes.values())[generator.integers(2)][:2]
    grasp = cube + generator.normal(0, generator.choice([0.004, 0.012]), 2)
    yield from travel(env, np.array([*grasp, TRAVEL_HEIGHT]), OPEN_GRIPPER)
    yield from travel(env, np.array([*grasp, generator.uniform(0.022, 0.04)]), OPEN_GRIPPER, 0.006)
    yield from wait(env, int(generator.integers(1, 4)), CLOSE_GRIPPER)
    for _ in range(int(generator.integers(1, 4))):
        point = generator.uniform([-0.10, -0.14, 0.03], [0.10, 0.14, 0.12])
        yield from travel(env, point, CLOSE_GRIPPER, 0.02, patience=12)
        yield from wait(env, int(generator.integers(0, 6)), CLOSE_GRIPPER)
    yield from wait(env, int(generator.integers(0, 5)), OPEN_GRIPPER)


def _keys(env: TabletopEnv, generator: np.random.Generator) -> Script:
    """One or two axes at a time, each as long as somebody would hold a key down; the gripper changes now and then."""
    gripper = generator.choice([OPEN_GRIPPER, CLOSE_GRIPPER])
    for _ in range(int(generator.integers(3, 7))):
        action = np.zeros(ACTION_DIM)
        for axis in generator.choice(4, int(generator.integers(1, 3)), replace=False):
            action[(0, 1, 2, 5)[axis]] = generator.choice([-1, -0.5, 0.5, 1])
        gripper *= -1 if generator.random() < 0.3 else 1
        action[6] = gripper
        for _ in range(int(generator.integers(2, 11))):
            yield action
