"""The loop's real data: demonstrations, examples of outcomes, rollouts of the base, the gate's, of the improved policy.

Training seeds only, below 10,000; each purpose has its own range, so that what is held out was never seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path

import numpy as np
from tqdm import tqdm

from wovr_lab.contracts import Actor
from wovr_lab.episodes import EpisodeStore, write_episodes
from wovr_lab.errors import UserError
from wovr_lab.imagined.environment import ImaginedEnv
from wovr_lab.measure.hallucination import replay_in_simulator
from wovr_lab.pace.config import GATE_NOISES, RunConfig
from wovr_lab.pace.layout import (
    BASE,
    BASE_ROLLOUTS,
    DEMONSTRATIONS,
    EXAMPLES,
    GATE,
    GATE_GROUPS,
    HALF,
    IMAGINED_ACTIONS,
    NEAR_MISSES,
)
from wovr_lab.pace.rounds import Round, Simulator, reward_sources, success_sources, world_sources
from wovr_lab.pace.stages import Run
from wovr_lab.policy.checkpoints import load_policy
from wovr_lab.policy.exploration import ExploringActor
from wovr_lab.real.chunk_env import RealChunkEnv
from wovr_lab.real.env import TRAINING_SEEDS
from wovr_lab.rollout import roll_out
from wovr_lab.seeding import stream
from wovr_lab.types import Episode, Start
from wovr_lab.world.protocol import load_world_model

SEEDS = {  # first training seed and size of the range that a purpose draws from
    "demonstrations": (0, 1000),
    "rollouts": (1000, 2000),
    "gate": (3000, 1000),
    "fresh": (4000, 2000),
    "examples": (6000, 1000),
    "monitor": (7000, 1000),
    "check": (8000, 1000),
    "confusion": (9000, 1000),
}
ENVIRONMENTS = 32  # rows in a real environment
EXAMPLE_NOISE = 0.4  # of the expert's examples
EXAMPLE_AHEAD = 3  # every second one is broken off at most so many actions before its success


def seeds(config: RunConfig, purpose: str, count: int, skip: int = 0) -> list[int]:
    """`count` seeds of a purpose after the first `skip`; which ones depends on the run's seed, so that training seeds
    differ in data too."""
    first, size = SEEDS[purpose]
    return sorted((first + stream(config.seed, "seeds", purpose).permutation(size)[skip : skip + count]).tolist())


def starts(config: RunConfig, task_seeds: Iterable[int]) -> list[Start]:
    """The initial states of these seeds, for every task."""
    chosen = list(task_seeds)
    return [start for task in config.tasks for start in config.real.starts(task, chosen)]


def evaluation_starts(config: RunConfig) -> list[Start]:
    """The held-out initial states, for every task."""
    return starts(config, range(TRAINING_SEEDS, TRAINING_SEEDS + config.evaluation.starts))


def real_env(config: RunConfig, rows: int, hold: int = 0, every_frame: bool = False) -> RealChunkEnv:
    """The run's real world, at most so many rows at once."""
    return config.real.make_env(min(rows, ENVIRONMENTS), hold, every_frame)


def real_rollouts(run: Run, actor: Actor, first: list[Start], temperature: float, name: str) -> list[Episode]:
    """Real episodes with every frame and state, held after success; booked before they are made."""
    run.ledger.reserve(run.stage, len(first))
    env = real_env(run.config, len(first), run.config.data.hold_after_success, every_frame=True)

    def roll_out_all() -> list[Episode]:
        return roll_out(env, actor, first, run.config.seed, name, temperature, video=True, progress=True).episodes()

    episodes = cached_episodes(run, name, roll_out_all)
    run.debit("real", episodes)
    return episodes


def with_progress(episodes: Iterable[Episode], name: str, total: int) -> Iterable[Episode]:
    """These episodes, with a progress bar where they are slow to come."""
    return tqdm(episodes, desc=name, total=total, delay=2.0, mininterval=1.0, dynamic_ncols=True)


def cached_episodes(run: Run, name: str, make: Callable[[], Iterable[Episode]]) -> list[Episode]:
    """What `make` makes, kept in the stage's scratch: on LIBERO it takes minutes, and a resumed stage should not spend
    them again."""
    path = run.scratch / f"{name}.hdf5"
    if not path.exists():
        write_episodes(path, make())
    return list(EpisodeStore([path]))


