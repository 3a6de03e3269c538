"""What must be seen of each choice where it acts: `s` is what was seen, `v` the choice, `c` the configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pytest import approx
from spies import Seen, at

from wovr_lab.grpo.formulas import DualClip, MeanBaseline, NoMask
from wovr_lab.pace.config import RunConfig
from wovr_lab.pace.rounds import REFINEMENT_WEIGHT

Check = Callable[[Seen, Any, RunConfig], bool]
TASKS = 2


def _counts(seen: Seen, name: str) -> int:
    return len(seen.episodes(name))


def _batches(seen: Seen, loss: str, entry: str) -> set[int]:
    """The sizes of the batches that a loss was computed of."""
    return {len(batch[entry]) for batch in seen.all(loss, "batch")}


def _learner(seen: Seen, loss: str, name: str) -> set[Any]:
    """An attribute, by its dotted name, of the losses that were computed."""
    return {at(call["self"], name) for call in seen[loss]}


def _transformer(seen: Seen, name: str) -> set[Any]:
    return {value if not isinstance(value, list) else tuple(value) for value in _sizes(seen, name)}


def _sizes(seen: Seen, name: str) -> list[Any]:
    return [call["self"].world.transformer.config[name] for call in seen["flow"]]


def _codec(seen: Seen, name: str) -> Any:
    return seen.json("checkpoints/world/codec/config.json")[name]


def _policy(seen: Seen, name: str) -> set[Any]:
    return {getattr(call["self"].config, name) for call in seen["act"]}


def _monitored(seen: Seen, number: int) -> list[int]:
    return [int(name) for name in seen.files(f"monitored_{number}")]


def _weights(seen: Seen) -> list[set[float]]:
    """Weights of the episodes of each table that a world model learnt from."""
    return [{round(weight, 3) for weight in weights} for weights in seen.all("table", "weights")]


def _kept_up(seen: Seen) -> list[float]:
    """Weights of the episodes that a world model that is kept up with the policy goes on learning from."""
    return [weight for known in seen.all("refresh", "known") for _, weight in known]


def _checked(seen: Seen) -> list[dict[str, Any]]:
    return seen.rows("improve_2/real")


def _returns(seen: Seen, place: int) -> set[float]:
    """The numbers that outcomes were turned into returns by: argument `place` after the outcomes."""
    return {list(call.given.values())[place] for call in seen["returns"]}


def _noise_added(seen: Seen) -> list[float]:
    """Deviations of the noise on the batches of the reward: what no change of contrast explains."""
    found = []
    for shift, loss in zip(seen["reward shift"], seen["reward loss"], strict=True):
        before, after = shift.found.flatten(1), loss["batch"]["pictures"].flatten(1)
        contrast = (before * after).sum(1, keepdim=True) / (before * before).sum(1, keepdim=True)
        found.append(float((after - contrast * before).std()))
    return found


def grown_shares(training: Any) -> list[float]:
    """How far self-forcing has grown at each step of a training."""
    steps = training.fit.steps
    return [step / max(1.0, training.ramp * steps) for step in range(steps)]


def of_parts(parts: tuple[str, ...], checks: dict[str, Callable[[Seen, Any, Any], bool]]) -> dict[str, Check]:
    """The wires of several parts of one kind; their checks are given the part in the place of the configuration."""

    def wire(part: str, check: Callable[[Seen, Any, Any], bool]) -> Check:
        return lambda s, v, c: check(s, v, at(c, part))

    return {f"{part}.{name}": wire(part, check) for part in parts for name, check in checks.items()}


def _asked_for_rates(s: Seen, v: float, part: Any) -> bool:
    return part.fit in s.all("fit rate", "self")


IMITATION = {
    "batch": lambda s, v, p: v in {len(each) for each in s.all("augment", "pictures")},
    "shift": lambda s, v, p: v in {each.shift for each in s.all("augment", "config")},
    "contrast": lambda s, v, p: v in {each.contrast for each in s.all("augment", "config")},
    "brightness": lambda s, v, p: v in {each.brightness for each in s.all("augment", "config")},
    "rotation_weight": lambda s, v, p: v in _learner(s, "imitation", "rotation_weight"),
    "fit.learning_rate": _asked_for_rates,
}
REWARD = {
    "batch": lambda s, v, p: {round(v * p.newest), v - round(v * p.newest)} <= set(s.all("reward draw", "count")),
    "newest": lambda s, v, p: round(v * p.batch) in s.all("reward draw", "count"),
    "shift": lambda s, v, p: v in s.all("reward shift", "pixels"),
    "frame_noise": lambda s, v, p: any(each == approx(v, rel=0.05) for each in _noise_added(s)),
    "fit.learning_rate": _asked_for_rates,
}
WORLD = {
    "batch": lambda s, v, p: v in _batches(s, "flow", "actions"),
    "self_forcing": lambda s, v, p: tuple(v) in s.all("depth", "self_forcing"),
    "ramp": lambda s, v, p: set(grown_shares(p)) <= set(s.all("depth", "grown")),
    "self_forcing_steps": lambda s, v, p: v in _learner(s, "flow", "own_sampler.steps"),
    "motion_weight": lambda s, v, p: v in _learner(s, "flow", "motion_weight"),
    "pure_noise": lambda s, v, p: v in s.all("flow noise", "pure_noise"),
    "fit.learning_rate": _asked_for_rates,
}
WIRES: dict[str, Check] = {
    "seed": lambda s, v, c: set(s.all("expert", "run_seed")) == {v},
    "tasks": lambda s, v, c: {each.task for each in s.episodes("base")} == set(v),
    "resolution": lambda s, v, c: {each.frames.shape[1] for each in s.episodes("base")} == {v},
    "max_steps": lambda s, v, c: (
        {len(each) for each in s.episodes("base") if each.first_success < 0} == {v}
        and set(s.all("imagined", "max_steps")) == {v}
    ),
    "data.demonstrations": lambda s, v, c: _counts(s, "demonstrations") == v * TASKS,
    "data.demonstration_noise": lambda s, v, c: v in s.all("expert", "noise"),
    "data.examples": lambda s, v, c: _counts(s, "examples") == v // 2 * TASKS,
    "data.rollouts": lambda s, v, c: _counts(s, "base") == v * TASKS,
    "data.rollout_temperatures": lambda s, v, c: {f"base at T={each}" for each in v} <= set(s.files("gate")),
    "data.gate_episodes": lambda s, v, c: _counts(s, "gate/half-trained base") == v * TASKS,
    "data.gate_groups": lambda s, v, c: _counts(s, "gate_groups") == v * TASKS * c.rl.group_size,
    "data.play": lambda s, v, c: _counts(s, "play") == v,
    "data.imagined_actions": lambda s, v, c: _counts(s, "confronted/base") == v * TASKS,
    "data.imagined_actions_weight": lambda s, v, c: (
        v in _kept_up(s) and any({v, REFINEMENT_WEIGHT} <= each for each in _weights(s))
    ),
    "data.hold_after_success": lambda s, v, c: (
        max(len(e) - e.first_success - 1 for e in s.episodes("examples") if e.success.any()) == v
        and set(s.all("real", "hold_after_success")) == {0, v}
        and set(s.all("imagined", "hold_after_success")) == {0, v, c.max_steps}
    ),
    "data.budget": lambda s, v, c: v * TASKS in s.all("ledger", "budget"),
    "imitation.policy.hidden_size": lambda s, v, c: _policy(s, "hidden_size") == {v},
    "imitation.policy.num_hidden_layers": lambda s, v, c: _policy(s, "num_hidden_layers") == {v},
    "imitation.policy.num_attention_heads": lambda s, v, c: _policy(s, "num_attention_heads") == {v},
    "world.size.num_attention_heads": lambda s, v, c: _transformer(s, "num_attention_heads") == {v},
    "world.size.attention_head_dim": lambda s, v, c: _transformer(s, "attention_head_dim") == {v},
    "world.size.ffn_dim": lambda s, v, c: _transformer(s, "ffn_dim") == {v},
    "world.size.num_layers": lambda s, v, c: _transformer(s, "num_layers") == {v},
    "world.size.patch_size": lambda s, v, c: _transformer(s, "patch_size") == {tuple(v)},
    "world.size.latent_channels": lambda s, v, c: (
        _transformer(s, "in_channels") == _transformer(s, "out_channels") == {v} == {_codec(s, "latent_channels")}
    ),
    "world.size.codec_width": lambda s, v, c: _codec(s, "width") == v,
    "world.codec.batch": lambda s, v, c: _batches(s, "codec", "frames") == {v},
    "world.codec.latent_noise": lambda s, v, c: _learner(s, "codec", "latent_noise") == {v},
    "world.codec.fit.learning_rate": lambda s, v, c: _asked_for_rates(s, v, c.world.codec),
    "world.context.anchor": lambda s, v, c: {each.anchor for each in s.all("latents", "self")} == {v},
    "world.context.memory": lambda s, v, c: {each.memory for each in s.all("latents", "self")} == {v},
    "world.context.noise": lambda s, v, c: {each.noise for each in s.all("context noise", "self")} == {v},
    "world.sampler_steps": lambda s, v, c: v in {call["self"].steps for call in s["sampler"]},
    "world.imagined_rows": lambda s, v, c: set(s.all("imagined", "num_envs")) == {v, c.rl.groups * c.rl.group_size},
    "gate.precision": lambda s, v, c: {each.precision for each in s.all("gate", "bounds")} == {v},
    "gate.precision_low": lambda s, v, c: {each.precision_low for each in s.all("gate", "bounds")} == {v},
    "gate.correlation": lambda s, v, c: {each.correlation for each in s.all("gate", "bounds")} == {v},
    "gate.reward_correlation": lambda s, v, c: {each.reward_correlation for each in s.all("gate", "bounds")} == {v},
    "rl.groups": lambda s, v, c: {len(starts) for starts in s.all("group", "starts")} == {v * c.rl.group_size},
    "rl.group_size": lambda s, v, c: all(
        len({id(start) for start in starts[first : first + v]}) == 1
        for starts in s.all("group", "starts")
        for first in range(0, len(starts), v)
    ),
    "rl.max_resamples": lambda s, v, c: sum(n.startswith("improve_1/0") for n in s.all("group", "name")) == v,
    "rl.temperature": lambda s, v, c: (
        set(s.all("group", "temperature")) == set(s.all("log_prob", "temperature")) == {v}
    ),
    "rl.noise": lambda s, v, c: not s["shared noise"],
    "rl.learning_rate": lambda s, v, c: {each.learning_rate for each in s.all("rate", "self")} == {v},
    "rl.warmup_iterations": lambda s, v, c: {each.warmup_iterations for each in s.all("rate", "self")} == {v},
    "rl.final_fraction": lambda s, v, c: {each.final_fraction for each in s.all("rate", "self")} == {v},
    "rl.epochs": lambda s, v, c: len(s["select"]) == v * int(s.all("select", "scale")[0]),
    "rl.minibatch": lambda s, v, c: all(abs(len(rows) - v) <= 1 for rows in s.all("select", "rows")),
    "rl.clip_low": lambda s, v, c: set(s.all("objective", "clip_low")) == {v},
    "rl.clip_high": lambda s, v, c: set(s.all("objective", "clip_high")) == {v},
    "rl.max_gradient_norm": lambda s, v, c: v in s.all("clip norm", "max_norm"),
    "rl.reward_coefficient": lambda s, v, c: _returns(s, 1) == {v},
    "rl.gamma": lambda s, v, c: _returns(s, 2) == {v},
    "rl.iterations": lambda s, v, c: [len(s.rows(f"improve_{n}")) for n in (1, 2)] == v,
    "rl.mask": lambda s, v, c: bool(s["no mask"]) and not s["success mask"] and c.rl.mask == NoMask(),
    "rl.normaliser": lambda s, v, c: bool(s["mean"]) and not s["mean and std"] and c.rl.normaliser == MeanBaseline(),
    "rl.dual_clip": lambda s, v, c: set(s.all("dual clip", "self")) == {DualClip(v["limit"])},
    "rl.kl_coef": lambda s, v, c: _learner(s, "penalty", "kl_coef") == {v},
    "rl.keyframe_share": lambda s, v, c: _learner(s, "draw", "keyframe_share") == {v},
    "rl.keyframe_steps": lambda s, v, c: {v} <= set(s.all("imagined", "keyframe_steps")) <= {v, None},
    "rl.filtered_bc.in_imagination": lambda s, v, c: bool(s["imitated again"]) == v,
    "rl.filtered_bc.after_last_round": lambda s, v, c: bool(s.rows("imitation_3")) == v and bool(s.rows("imitation_2")),
    "rl.monitor.every": lambda s, v, c: [_monitored(s, n) for n in (1, 2)] == [[0, 1], [-1, 0, v]],
    "rl.monitor.starts": lambda s, v, c: _counts(s, "monitored_1/000") == v * TASKS,
    "rl.monitor.act_in_real": lambda s, v, c: bool(s["executed"]) != v,
    "rl.monitor.weight": lambda s, v, c: (
        v in _kept_up(s) and any({v, REFINEMENT_WEIGHT} <= each for each in _weights(s))
    ),
    "rl.monitor.only_reports": lambda s, v, c: bool(s["over-optimised"]) != v,
    "rl.refinement_rollouts": lambda s, v, c: _counts(s, "fresh") == v * TASKS,
    "evaluation.starts": lambda s, v, c: {len(starts) for starts in s.all("evaluated", "starts")} == {v * TASKS},
    "evaluation.check_every": lambda s, v, c: (
        [row["step"] for row in _checked(s)] == list(range(0, c.rl.iterations[1] + 1, v))
    ),
    "evaluation.check_starts": lambda s, v, c: {row["n"] for row in _checked(s)} == {v * TASKS},
    "evaluation.confusion_rollouts": lambda s, v, c: (
        sum(s.json("evaluation.json")["base"]["confusion"].values()) == v * TASKS
    ),
    **of_parts(("imitation.training", "rl.filtered_bc.training"), IMITATION),
    **of_parts(("reward.training", "reward.refresh"), REWARD),
    **of_parts(("world.training", "world.refinement", "world.refresh"), WORLD),
}
