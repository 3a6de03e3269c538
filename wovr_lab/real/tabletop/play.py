"""Scripted play, task-agnostic, from which a world model learns what contact does before it sees any policy.

In: counts and seeds. Out: episodes of both scenes without labels: noisy expert attempts with early releases, grasps
that miss by a little, drops at the plate's edge, pushes of either cube in any direction that stop short of the zone or
in it, random walks. Failures are what a simulator must know: the paper trains its own on rollouts that mostly fail
(section 4). Scripts are generators: they look, yield one action, and go on after it has been executed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from wovr_lab.errors import UserError
from wovr_lab.real.env import TRAINING_SEEDS
from wovr_lab.real.record import Recorder, as_play
from wovr_lab.real.tabletop.env import TabletopEnv
from wovr_lab.real.tabletop.expert import CLOSE_GRIPPER, OPEN_GRIPPER, TRAVEL_HEIGHT, expert_action, towards
from wovr_lab.real.tabletop.scene import CUBE_HALF, TURN
from wovr_lab.real.tabletop.tasks import TASKS
from wovr_lab.seeding import seed_of, stream
from wovr_lab.types import ACTION_DIM, Episode

POLICY_GRID = 0.1  # a policy's actions lie on such a grid; most of play does too
Script = Iterator[np.ndarray]


def play_episodes(
    count: int, run_seed: int, first_seed: int, resolution: int = 32, steps: int = 40, held_out: bool = False
) -> Iterator[Episode]:
    """`count` episodes of `steps` actions, numbers `first_seed`, `first_seed` + 1, ...: any split gives the same ones.

    Their initial states have training seeds, or `held_out` ones, 10,000 and so on. `task` is "play" and success is
    never claimed. Raises UserError on a negative count or number.
    """
    if count < 0 or first_seed < 0 or steps < 1:
        raise UserError(f"cannot play {count} episodes of {steps} steps from number {first_seed}; use positive numbers")
    env = TabletopEnv(resolution=resolution, max_steps=steps)
    for number in range(first_seed, first_seed + count):
        seed = TRAINING_SEEDS + number if held_out else seed_of(run_seed, "play start", number) % TRAINING_SEEDS
        yield _play(env, run_seed, number, steps, seed)


def _play(env: TabletopEnv, run_seed: int, number: int, steps: int, seed: int) -> Episode:
    generator = stream(run_seed, "play", number)
    env.task = list(TASKS)[int(generator.integers(len(TASKS)))]  # decides the scene, and what the expert attempts
    recorder = Recorder(env, seed)
    perturb = _perturbation(env, generator)
    for action in _scripts(env, generator):
        recorder.step(perturb(action))
        if env.steps == steps:
            break
    return as_play(recorder.episode())


def _scripts(env: TabletopEnv, generator: np.random.Generator) -> Script:
    """One attempt after the other, for ever."""
    is_push_scene = env.definition.scene == "push"
    while True:
        weights = [0.26, 0.20, 0.42, 0.12] if is_push_scene else [0.28, 0.44, 0.16, 0.12]
        script = (_attempt, _pick_and_place, _push, _wander)[generator.choice(4, p=weights)]
        yield from script(env, generator)


def _perturbation(env: TabletopEnv, generator: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    """What happens to every action of an episode: noise, a little yaw, idle roll and pitch, gripper slips, rounding."""
    noise = generator.choice([0.03, 0.1, 0.2, 0.4])
    yaw = generator.normal(0, 0.3) if generator.random() < 0.2 else 0.0
    idle = 0.15 if generator.random() < 0.2 else 0.0
    slip = 0.04 if generator.random() < 0.2 else 0.0
    on_grid = generator.random() < 0.7

    def perturb(action: np.ndarray) -> np.ndarray:
        action = action.astype(np.float64)
        action[:3] += generator.normal(0, noise, 3)
        action[3:6] += generator.normal(0, idle, 3)
        action[5] += (yaw - env.readout().target[3]) / TURN if yaw else 0.0
        action[6] *= -1 if generator.random() < slip else 1
        action = np.clip(action, -1, 1)
        return (np.round(action / POLICY_GRID) * POLICY_GRID if on_grid else action).astype(np.float32)

    return perturb


def travel(env: TabletopEnv, point: np.ndarray, gripper: float, tolerance: float = 0.012, patience: int = 16) -> Script:
    """Towards `point` until the hand's target is there, or patience ends."""
    for _ in range(patience):
        view = env.readout()
        if np.abs(point - view.target[:3]).max() < tolerance:
            return
        yield towards(view, point, gripper)


def wait(env: TabletopEnv, count: int, gripper: float) -> Script:
    for _ in range(count):
        yield towards(env.readout(), env.readout().target[:3], gripper)


def _attempt(env: TabletopEnv, generator: np.random.Generator) -> Script:
    """The expert at the episode's task, sometimes opening its gripper too early; it lingers a little after success."""
    slips_at = int(generator.integers(8, 24)) if generator.random() < 0.25 else -1
    patience, lingers = 32, int(generator.integers(2, 8))
    for count in range(patience):
        action = expert_action(env.readout(), env.definition)
        if 0 <= slips_at <= count < slips_at + 3:
            action[6] = OPEN_GRIPPER
        yield action
        lingers -= env.success
        if lingers < 0:
            return


