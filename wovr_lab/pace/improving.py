"""The loop's stages inside imagination: the gate, and masked GRPO from keyframes and initial states (section 3)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from wovr_lab.episodes import EpisodeStore
from wovr_lab.grpo.loss import penalty_to
from wovr_lab.grpo.trainer import GRPOTrainer
from wovr_lab.imagined.environment import ImaginedEnv
from wovr_lab.imagined.refresh import SimulatorRefresh
from wovr_lab.measure.evaluation import evaluate
from wovr_lab.measure.gate import GroupOutcomes, evaluate_gate
from wovr_lab.measure.hallucination import replay_in_imagination
from wovr_lab.pace.config import LoopConfig
from wovr_lab.pace.data import gate_groups, gate_stores, real_env, reward_episodes, seeds, starts, store
from wovr_lab.pace.imitating import imitated
from wovr_lab.pace.learning import world_episodes
from wovr_lab.pace.monitor import Monitor
from wovr_lab.pace.stages import Run
from wovr_lab.policy.checkpoints import load_policy, save_policy
from wovr_lab.policy.vla import VLAPolicy
from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.reward.refresh import RewardRefresh
from wovr_lab.reward.training import classify_episodes
from wovr_lab.runs import read_json, write_json
from wovr_lab.starts import InitialStarts, KeyframeStarts, MixedStarts, Starts, export_keyframes, keyframes, start_at
from wovr_lab.types import Start
from wovr_lab.world.protocol import ImaginingModel, load_world_model
from wovr_lab.world.refresh import WorldRefresh


def imagined_env(run: Run, world: str, reward: str, rows: int) -> ImaginedEnv:
    """The world model and reward of these checkpoints as an environment."""
    return _env(run, *_models(run, world, reward), rows)


def replay_env(run: Run, world: str, reward: str) -> ImaginedEnv:
    """The world model and reward of these checkpoints for replays of real episodes."""
    return _replay_env(run, *_models(run, world, reward))


def _models(run: Run, world: str, reward: str) -> tuple[ImaginingModel, SuccessClassifier]:
    checkpoints = run.path(f"checkpoints/{world}"), run.path(f"checkpoints/{reward}")
    return load_world_model(checkpoints[0]), SuccessClassifier.load(checkpoints[1])


def _env(run: Run, world: ImaginingModel, reward: SuccessClassifier, rows: int) -> ImaginedEnv:
    return ImaginedEnv(world, reward, rows, run.config.max_steps, keyframe_steps=run.config.keyframe_steps)


def _replay_env(run: Run, world: ImaginingModel, reward: SuccessClassifier) -> ImaginedEnv:
    """Success is held as in the episodes, and what begins at a keyframe goes on to the limit."""
    config = run.config
    return ImaginedEnv(world, reward, config.imagined_rows, config.max_steps, hold_after_success=config.hold)


def gate(number: int, world: str, reward: str) -> Callable[[Run], None]:
    """The stage `gate_N`: may this world model be trained in?"""

    def work(run: Run) -> None:
        env = replay_env(run, world, reward)
        outcomes = {
            name: replay_in_imagination(env, list(episodes), run.config.seed, f"gate_{number}/{name}")[0]
            for name, episodes in gate_stores(run).items()
        }
        verdict = evaluate_gate(outcomes, run.config.gate, _group_outcomes(run, env, f"gate_{number}/groups"))
        write_json(run.path(f"gate_{number}.json"), verdict.as_json())

    return work


def _group_outcomes(run: Run, env: ImaginedEnv, name: str) -> GroupOutcomes:
    """The gate's groups seen for real, by the reward on real frames, and in imagination."""
    episodes = gate_groups(run)
    outcomes = replay_in_imagination(env, episodes, run.config.seed, name)[0]
    judged = classify_episodes(env.reward, episodes)
    seen = (each.reshape(-1, run.config.grpo.group_size) for each in (outcomes.real, judged, outcomes.imagined))
    return GroupOutcomes(*seen)


def may_improve(run: Run, number: int) -> bool:
    """Whether RL may start in imagination: the gate passed, or it only reports (smoke scale, or forced)."""
    return run.force or run.config.scale == "smoke" or read_json(run.path(f"gate_{number}.json"))["passed"]


def training_starts(run: Run, sources: tuple[str, ...]) -> Starts:
    """Where imagination begins in the present stage, whose keyframes are written down."""
    config, episodes = run.config, store(run, *sources)
    if config.keyframe_share > 0:
        export_keyframes(run.path(f"keyframes-{run.stage}.json"), _keyframes(config, episodes))
    return starts_of(config, episodes)


