"""The loop's real data: demonstrations, examples of outcomes, rollouts of the base, the gate's, of the improved policy.

Training seeds only, below 10,000; each purpose has its own range, so that what is held out was never seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain

import numpy as np
from tqdm import tqdm

from wovr_lab.contracts import Actor
from wovr_lab.episodes import EpisodeStore, write_episodes
from wovr_lab.errors import UserError
from wovr_lab.imagined.environment import ImaginedEnv
from wovr_lab.measure.hallucination import replay_in_simulator
from wovr_lab.pace.config import LoopConfig
from wovr_lab.pace.stages import Run
from wovr_lab.policy.checkpoints import load_policy
from wovr_lab.policy.exploration import ExploringActor
from wovr_lab.real.chunk_env import RealChunkEnv
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
STARTS = ("demonstrations", "examples", "base")  # episodes that imagination starts in, before PACE
TRAINING = (*STARTS, "nearly")  # what reward and world model learn from before PACE
MONITORED, IMAGINED = "monitored", "imagined"  # folders of what the monitor saw for real, and in imagination
ENVIRONMENTS = 32  # rows in a real environment


def seeds(config: LoopConfig, purpose: str, count: int, skip: int = 0) -> list[int]:
    """`count` seeds of a purpose after the first `skip`; which ones depends on the run's seed, so that training seeds
    differ in data too."""
    first, size = SEEDS[purpose]
    return sorted((first + stream(config.seed, "seeds", purpose).permutation(size)[skip : skip + count]).tolist())


def starts(config: LoopConfig, task_seeds: Iterable[int]) -> list[Start]:
    """The initial states of these seeds, for every task."""
    chosen = list(task_seeds)
    return [start for task in config.tasks for start in config.real.starts(task, chosen)]


def evaluation_starts(config: LoopConfig) -> list[Start]:
    """The held-out initial states, for every task."""
    first = config.evaluation_first_seed
    return starts(config, range(first, first + config.evaluation_starts))


def real_env(config: LoopConfig, rows: int, hold: int = 0, every_frame: bool = False) -> RealChunkEnv:
    """The run's real world, at most so many rows at once."""
    return config.real.make_env(min(rows, ENVIRONMENTS), hold, every_frame)


def real_rollouts(run: Run, actor: Actor, first: list[Start], temperature: float, name: str) -> list[Episode]:
    """Real episodes with every frame and state, held after success; booked before they are made."""
    run.ledger.reserve(run.stage, len(first))
    env = real_env(run.config, len(first), run.config.hold, every_frame=True)

    def roll_out_all() -> list[Episode]:
        return roll_out(env, actor, first, run.config.seed, name, temperature, video=True, progress=True).episodes()

    episodes = kept(run, name, roll_out_all)
    run.debit("real", episodes)
    return episodes


def counted(episodes: Iterable[Episode], name: str, total: int) -> Iterable[Episode]:
    """The episodes, with a progress bar where they are slow to come."""
    return tqdm(episodes, desc=name, total=total, delay=2.0, mininterval=1.0, dynamic_ncols=True)


def kept(run: Run, name: str, make: Callable[[], Iterable[Episode]]) -> list[Episode]:
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
    write_episodes(run.path("episodes/demonstrations.hdf5"), episodes)


def _demonstrations(config: LoopConfig, task: str) -> list[Episode]:
    """The expert's successes; where it fails, which nobody would show, the next seed takes its place.

    Raises UserError if the expert cannot do the task so often.
    """
    found: list[Episode] = []
    tried = 0
    while (missing := config.demonstrations - len(found)) > 0:
        chosen = seeds(config, "demonstrations", missing, tried)
        if not chosen:
            raise UserError(f"the expert of {task} succeeded {len(found)} times in {tried} attempts; ask for fewer")
        attempts = config.real.expert_episodes(task, chosen, config.demonstration_noise, config.hold, config.seed)
        found += [episode for episode in counted(attempts, task, len(chosen)) if episode.success.any()]
        tried += len(chosen)
    return found