def _pick_and_place(env: TabletopEnv, generator: np.random.Generator) -> Script:
    """A grasp near a cube, or anywhere, often off centre or too high; a drop near the goal, or anywhere."""
    view = env.readout()
    cubes = list(view.cubes.values())
    cube = cubes[generator.integers(len(cubes))][:2]
    kind = generator.choice(["near", "edge", "anywhere"], p=[0.57, 0.30, 0.13])
    grasp = cube + generator.normal(0, generator.choice([0.006, 0.015, 0.03]), 2)
    if kind == "edge":  # a finger comes down on the cube, or the fingers close on its corner
        off = generator.normal(0, 0.006, 2)
        off[int(generator.random() < 0.7)] = generator.choice([-1, 1]) * generator.uniform(0.015, 0.04)
        grasp = cube + off
    elif kind == "anywhere":
        grasp = generator.uniform([-0.10, -0.13], [0.10, 0.13])
    drop = view.goal + generator.normal(0, generator.choice([0.01, 0.035]), 2)
    if generator.random() < 0.25:
        drop = generator.uniform([-0.09, -0.13], [0.09, 0.13])
    depth = max(0.022, generator.choice([0.026, 0.026, 0.035, 0.05]) + generator.normal(0, 0.003))
    lift, release = generator.uniform(0.06, 0.10), generator.choice([0.034, 0.034, 0.05, 0.07])
    yield from travel(env, np.array([*grasp, TRAVEL_HEIGHT]), OPEN_GRIPPER)
    yield from travel(env, np.array([*grasp, depth]), OPEN_GRIPPER, 0.006)
    yield from wait(env, int(generator.integers(1, 4)), CLOSE_GRIPPER)
    yield from travel(env, np.array([*(0.7 * grasp + 0.3 * drop), lift]), CLOSE_GRIPPER)
    if generator.random() > 0.15:  # else it drops here
        yield from travel(env, np.array([*drop, lift]), CLOSE_GRIPPER)
        yield from travel(env, np.array([*drop, release]), CLOSE_GRIPPER, 0.008)
    yield from wait(env, int(generator.integers(1, 5)), OPEN_GRIPPER)
    hand = env.readout().hand
    yield from travel(env, np.array([*hand[:2], 0.11]), OPEN_GRIPPER, patience=int(generator.integers(3, 8)))


def _push(env: TabletopEnv, generator: np.random.Generator) -> Script:
    """Either cube, mostly towards the goal side, off centre by chance, ending around the zone's edge or earlier."""
    view = env.readout()
    cubes = list(view.cubes.values())
    cube = cubes[generator.integers(len(cubes))]
    angle = np.pi / 2 + generator.normal(0, 0.12) if generator.random() < 0.65 else generator.uniform(0, 2 * np.pi)
    forward = np.array([np.cos(angle), np.sin(angle)])
    gripper = CLOSE_GRIPPER if generator.random() < 0.75 else OPEN_GRIPPER
    reach = CUBE_HALF + (0.028 if gripper > 0 else 0.068) + generator.uniform(0.005, 0.02)
    sideways = np.array([-forward[1], forward[0]]) * generator.normal(0, generator.choice([0.005, 0.018]))
    height = generator.choice([0.028, 0.028, 0.045]) + generator.normal(0, 0.003)
    to_zone = max(0.0, view.goal[1] - cube[1]) + generator.uniform(-0.09, 0.03)
    length = to_zone if np.sin(angle) > 0.9 else generator.uniform(0.03, 0.12)
    behind = cube[:2] - forward * reach + sideways
    ahead = behind + forward * (length + 0.01)
    yield from travel(env, np.array([*env.readout().target[:2], TRAVEL_HEIGHT]), gripper, 0.02, patience=5)
    yield from travel(env, np.array([*behind, TRAVEL_HEIGHT]), gripper)
    yield from travel(env, np.array([*behind, height]), gripper, 0.008, patience=8)
    yield from travel(env, np.array([*ahead, height]), gripper, 0.008)
    yield from wait(env, int(generator.integers(0, 3)), gripper)
    away = env.readout().hand[:2] - forward * generator.choice([0.0, 0.03])
    yield from travel(env, np.array([*away, 0.11]), gripper, patience=int(generator.integers(2, 7)))


def _wander(env: TabletopEnv, generator: np.random.Generator) -> Script:
    """A smooth random walk drawn towards a cube at first, the gripper opening and closing now and then."""
    drift, gripper = np.zeros(3), generator.choice([OPEN_GRIPPER, CLOSE_GRIPPER])
    cubes = list(env.readout().cubes)
    colour = cubes[generator.integers(len(cubes))]
    for count in range(int(generator.integers(10, 30))):
        view = env.readout()
        drift = 0.8 * drift + generator.normal(0, 0.5, 3)
        action = np.zeros(ACTION_DIM)
        if count < 14:
            spot = np.array([*view.cubes[colour][:2], 0.03 + 0.1 * generator.random()])
            action += 0.5 * towards(view, spot, 0.0)
        action[:3] += drift
        gripper *= -1 if generator.random() < 0.15 else 1
        action[6] = gripper
        yield action