def demonstrate(run: Run) -> None:
    """A few demonstrations a task: noise in what is executed, clean actions as labels."""
    episodes = [episode for task in run.config.tasks for episode in _demonstrations(run.config, task)]
    run.debit("demonstrations", episodes)
    write_episodes(run.path(DEMONSTRATIONS), episodes)


def _demonstrations(config: RunConfig, task: str) -> list[Episode]:
    """The expert's successes; where it fails, which nobody would show, the next seed takes its place.

    Raises UserError if the expert cannot do the task so often.
    """
    found: list[Episode] = []
    tried, data = 0, config.data
    while (missing := data.demonstrations - len(found)) > 0:
        chosen = seeds(config, "demonstrations", missing, tried)
        if not chosen:
            raise UserError(f"the expert of {task} succeeded {len(found)} times in {tried} attempts; ask for fewer")
        attempts = config.real.expert_episodes(
            task, chosen, data.demonstration_noise, data.hold_after_success, config.seed
        )
        found += [episode for episode in with_progress(attempts, task, len(chosen)) if episode.success.any()]
        tried += len(chosen)
    return found


def collect(run: Run) -> None:
    """Rollouts of the base policy to learn reward and world model from, and the gate's held-out rollouts."""
    config, data, base = run.config, run.config.data, load_policy(run.path(BASE))
    temperatures = data.rollout_temperatures
    chosen = np.array_split(seeds(config, "rollouts", data.rollouts), len(temperatures))
    episodes = [
        episode
        for temperature, part in zip(temperatures, chosen, strict=True)
        if len(part)
        for episode in real_rollouts(run, base, starts(config, part), temperature, f"collect/{temperature}")
    ]
    write_episodes(run.path(BASE_ROLLOUTS), episodes)
    _examples(run)
    _groups(run, ExploringActor(base, config.rl.noise))
    gate_seeds = seeds(config, "gate", data.gate_episodes)
    gate_starts = starts(config, gate_seeds)
    for temperature in temperatures:
        policy_episodes = real_rollouts(run, base, gate_starts, temperature, f"gate/{temperature}")
        write_episodes(run.path(f"{GATE}/base at T={temperature}.hdf5"), policy_episodes)
    half = load_policy(run.path(HALF))
    policy_episodes = real_rollouts(run, half, gate_starts, temperatures[0], "gate/half")
    write_episodes(run.path(f"{GATE}/half-trained base.hdf5"), policy_episodes)
    for noise in GATE_NOISES:
        expert_episodes = _expert(run, gate_seeds, noise, f"gate/expert {noise}")
        write_episodes(run.path(f"{GATE}/expert, noise {noise}.hdf5"), expert_episodes)


def _groups(run: Run, actor: Actor) -> None:
    """Held-out groups of the base policy as GRPO draws them, group after group."""
    config, data, rl = run.config, run.config.data, run.config.rl
    first = starts(config, seeds(config, "gate", data.gate_groups, data.gate_episodes))
    repeated = [start for start in first for _ in range(rl.group_size)]
    episodes = real_rollouts(run, actor, repeated, rl.temperature, "gate/groups")
    write_episodes(run.path(GATE_GROUPS), episodes)


def _expert(run: Run, chosen: list[int], noise: float, name: str) -> list[Episode]:
    """The expert's real episodes on these seeds of every task, booked."""
    config, hold = run.config, run.config.data.hold_after_success
    run.ledger.reserve(run.stage, len(chosen) * len(config.tasks))

    attempts = (config.real.expert_episodes(task, chosen, noise, hold, config.seed) for task in config.tasks)
    total = len(chosen) * len(config.tasks)
    episodes = cached_episodes(run, name, lambda: with_progress(chain.from_iterable(attempts), name, total))
    run.debit("real", episodes)
    return episodes