def starts_of(config: LoopConfig, episodes: EpisodeStore) -> Starts:
    """Initial states and keyframes of episodes that the ledger has paid for, in the share that the run says."""
    initial = InitialStarts(tuple(start_at(episode, 0) for episode in episodes))
    if config.keyframe_share == 0:
        return initial
    return MixedStarts(initial, KeyframeStarts(tuple(_keyframes(config, episodes))), config.keyframe_share)


def _keyframes(config: LoopConfig, episodes: EpisodeStore) -> list[Start]:
    return keyframes(episodes, config.keyframe_lead, config.keyframe_lead // 3)


def improve(
    number: int, policy: str, world: str, reward: str, sources: tuple[str, ...], out: str, kept: str
) -> Callable[[Run], None]:
    """The stage `improve_N`: masked GRPO in imagination, from one policy checkpoint to the next. The simulator learns
    from what the monitor executes; its parts are kept as `world_KEPT` and `reward_KEPT`."""

    def work(run: Run) -> None:
        config, name = run.config, f"improve_{number}"
        given = load_policy(run.path(f"checkpoints/{policy}"))
        models = _models(run, world, reward)
        monitor = Monitor(run, number, _env(run, *models, config.imagined_rows))
        if config.checks_initial_policy(number) and not monitor.checks:
            monitor.check(-1, given)
        replaying = _replay_env(run, *models)
        improving = imitated(run, number, given, replaying)
        trainer = GRPOTrainer(
            improving, _env(run, *models, config.grpo.groups * config.grpo.group_size), training_starts(run, sources),
            config.grpo, config.seed, name, run.scratch, run.metrics,
            config.normaliser, config.mask, config.dual_clip, penalty_to(improving, config.kl_coef),
        )  # fmt: skip
        refresh = refresh_of(run, *models, number, config.seed, name, run.scratch)
        for updates in monitor.looked_at(trainer.iteration) if trainer.iteration else ():
            refresh.restore(updates, monitor.executed(updates))
        check = _real_check(run, name, improving)
        iterations, every = config.iterations[number - 1], config.monitor_every[number - 1]

        def stops(updates: int) -> bool:
            """Both checks against reality; True if RL has to stop."""
            is_last = updates == iterations
            if updates % config.check_every == 0 or is_last:
                check(updates)
            if updates % every and not is_last:
                return False
            goes_on = monitor.check(updates, improving)
            if goes_on and not is_last:
                refresh.update(updates, monitor.executed(updates))
            return not goes_on

        if trainer.iteration > 0 or not stops(0):
            trainer.train(iterations, lambda iteration, _: stops(iteration + 1))
        run.ledger.debit(run.stage, "imagined", _logged(run, name, "trajectories"), _logged(run, name, "frames"))
        run.ledger.debit(run.stage, "measurement", _logged(run, f"{name}/real", "n"), 0)
        best = monitor.finish()
        if number == 2 and config.imitate_last:
            best = imitated(run, 3, best, replaying)
        save_policy(best, run.path(f"checkpoints/{out}"))
        for part, model in zip(("world", "reward"), models, strict=True):
            model.save(run.path(f"checkpoints/{part}_{kept}"))

    return work


def refresh_of(
    run: Run, world: ImaginingModel | None, reward: SuccessClassifier | None, number: int, run_seed: int, name: str,
    folder: Path,
) -> SimulatorRefresh:  # fmt: skip
    """What keeps the learnt parts of the simulator up with the policy of phase `number`, where the run says so."""
    config = run.config
    refreshed: dict[str, Any] = {}
    if world is not None and config.world_refresh is not None:
        refreshed["world"] = WorldRefresh(
            world, world_episodes(run, number), config.fresh_weight, config.world_refresh,
            run_seed, f"{name}/world", folder, run.metrics,
        )  # fmt: skip
    if reward is not None and config.reward_refresh is not None:
        refreshed["reward"] = RewardRefresh(
            reward, reward_episodes(run, number), config.reward_refresh,
            run_seed, f"{name}/reward", folder, run.metrics,
        )  # fmt: skip
    return SimulatorRefresh(**refreshed)


def _logged(run: Run, phase: str, key: str) -> int:
    """The sum of a metric over a phase, also over what was logged before a kill."""
    return int(sum(row[key] for row in run.metrics.rows() if row["phase"] == phase))


def _real_check(run: Run, name: str, policy: VLAPolicy) -> Callable[[int], None]:
    """Logs real success after so many updates, for the report's learning curve only: nothing is chosen by it."""
    config = run.config
    first = starts(config, seeds(config, "check", config.check_starts))
    env = real_env(config, len(first))

    def check(updates: int) -> None:
        result = evaluate(env, policy, first, config.seed, config.grpo.temperature, "check").overall
        row = {"success": result.rate, "n": result.n, "low": result.low, "high": result.high}
        run.metrics.log(f"{name}/real", updates, row)

    return check