def collect(run: Run) -> None:
    """Rollouts of the base policy to learn reward and world model from, and the gate's held-out rollouts."""
    config, base = run.config, load_policy(run.path("checkpoints/base"))
    temperatures = config.rollout_temperatures
    chosen = np.array_split(seeds(config, "rollouts", config.rollouts), len(temperatures))
    episodes = [
        episode
        for temperature, part in zip(temperatures, chosen, strict=True)
        if len(part)
        for episode in real_rollouts(run, base, starts(config, part), temperature, f"collect/{temperature}")
    ]
    write_episodes(run.path("episodes/base.hdf5"), episodes)
    _examples(run)
    _groups(run, ExploringActor(base, config.grpo.noise))
    gate_starts = starts(config, seeds(config, "gate", config.gate_episodes))
    for temperature in temperatures:
        policy_episodes = real_rollouts(run, base, gate_starts, temperature, f"gate/{temperature}")
        write_episodes(run.path(f"episodes/gate/base at T={temperature}.hdf5"), policy_episodes)
    half = load_policy(run.path("checkpoints/half"))
    policy_episodes = real_rollouts(run, half, gate_starts, temperatures[0], "gate/half")
    write_episodes(run.path("episodes/gate/half-trained base.hdf5"), policy_episodes)
    for noise in config.gate_noises:
        expert_episodes = _expert(run, seeds(config, "gate", config.gate_episodes), noise, f"gate/expert {noise}")
        write_episodes(run.path(f"episodes/gate/expert, noise {noise}.hdf5"), expert_episodes)


def _groups(run: Run, actor: Actor) -> None:
    """Held-out groups of the base policy as GRPO draws them, group after group."""
    config = run.config
    first = starts(config, seeds(config, "gate", config.gate_groups, config.gate_episodes))
    repeated = [start for start in first for _ in range(config.grpo.group_size)]
    episodes = real_rollouts(run, actor, repeated, config.grpo.temperature, "gate/groups")
    write_episodes(run.path("episodes/gate_groups.hdf5"), episodes)


def _expert(run: Run, chosen: list[int], noise: float, name: str) -> list[Episode]:
    """The expert's real episodes on these seeds of every task, booked."""
    config = run.config
    run.ledger.reserve(run.stage, len(chosen) * len(config.tasks))

    attempts = (config.real.expert_episodes(task, chosen, noise, config.hold, config.seed) for task in config.tasks)
    total = len(chosen) * len(config.tasks)
    episodes = kept(run, name, lambda: counted(chain.from_iterable(attempts), name, total))
    run.debit("real", episodes)
    return episodes