def _examples(run: Run) -> None:
    """The task shown done, since a weak base policy alone would leave the reward a handful of successes; and the same
    attempts nearly done, in a file of their own since they share their seeds."""
    config, data = run.config, run.config.data
    whole = _expert(run, seeds(config, "examples", data.examples // 2), EXAMPLE_NOISE, "examples")
    run.ledger.reserve(run.stage, len(whole))
    ahead = stream(config.seed, "broken off").integers(1, EXAMPLE_AHEAD, len(whole), endpoint=True)
    pairs = zip(whole, ahead.tolist(), strict=True)
    chosen = [(episode, steps) for episode, steps in pairs if episode.first_success > steps]

    def break_off() -> Iterable[Episode]:
        return with_progress(
            config.real.truncated_before_success(chosen, data.hold_after_success), "nearly", len(chosen)
        )

    near_misses = cached_episodes(run, "nearly", break_off)
    run.debit("real", near_misses)
    write_episodes(run.path(EXAMPLES), whole)
    write_episodes(run.path(NEAR_MISSES), near_misses)


def collect_again(phase: Round) -> Callable[[Run], None]:
    """The stage between two rounds, PACE: a limited set of rollouts of the improved policy (paper section 4)."""

    def work(run: Run) -> None:
        config, improved, count = run.config, load_policy(run.path(phase.improved)), run.config.rl.refinement_rollouts
        first = starts(config, seeds(config, "fresh", count, count * (phase.number - 1)))
        episodes = real_rollouts(run, improved, first, config.rl.temperature, Path(phase.rollouts).stem)
        write_episodes(run.path(phase.rollouts), episodes)

    return work


def execute_imagined_rollouts(run: Run) -> None:
    """What the base does in imagination, executed for real (not in the paper): actions chosen by pictures that are
    wrong end where no policy that sees ends, and a reward that never saw that takes it for success. Without a reward
    yet, every rollout is imagined to its limit."""
    config, data, folder = run.config, run.config.data, run.path(IMAGINED_ACTIONS)
    folder.mkdir(exist_ok=True)
    if not data.imagined_actions:
        return
    first = starts(config, seeds(config, "rollouts", data.imagined_actions, data.rollouts))
    run.ledger.reserve(run.stage, len(first))
    world = load_world_model(run.path(Simulator.of().world))
    base, temperature = load_policy(run.path(BASE)), config.rl.temperature
    imagined_env = ImaginedEnv(world, None, config.world.imagined_rows, config.max_steps)
    imagined = roll_out(imagined_env, base, first, config.seed, "confront", temperature, progress=True)
    env = real_env(config, len(first), data.hold_after_success, every_frame=True)
    episodes = replay_in_simulator(env, imagined, config.seed, "confront/real")[1].episodes()
    run.debit("real", episodes)
    write_episodes(folder / "base.hdf5", episodes)


def world_episodes(run: Run, number: int) -> list[tuple[Episode, float]]:
    """What a world model may have learnt from when round `number` begins, each with its weight."""
    parts = ((store(run, name), weight) for name, weight in world_sources(run.config, number).items())
    return [(episode, weight) for part, weight in parts for episode in run.config.real.with_proprio(part)]


def reward_episodes(run: Run, number: int) -> list[Episode]:
    """What a reward may have learnt from when round `number` begins."""
    return list(store(run, *reward_sources(run.config, number)))


def own_successes(run: Run, number: int) -> list[Episode]:
    """What a policy may imitate before round `number`, or after the last one."""
    names = success_sources(run.config, number)
    parts = (held_out_of_base(run) if name == GATE else store(run, name) for name in names)
    return [episode for part in parts for episode in part if episode.first_success >= 0]


def gate_groups(run: Run) -> list[Episode]:
    """The gate's groups of the base policy, group after group."""
    return list(store(run, GATE_GROUPS))


def gate_stores(run: Run) -> dict[str, EpisodeStore]:
    """The gate's episodes by policy."""
    return {path.stem: EpisodeStore([path]) for path in sorted(run.path(GATE).glob("*.hdf5"))}


def held_out_of_base(run: Run) -> list[Episode]:
    """The gate's episodes of the base policy."""
    stores = [episodes for name, episodes in gate_stores(run).items() if name.startswith("base")]
    return [episode for episodes in stores for episode in episodes]


def store(run: Run, *names: str) -> EpisodeStore:
    """The episodes of these artefacts, files or folders of files."""
    paths = map(run.path, names)
    return EpisodeStore([file for path in paths for file in (sorted(path.glob("*.hdf5")) if path.is_dir() else [path])])
