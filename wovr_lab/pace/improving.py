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
from wovr_lab.pace.config import RunConfig
from wovr_lab.pace.data import (
    gate_groups,
    gate_stores,
    real_env,
    reward_episodes,
    seeds,
    starts,
    store,
    world_episodes,
)
from wovr_lab.pace.monitor import Monitor
from wovr_lab.pace.rounds import REFINEMENT_WEIGHT, Round, Simulator, start_sources
from wovr_lab.pace.self_imitation import filtered_bc
from wovr_lab.pace.stages import Run
from wovr_lab.policy.checkpoints import load_policy, save_policy
from wovr_lab.policy.vla import VLAPolicy
from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.reward.refresh import RewardRefresh
from wovr_lab.reward.training import classify_episodes
from wovr_lab.runs import read_object, write_json
from wovr_lab.starts import InitialStarts, KeyframeStarts, MixedStarts, Starts, export_keyframes, keyframes, start_at
from wovr_lab.types import Start
from wovr_lab.world.protocol import ImaginingModel, load_world_model
from wovr_lab.world.refresh import WorldRefresh


def imagined_env(run: Run, simulator: Simulator, rows: int, hold_after_success: int = 0) -> ImaginedEnv:
    """A simulator as an environment, success held for so many frames."""
    return _env(run, *_models(run, simulator), rows, hold_after_success)


def replay_env(run: Run, simulator: Simulator) -> ImaginedEnv:
    """A simulator for replays of real episodes."""
    return _replay_env(run, *_models(run, simulator))


def _models(run: Run, simulator: Simulator) -> tuple[ImaginingModel, SuccessClassifier]:
    return load_world_model(run.path(simulator.world)), SuccessClassifier.load(run.path(simulator.reward))


def _env(run: Run, world: ImaginingModel, reward: SuccessClassifier, rows: int, hold: int = 0) -> ImaginedEnv:
    config = run.config
    return ImaginedEnv(world, reward, rows, config.max_steps, hold, keyframe_steps=config.rl.keyframe_steps)


def _replay_env(run: Run, world: ImaginingModel, reward: SuccessClassifier) -> ImaginedEnv:
    """Success is held as in the episodes, and what begins at a keyframe goes on to the limit."""
    config = run.config
    hold = config.data.hold_after_success
    return ImaginedEnv(world, reward, config.world.imagined_rows, config.max_steps, hold_after_success=hold)


def gate(phase: Round) -> Callable[[Run], None]:
    """The stage `gate_N`: may RL of this round be done in its simulator?"""

    def work(run: Run) -> None:
        env, name = replay_env(run, phase.simulator), phase.gate
        outcomes = {
            policy: replay_in_imagination(env, list(episodes), run.config.seed, f"{name}/{policy}")[0]
            for policy, episodes in gate_stores(run).items()
        }
        verdict = evaluate_gate(outcomes, run.config.gate, _group_outcomes(run, env, f"{name}/groups"))
        write_json(run.path(phase.verdict), verdict.as_json())

    return work


def _group_outcomes(run: Run, env: ImaginedEnv, name: str) -> GroupOutcomes:
    """The gate's groups seen for real, by the reward on real frames, and in imagination."""
    episodes = gate_groups(run)
    outcomes = replay_in_imagination(env, episodes, run.config.seed, name)[0]
    judged = classify_episodes(env.reward, episodes)
    seen = (each.reshape(-1, run.config.rl.group_size) for each in (outcomes.real, judged, outcomes.imagined))
    return GroupOutcomes(*seen)


def may_improve(run: Run, phase: Round) -> bool:
    """Whether RL may start in imagination: the gate passed, or it only reports (because the run says so, or forced)."""
    overruled = run.force or run.config.gate.only_reports
    return overruled or read_object(run.path(phase.verdict), passed=bool)["passed"]


def starts_of(config: RunConfig, episodes: EpisodeStore) -> Starts:
    """Initial states and keyframes of episodes that the ledger has paid for, in the share that the run says."""
    initial = InitialStarts(tuple(start_at(episode, 0) for episode in episodes))
    if config.rl.keyframe_share == 0:
        return initial
    return MixedStarts(initial, KeyframeStarts(tuple(_keyframes(config, episodes))), config.rl.keyframe_share)


