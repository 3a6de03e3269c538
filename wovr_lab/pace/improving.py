"""The loop's stages inside imagination: the gate, and masked GRPO from keyframes and initial states (section 3)."""

from __future__ import annotations

from collections.abc import Callable

from wovr_lab.grpo.objective import anchor_to
from wovr_lab.grpo.trainer import GRPOTrainer
from wovr_lab.imagined.environment import ImaginedEnv
from wovr_lab.measure.evaluation import evaluate
from wovr_lab.measure.gate import judge_gate
from wovr_lab.measure.hallucination import imagine_again
from wovr_lab.pace.data import gate_stores, real_env, seeds, starts, store
from wovr_lab.pace.imitating import imitated
from wovr_lab.pace.monitor import Monitor
from wovr_lab.pace.stages import Run
from wovr_lab.policy.checkpoints import load_policy, save_policy
from wovr_lab.policy.vla import VLAPolicy
from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.runs import read_json, write_json
from wovr_lab.starts import InitialStarts, KeyframeStarts, MixedStarts, Starts, export_keyframes, keyframes, start_at
from wovr_lab.world.protocol import load_world_model


def imagined_env(run: Run, world: str, reward: str, rows: int) -> ImaginedEnv:
    """The world model and reward of these checkpoints as an environment."""
    config = run.config
    return ImaginedEnv(
        load_world_model(run.path(f"checkpoints/{world}")),
        SuccessClassifier.load(run.path(f"checkpoints/{reward}")),
        rows,
        config.max_steps,
        keyframe_steps=config.keyframe_steps,
    )


def held_env(run: Run, world: str, reward: str) -> ImaginedEnv:
    """The same for replays: success is held as in the episodes, and what begins at a keyframe goes on to the limit."""
    env = imagined_env(run, world, reward, run.config.imagined_rows)
    env.hold_after_success, env.keyframe_steps = run.config.hold, None
    return env


def gate(number: int, world: str, reward: str) -> Callable[[Run], None]:
    """The stage `gate_N`: may this world model be trained in?"""

    def work(run: Run) -> None:
        env = held_env(run, world, reward)
        outcomes = {
            name: imagine_again(env, list(episodes), run.config.seed, f"gate_{number}/{name}")[0]
            for name, episodes in gate_stores(run).items()
        }
        write_json(run.path(f"gate_{number}.json"), judge_gate(outcomes, run.config.gate).as_json())

    return work


def may_improve(run: Run, number: int) -> bool:
    """Whether RL may start in imagination: the gate passed, or it only reports (smoke scale, or forced)."""
    return run.force or run.config.scale == "smoke" or read_json(run.path(f"gate_{number}.json"))["passed"]


def training_starts(run: Run, sources: tuple[str, ...]) -> Starts:
    """Where imagination begins: initial states and keyframes of episodes that the ledger has paid for."""
    config, episodes = run.config, store(run, *sources)
    initial = InitialStarts(tuple(start_at(episode, 0) for episode in episodes))
    if config.keyframe_share == 0:
        return initial
    found = keyframes(episodes, config.keyframe_lead, config.keyframe_lead // 3)
    export_keyframes(run.path(f"keyframes-{run.stage}.json"), found)
    return MixedStarts(initial, KeyframeStarts(tuple(found)), config.keyframe_share)


def improve(
    number: int, policy: str, world: str, reward: str, sources: tuple[str, ...], out: str
) -> Callable[[Run], None]:
    """The stage `improve_N`: masked GRPO in imagination, from one policy checkpoint to the next."""

    def work(run: Run) -> None:
        config, name = run.config, f"improve_{number}"
        given = load_policy(run.path(f"checkpoints/{policy}"))
        monitor = Monitor(run, number, imagined_env(run, world, reward, config.imagined_rows))
        if config.looks_at_given(number) and not monitor.looks:
            monitor.look(-1, given)
        replaying = held_env(run, world, reward)
        improving = imitated(run, number, given, replaying)
        env = imagined_env(run, world, reward, config.grpo.groups * config.grpo.group_size)
        trainer = GRPOTrainer(
            improving, env, training_starts(run, sources), config.grpo, config.seed, name, run.scratch, run.metrics,
            config.normaliser, config.mask, config.dual_clip, anchor_to(improving, config.anchor_coefficient),
        )  # fmt: skip
        iterations, every = config.iterations[number - 1], config.monitor_every[number - 1]
        check = _real_check(run, name, improving)

        def look(updates: int) -> bool:
            """Both looks at reality; True if RL has to stop."""
            is_last = updates == iterations
            if updates % config.check_every == 0 or is_last:
                check(updates)
            return (updates % every == 0 or is_last) and not monitor.look(updates, improving)

        if trainer.iteration > 0 or not look(0):
            trainer.train(iterations, lambda iteration, _: look(iteration + 1))
        run.ledger.debit(run.stage, "imagined", _logged(run, name, "trajectories"), _logged(run, name, "frames"))
        run.ledger.debit(run.stage, "measurement", _logged(run, f"{name}/real", "n"), 0)
        kept = monitor.finish()
        if number == 2 and config.imitate_last:
            kept = imitated(run, 3, kept, replaying)
        save_policy(kept, run.path(f"checkpoints/{out}"))

    return work


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
