"""The yardstick of simulator and reward: real success after so many updates, each part learnt or replaced by the truth
(not in the paper).

In: a run with a base policy, a world model and a reward. Out: in RUN/study/learning_curve, for each setting and seed of
RL, what the policy really achieves at each mark, greedily and sampled, and how well the simulator tells the better of
two rollouts there. All settings share base, starts, noise and schedule, so their outcomes can be paired. The loop looks
at its policy as its monitor does and keeps the reward up with it as the run would; nothing else is learnt anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wovr_lab.contracts import ChunkEnv
from wovr_lab.episodes import EpisodeStore, write_episodes
from wovr_lab.errors import UserError
from wovr_lab.grpo.trainer import GRPOTrainer
from wovr_lab.imagined.environment import ImaginedEnv
from wovr_lab.imagined.refresh import Executed
from wovr_lab.imagined.substitutes import LearntRewardEnv, TrueOutcomeEnv
from wovr_lab.measure.evaluation import evaluate
from wovr_lab.measure.hallucination import replay_in_simulator, truly_labelled
from wovr_lab.pace.config import LoopConfig
from wovr_lab.pace.data import STARTS, real_env, seeds, starts, store
from wovr_lab.pace.improving import refresh_of, starts_of
from wovr_lab.pace.stages import Run, enter_run
from wovr_lab.policy.checkpoints import load_policy
from wovr_lab.policy.exploration import ExploringActor
from wovr_lab.policy.vla import VLAPolicy
from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.rollout import roll_out
from wovr_lab.runs import Metrics, read_json, write_json
from wovr_lab.types import Rollouts, Start
from wovr_lab.world.protocol import load_world_model

NAME = "learning_curve"
FIRST_SEED, LAST_SEED = 9_100, 10_000  # of the starts that judge a curve: no training, tuning or keyframe uses them


@dataclass(frozen=True)
class Setting:
    """Which parts of the simulator are learnt."""

    learnt_world: bool
    learnt_reward: bool


SETTINGS = {
    "real_simulator_true_reward": Setting(False, False),  # the ceiling
    "real_simulator_learnt_reward": Setting(False, True),
    "learnt_simulator_true_reward": Setting(True, False),
    "learnt_simulator_learnt_reward": Setting(True, True),
}
CEILING = "real_simulator_true_reward"


@dataclass(frozen=True)
class CurveConfig:
    """Raises UserError on marks, counts or settings that cannot make a curve."""

    marks: tuple[int, ...] = (0, 8, 16, 24, 32, 48, 64)  # updates
    settings: tuple[str, ...] = tuple(SETTINGS)
    rl_seeds: tuple[int, ...] = (0, 1)
    starts: int = 200  # a task
    groups: int = 64  # over all tasks; 0: agreement within groups is not measured

    def __post_init__(self) -> None:
        unknown = [name for name in self.settings if name not in SETTINGS]
        if unknown or not self.settings:
            raise UserError(f"unknown setting {unknown[:1]}; settings: {', '.join(SETTINGS)}")
        if not self.marks or list(self.marks) != sorted(set(self.marks)) or self.marks[0] < 0 or self.marks[-1] < 1:
            raise UserError(f"marks are numbers of updates in rising order, the last 1 or more, not {self.marks}")
        if not 1 <= self.starts <= LAST_SEED - FIRST_SEED or self.groups < 0 or not self.rl_seeds:
            raise UserError(
                f"a curve needs 1 to {LAST_SEED - FIRST_SEED} starts a task, groups >= 0 and seeds of RL, not "
                f"{self.starts}, {self.groups}, {self.rl_seeds}"
            )


def measure_curves(folder: Path, config: CurveConfig, run_config: LoopConfig) -> None:
    """Trains and judges what is not done yet. Raises UserError if the run has no base, world model or reward, if it is
    at work, or if its study was begun with other marks or starts."""
    run = enter_run(folder, run_config)
    needed = {"checkpoints/base"}
    for name in config.settings:
        needed |= {"checkpoints/world"} if SETTINGS[name].learnt_world else set()
        needed |= {"checkpoints/reward"} if SETTINGS[name].learnt_reward else set()
    missing = sorted(name for name in needed if not run.path(name).is_dir())
    if missing:
        raise UserError(f"{folder} has no {missing[0]} yet; run it up to gate-1 first")
    _check_same_protocol(run.path(f"study/{NAME}/protocol.json"), config)
    for rl_seed in config.rl_seeds:
        for name in config.settings:
            _Curve(run, config, name, rl_seed).measure()


def marks_of(folder: Path, setting: str, rl_seed: int) -> dict[int, dict[str, Any]]:
    """What was found at each mark, by its number of updates; empty where the curve was not measured."""
    found = sorted((folder / f"study/{NAME}/{setting}/{rl_seed}").glob("mark-*.json"))
    return {int(path.stem.removeprefix("mark-")): read_json(path) for path in found}


def _check_same_protocol(path: Path, config: CurveConfig) -> None:
    wanted = {"marks": list(config.marks), "starts": config.starts, "groups": config.groups}
    if path.exists() and read_json(path) != wanted:
        begun = f"{path} was begun with {read_json(path)}, not {wanted}"
        raise UserError(f"{begun}; go on with those, or delete {path.parent}")
    write_json(path, wanted)


class _Curve:
    """One policy from the run's base to the last mark, in one setting."""

    def __init__(self, run: Run, config: CurveConfig, name: str, rl_seed: int):
        self.run, self.config, self.setting, self.rl_seed = run, config, SETTINGS[name], rl_seed
        self.folder = run.path(f"study/{NAME}/{name}/{rl_seed}")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.reward = SuccessClassifier.load(run.path("checkpoints/reward")) if self.setting.learnt_reward else None
        self.world = load_world_model(run.path("checkpoints/world")) if self.setting.learnt_world else None
        self.looked_at = starts(run.config, seeds(run.config, "monitor", run.config.monitor_starts))
        self.metrics = Metrics(self.folder)

    def measure(self) -> None:
        """Resumable: GRPO saves itself after each update, and marks and looks are files."""
        run, grpo = self.run, self.run.config.grpo
        if (self.folder / f"mark-{self.config.marks[-1]:03}.json").exists():
            return
        policy = load_policy(run.path("checkpoints/base"))
        trainer = GRPOTrainer(
            policy, self._env(grpo.groups * grpo.group_size), starts_of(run.config, store(run, *STARTS)),
            grpo, self.rl_seed, NAME, self.folder, self.metrics,
            run.config.normaliser, run.config.mask, run.config.dual_clip,
        )  # fmt: skip
        refresh = refresh_of(run, self.world, self.reward, 1, self.rl_seed, NAME, self.folder)
        for updates in range(trainer.iteration + 1 if trainer.iteration else 0):
            if self._path(updates).exists():
                refresh.restore(updates, self._seen(updates))

        def look(updates: int, values: dict[str, float]) -> None:
            if updates in self.config.marks:
                self._mark(updates, policy, values)
            if refresh.learns and updates % run.config.monitor_every[0] == 0:
                refresh.update(updates, self._executed(updates, policy))

        if trainer.iteration == 0:
            look(0, {})
        trainer.train(self.config.marks[-1], lambda iteration, values: look(iteration + 1, values))

    def _env(self, rows: int) -> ChunkEnv:
        """The simulator of this setting. Rows of both worlds end alike."""
        config = self.run.config
        limits = {"max_steps": config.max_steps, "keyframe_steps": config.keyframe_steps}
        if self.world is None:
            real = config.real.make_env(rows, every_frame=self.reward is not None, keyframe_steps=config.keyframe_steps)
            return real if self.reward is None else LearntRewardEnv(real, self.reward)
        imagined = ImaginedEnv(self.world, self.reward, rows, **limits)
        return imagined if self.reward else TrueOutcomeEnv(imagined, config.real.make_env(rows))

    def _path(self, updates: int, kind: str = "executed") -> Path:
        return self.folder / f"{kind}-{updates:03}.hdf5"

    def _seen(self, updates: int) -> Executed:
        """What a check saw, by its files."""
        paths = (self._path(updates, kind) for kind in ("executed", "imagined"))
        return Executed(*(list(EpisodeStore([path])) if path.exists() else [] for path in paths))

    def _executed(self, updates: int, policy: VLAPolicy) -> Executed:
        """What a check sees: the policy's rollouts in this simulator, executed for real."""
        config = self.run.config
        real = real_env(config, len(self.looked_at), config.hold, every_frame=True)
        rollouts = self._roll_out(policy, self.looked_at, f"{NAME}/look", video=True)
        episodes = replay_in_simulator(real, rollouts, self.rl_seed, f"{NAME}/look")[1].episodes()
        if self.world is not None:
            write_episodes(self._path(updates, "imagined"), truly_labelled(rollouts, episodes))
        write_episodes(self._path(updates), episodes)
        return self._seen(updates)

    def _roll_out(self, policy: VLAPolicy, first: Sequence[Start], name: str, video: bool = False) -> Rollouts:
        grpo = self.run.config.grpo
        env, actor = self._env(min(len(first), self.run.config.imagined_rows)), ExploringActor(policy, grpo.noise)
        return roll_out(env, actor, first, self.rl_seed, name, grpo.temperature, video=video)

    def _mark(self, updates: int, policy: VLAPolicy, values: dict[str, float]) -> None:
        """Judges the policy for real, and the simulator on groups of its rollouts."""
        config = self.run.config
        first = starts(config, range(FIRST_SEED, FIRST_SEED + self.config.starts))
        env = real_env(config, len(first))
        greedy = evaluate(env, policy, first, self.rl_seed, 0.0, f"{NAME}/greedy")
        sampled = evaluate(env, policy, first, self.rl_seed, config.grpo.temperature, f"{NAME}/sampled")
        found = {
            "tasks": greedy.tasks.tolist(),
            "greedy": greedy.succeeded.astype(int).tolist(),
            "sampled": sampled.succeeded.astype(int).tolist(),
            "believed": values.get("reward"),  # success in training, as the simulator of this setting sees it
            "trajectories": self._trajectories(updates),
            "groups": self._groups(policy),
        }
        write_json(self.folder / f"mark-{updates:03}.json", found)

    def _trajectories(self, updates: int) -> int:
        """All that were rolled out to learn from in so many updates."""
        done = [row for row in self.metrics.rows() if row["phase"] == NAME and row["step"] < updates]
        return int(sum(row["trajectories"] for row in done))

    def _groups(self, policy: VLAPolicy) -> dict[str, list[list[int]]] | None:
        """Outcomes [groups][G] of the same actions by this simulator and for real; None where both are the truth."""
        config, size = self.run.config, self.run.config.grpo.group_size
        a_task = self.config.groups // len(config.tasks)
        if not a_task or not (self.setting.learnt_world or self.setting.learnt_reward):
            return None
        first = starts(config, range(FIRST_SEED, FIRST_SEED + a_task))
        rollouts = self._roll_out(policy, [start for start in first for _ in range(size)], f"{NAME}/groups")
        real = real_env(config, len(rollouts), every_frame=True)
        outcomes = replay_in_simulator(real, rollouts, self.rl_seed, f"{NAME}/groups")[0]
        both = {"judged": outcomes.imagined, "real": outcomes.real}
        return {name: seen.reshape(-1, size).astype(int).tolist() for name, seen in both.items()}