def _keyframes(config: RunConfig, episodes: EpisodeStore) -> list[Start]:
    return keyframes(episodes, config.rl.keyframe_lead, config.rl.keyframe_lead // 3)


def improve(phase: Round) -> Callable[[Run], None]:
    """The stage `improve_N`: masked GRPO in imagination, from one policy checkpoint to the next. The simulator learns
    from what the monitor executes, and is kept as it is at the end."""

    def work(run: Run) -> None:
        config, name = run.config, phase.name
        given = load_policy(run.path(phase.policy))
        models = _models(run, phase.simulator)
        monitor = Monitor(run, phase, _env(run, *models, config.world.imagined_rows))
        if config.rl.checks_initial_policy(phase.number) and not monitor.checks:
            monitor.check(-1, given)
        replaying = _replay_env(run, *models)
        improving = filtered_bc(run, phase.number, given, replaying)
        episodes = store(run, *start_sources(config, phase.number))
        if config.rl.keyframe_share:
            export_keyframes(run.path(phase.keyframes), _keyframes(config, episodes))
        trainer = GRPOTrainer(
            improving, _env(run, *models, config.rl.groups * config.rl.group_size), starts_of(config, episodes),
            config.rl, config.seed, name, run.scratch, run.metrics,
            config.rl.normaliser, config.rl.mask, config.rl.dual_clip, penalty_to(improving, config.rl.kl_coef),
        )  # fmt: skip
        refresh = refresh_of(run, *models, phase.number, config.seed, name, run.scratch)
        for updates in monitor.checked_at(trainer.iteration) if trainer.iteration else ():
            refresh.restore(updates, monitor.executed(updates))
        _train(run, phase, trainer, monitor, refresh)
        run.ledger.debit(run.stage, "imagined", _logged(run, name, "trajectories"), _logged(run, name, "frames"))
        run.ledger.debit(run.stage, "measurement", _logged(run, f"{name}/real", "n"), 0)
        best, bc = monitor.finish(), config.rl.filtered_bc
        if phase.is_last and bc is not None and bc.after_last_round:
            best = filtered_bc(run, phase.number + 1, best, replaying)
        save_policy(best, run.path(phase.improved))
        for path, model in zip(phase.refreshed.names, models, strict=True):
            model.save(run.path(path))

    return work


def _train(run: Run, phase: Round, trainer: GRPOTrainer, monitor: Monitor, refresh: SimulatorRefresh) -> None:
    """All iterations of a round, or fewer where the monitor stops them; after each of its checks but the last the
    simulator learns from what it saw."""
    config, policy = run.config, trainer.policy
    iterations, every = config.rl.iterations[phase.number - 1], config.rl.monitor.every
    measure = _real_success(run, phase.name, policy)

    def check(updates: int) -> bool:
        """Both checks against reality; True if RL has to stop."""
        is_last = updates == iterations
        if updates % config.evaluation.check_every == 0 or is_last:
            measure(updates)
        if updates % every and not is_last:
            return False
        goes_on = monitor.check(updates, policy)
        if goes_on and not is_last:
            refresh.update(updates, monitor.executed(updates))
        return not goes_on

    if trainer.iteration > 0 or not check(0):
        trainer.train(iterations, lambda iteration, _: check(iteration + 1))


def refresh_of(
    run: Run, world: ImaginingModel | None, reward: SuccessClassifier | None, number: int, run_seed: int, name: str,
    folder: Path,
) -> SimulatorRefresh:  # fmt: skip
    """What keeps the learnt parts of the simulator up with the policy of round `number`, where the run says so."""
    config = run.config
    refreshed: dict[str, Any] = {}
    if world is not None and config.world.refresh is not None:
        refreshed["world"] = WorldRefresh(
            world, world_episodes(run, number), REFINEMENT_WEIGHT, config.world.refresh,
            run_seed, f"{name}/world", folder, run.metrics,
        )  # fmt: skip
    if reward is not None and config.reward.refresh is not None:
        refreshed["reward"] = RewardRefresh(
            reward, reward_episodes(run, number), config.reward.refresh,
            run_seed, f"{name}/reward", folder, run.metrics,
        )  # fmt: skip
    return SimulatorRefresh(**refreshed)


def _logged(run: Run, phase: str, key: str) -> int:
    """The sum of a metric over a phase, also over what was logged before a kill."""
    return int(sum(row[key] for row in run.metrics.rows() if row["phase"] == phase))


def _real_success(run: Run, name: str, policy: VLAPolicy) -> Callable[[int], None]:
    """Logs real success after so many updates, for the report's learning curve only: nothing is chosen by it."""
    config = run.config
    first = starts(config, seeds(config, "check", config.evaluation.check_starts))
    env = real_env(config, len(first))

    def measure(updates: int) -> None:
        result = evaluate(env, policy, first, config.seed, config.rl.temperature, "check").overall
        row = {"success": result.rate, "n": result.n, "low": result.low, "high": result.high}
        run.metrics.log(f"{name}/real", updates, row)

    return measure