def _examples(run: Run) -> None:
    """The task shown done, since a weak base policy alone would leave the reward a handful of successes; and the same
    attempts nearly done, in a file of their own since they share their seeds."""
    config = run.config
    whole = _expert(run, seeds(config, "examples", config.examples // 2), config.example_noise, "examples")
    run.ledger.reserve(run.stage, len(whole))
    ahead = stream(config.seed, "broken off").integers(1, config.example_ahead, len(whole), endpoint=True)
    pairs = zip(whole, ahead.tolist(), strict=True)
    chosen = [(episode, steps) for episode, steps in pairs if episode.first_success > steps]
    nearly = kept(
        run, "nearly", lambda: counted(config.real.truncated_before_success(chosen, config.hold), "nearly", len(chosen))
    )
    run.debit("real", nearly)
    write_episodes(run.path("episodes/examples.hdf5"), whole)
    write_episodes(run.path("episodes/nearly.hdf5"), nearly)


def collect_again(run: Run) -> None:
    """PACE: a limited set of fresh rollouts of the improved policy (paper section 4)."""
    config, improved = run.config, load_policy(run.path("checkpoints/improved_1"))
    first = starts(config, seeds(config, "fresh", config.fresh))
    episodes = real_rollouts(run, improved, first, config.grpo.temperature, "fresh")
    write_episodes(run.path("episodes/fresh.hdf5"), episodes)


def confront(run: Run) -> None:
    """What the base does in imagination, executed for real (not in the paper): actions chosen by pictures that are
    wrong end where no policy that sees ends, and a reward that never saw that takes it for success. Without a reward
    yet, every rollout is imagined to its limit."""
    config, folder = run.config, run.path("episodes/confronted")
    folder.mkdir(exist_ok=True)
    if not config.confronted:
        return
    first = starts(config, seeds(config, "rollouts", config.confronted, config.rollouts))
    run.ledger.reserve(run.stage, len(first))
    world = load_world_model(run.path("checkpoints/world"))
    base, temperature = load_policy(run.path("checkpoints/base")), config.grpo.temperature
    imagined_env = ImaginedEnv(world, None, config.imagined_rows, config.max_steps)
    imagined = roll_out(imagined_env, base, first, config.seed, "confront", temperature, progress=True)
    env = real_env(config, len(first), config.hold, every_frame=True)
    episodes = replay_in_simulator(env, imagined, config.seed, "confront/real")[1].episodes()
    run.debit("real", episodes)
    write_episodes(folder / "base.hdf5", episodes)


def confronted_store(run: Run) -> EpisodeStore:
    """What the base did in imagination and `confront` executed for real; empty where the run does none of that."""
    return EpisodeStore(sorted(run.path("episodes/confronted").glob("*.hdf5")))


def monitored_store(run: Run) -> EpisodeStore:
    """What the monitor executed for real before PACE, if the refinement is to learn from it."""
    return _monitored(run, 1) if run.config.monitored_weight else EpisodeStore(())


def reward_episodes(run: Run, number: int) -> list[Episode]:
    """What a reward may have learnt from when phase `number` of RL begins."""
    stores = [store(run, *TRAINING), confronted_store(run)]
    if number > 1:
        stores += [executed_for_reward(run), store(run, "fresh")]
    return [episode for each in stores for episode in each]


def executed_for_reward(run: Run) -> EpisodeStore:
    """What the monitor executed for real before PACE, if the reward learns from it; where it is kept up with the
    policy also in imagined pictures, labelled with what really happened."""
    return _monitored(run, 1, MONITORED, IMAGINED) if run.config.reward_refresh else monitored_store(run)


def _monitored(run: Run, number: int, *kinds: str) -> EpisodeStore:
    """What the monitor saw in a phase of RL, for real unless said otherwise."""
    folders = [run.path(f"episodes/{kind}_{number}") for kind in kinds or (MONITORED,)]
    return EpisodeStore([path for folder in folders for path in sorted(folder.glob("*.hdf5"))])


def own_successes(run: Run, phase: int) -> list[Episode]:
    """What a policy may imitate before phase 1 or 2 of RL, or after both (3): the demonstrations, and what policies
    before it achieved for real, the base's part of the gate's episodes included (no world model or reward ever learns
    from these). The expert's examples are not imitated; they were paid for the reward."""
    names, stores = ("demonstrations", "base"), [held_out_of_base(run), confronted_store(run)]
    if phase > 1:
        names = (*names, "fresh")
    stores += [_monitored(run, number) for number in range(1, phase)]
    return [episode for each in (store(run, *names), *stores) for episode in each if episode.first_success >= 0]


def gate_groups(run: Run) -> list[Episode]:
    """The gate's groups of the base policy, group after group."""
    return list(store(run, "gate_groups"))


def gate_stores(run: Run) -> dict[str, EpisodeStore]:
    """The gate's episodes by policy."""
    return {path.stem: EpisodeStore([path]) for path in sorted(run.path("episodes/gate").glob("*.hdf5"))}


def held_out_of_base(run: Run) -> list[Episode]:
    """The gate's episodes of the base policy."""
    stores = [episodes for name, episodes in gate_stores(run).items() if name.startswith("base")]
    return [episode for episodes in stores for episode in episodes]


def store(run: Run, *names: str) -> EpisodeStore:
    """The episodes of `episodes/NAME.hdf5`."""
    return EpisodeStore([run.path(f"episodes/{name}.hdf5") for name in names])
