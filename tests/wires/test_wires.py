"""Every choice of a configuration arrives where it acts: one smoke run with choices that no preset makes, and a spy at
the place where each is used. A wire that is cut there hands on a preset's value, and its test fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import torch
from choices import CHOICES, ELSEWHERE, SPIES
from spies import Seen, spy_on
from wovr_lab.pace.scales import scale_config

from wovr_lab.grpo.batch import to_batch
from wovr_lab.grpo.formulas import DualClip, MeanBaseline, NoMask
from wovr_lab.pace.config import LoopConfig
from wovr_lab.pace.loop import run_loop
from wovr_lab.pace.settings import changed

pytestmark = [pytest.mark.smoke, pytest.mark.timeout(900)]
TASKS = 2


@pytest.fixture(scope="module")
def config() -> LoopConfig:
    return changed(scale_config("smoke"), CHOICES)


@pytest.fixture(scope="module")
def seen(config: LoopConfig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """The run, and one update of its last trainer on made-up advantages: at this scale no group has both outcomes."""
    seen = Seen(tmp_path_factory.mktemp("wires") / "run")
    with pytest.MonkeyPatch.context() as patch:
        for name, place in SPIES.items():
            spy_on(seen, name, place, patch)
        run_loop(config, seen.folder)
        _update(seen["train"][-1]["self"])
        yield seen


def _update(trainer: Any) -> None:
    rng = np.random.default_rng(0)
    rollouts = trainer.roll_out(rng)
    advantages = torch.linspace(-1, 1, len(rollouts))
    weights = torch.ones(rollouts.actions.shape[:3]) / len(rollouts)
    trainer.update(to_batch(rollouts, advantages, weights), rng)


def _counts(seen: Seen, name: str) -> int:
    return len(seen.episodes(name))


def _first(values: Any) -> set[int]:
    """How many rows tensors have."""
    return {len(each) for each in values}


def _fits(seen: Seen, config: LoopConfig, name: str) -> bool:
    """Whether training asked this very schedule for its rates."""
    part = config
    for each in name.split(".")[:-1]:
        part = getattr(part, each)
    return part in seen.all("fit rate", "self")


def _attempts(seen: Seen, noise: float) -> bool:
    return noise in seen.all("attempts", "noise")


def _monitored(seen: Seen, number: int) -> list[int]:
    return [int(name) for name in seen.files(f"monitored_{number}")]


def _weights(seen: Seen) -> list[set[float]]:
    """Of the episodes of each table that a world model learnt from."""
    return [{round(weight, 3) for weight in weights} for weights in seen.all("table", "weights")]


def _checked(seen: Seen) -> list[dict[str, Any]]:
    return seen.rows("improve_2/real")


def _kept_up(seen: Seen) -> list[Any]:
    return [weight for known in seen.all("refresh", "known") for _, weight in known]


# By setting: what must be seen of it where it acts. `s` is what was seen, `v` the choice, `c` the configuration.
Check = Callable[[Seen, Any, LoopConfig], bool]
WIRES: dict[str, Check] = {
    "seed": lambda s, v, c: set(s.all("attempts", "run_seed")) == {v},
    "max_steps": lambda s, v, c: (
        {len(each) for each in s.episodes("base") if each.first_success < 0} == {v}
        and set(s.all("imagined", "max_steps")) == {v}
    ),
    "demonstrations": lambda s, v, c: _counts(s, "demonstrations") == v * TASKS,
    "demonstration_noise": lambda s, v, c: _attempts(s, v),
    "examples": lambda s, v, c: _counts(s, "examples") == v // 2 * TASKS,
    "example_noise": lambda s, v, c: _attempts(s, v),
    "example_ahead": lambda s, v, c: max(steps for each in s.all("truncated_before_success", "attempts") for _, steps in each) <= v,
    "rollouts": lambda s, v, c: _counts(s, "base") == v * TASKS,
    "rollout_temperatures": lambda s, v, c: {f"base at T={each}" for each in v} <= set(s.files("gate")),
    "gate_episodes": lambda s, v, c: _counts(s, "gate/half-trained base") == v * TASKS,
    "gate_noises": lambda s, v, c: [n for n in s.files("gate") if "expert" in n] == [f"expert, noise {n}" for n in v],
    "gate_groups": lambda s, v, c: _counts(s, "gate_groups") == v * TASKS * c.grpo.group_size,
    "fresh": lambda s, v, c: _counts(s, "fresh") == v * TASKS,
    "play": lambda s, v, c: _counts(s, "play") == v,
    "rollout_weight": lambda s, v, c: v in _weights(s)[0],
    "fresh_weight": lambda s, v, c: any(v in each for each in _weights(s)) and set(s.all("refresh", "weight")) == {v},
    "monitored_weight": lambda s, v, c: v in _kept_up(s) and any({v, c.fresh_weight} <= each for each in _weights(s)),
    "confronted": lambda s, v, c: _counts(s, "confronted/base") == v * TASKS,
    "hold": lambda s, v, c: (
        max(len(e) - e.first_success - 1 for e in s.episodes("examples") if e.success.any()) == v
        and set(s.all("real", "hold")) == set(s.all("imagined", "hold_after_success")) == {0, v}
    ),
    "budget": lambda s, v, c: v * TASKS in s.all("ledger", "budget"),
    "policy.hidden_size": lambda s, v, c: {call["self"].config.hidden_size for call in s["act"]} == {v},
    "policy.num_hidden_layers": lambda s, v, c: {call["self"].config.num_hidden_layers for call in s["act"]} == {v},
    "policy.num_attention_heads": lambda s, v, c: {call["self"].config.num_attention_heads for call in s["act"]} == {v},
    "imitation.batch": lambda s, v, c: v in _first(s.all("augment", "pictures")),
    "imitation.fit.learning_rate": lambda s, v, c: _fits(s, c, "imitation.fit.learning_rate"),
    "imitation.shift": lambda s, v, c: v in {each.shift for each in s.all("augment", "config")},
    "imitation.rotation_weight": lambda s, v, c: v in {call["self"].rotation_weight for call in s["imitation"]},
    "reward.batch": lambda s, v, c: v in s.all("reward draw", "count"),
    "reward.newest": lambda s, v, c: round(v * c.reward.batch) in s.all("reward draw", "count"),
    "reward.fit.learning_rate": lambda s, v, c: _fits(s, c, "reward.fit.learning_rate"),
    "reward_refresh.batch": lambda s, v, c: {v // 2, v - v // 2} <= set(s.all("reward draw", "count")),
    "reward_refresh.fit.learning_rate": lambda s, v, c: _fits(s, c, "reward_refresh.fit.learning_rate"),
    "world_refresh.batch": lambda s, v, c: v in {len(batch["actions"]) for batch in s.all("flow", "batch")},
    "world_refresh.fit.learning_rate": lambda s, v, c: _fits(s, c, "world_refresh.fit.learning_rate"),
    "world_size.num_layers": lambda s, v, c: {
        call["self"].world.transformer.config.num_layers for call in s["flow"]
    } == {v},
    "world_size.codec_width": lambda s, v, c: s.json("checkpoints/world/codec/config.json")["width"] == v,
    "codec.batch": lambda s, v, c: {len(batch["frames"]) for batch in s.all("codec", "batch")} == {v},
    "codec.latent_noise": lambda s, v, c: {call["self"].latent_noise for call in s["codec"]} == {v},
    "codec.fit.learning_rate": lambda s, v, c: _fits(s, c, "codec.fit.learning_rate"),
    "world.batch": lambda s, v, c: v in {len(batch["actions"]) for batch in s.all("flow", "batch")},
    "world.fit.learning_rate": lambda s, v, c: _fits(s, c, "world.fit.learning_rate"),
    "world.self_forcing": lambda s, v, c: tuple(v) in {each.self_forcing for each in s.all("depth", "self")},
    "world.ramp": lambda s, v, c: v in {each.ramp for each in s.all("depth", "self")},
    "world.self_forcing_steps": lambda s, v, c: v in {call["self"].steps for call in s["sampler"]},
    "world.motion_weight": lambda s, v, c: v in {call["self"].motion_weight for call in s["flow"]},
    "world.pure_noise": lambda s, v, c: v in s.all("flow noise", "pure_noise"),
    "refine.batch": lambda s, v, c: v in {len(batch["actions"]) for batch in s.all("flow", "batch")},
    "refine.fit.learning_rate": lambda s, v, c: _fits(s, c, "refine.fit.learning_rate"),
    "context.anchor": lambda s, v, c: {each.anchor for each in s.all("latents", "self")} == {v},
    "context.memory": lambda s, v, c: {each.memory for each in s.all("latents", "self")} == {v},
    "context.noise": lambda s, v, c: {each.noise for each in s.all("disturb", "self")} == {v},
    "sampler_steps": lambda s, v, c: v in {call["self"].steps for call in s["sampler"]},
    "imitate_successes.batch": lambda s, v, c: v in _first(s.all("augment", "pictures")),
    "imitate_successes.fit.learning_rate": lambda s, v, c: _fits(s, c, "imitate_successes.fit.learning_rate"),
    "imitate_imagined": lambda s, v, c: bool(s["imitated again"]) == v,
    "imitate_last": lambda s, v, c: bool(s.rows("imitation_3")) == v and bool(s.rows("imitation_2")),
    "grpo.groups": lambda s, v, c: {len(starts) for starts in s.all("group", "starts")} == {v * c.grpo.group_size},
    "grpo.group_size": lambda s, v, c: all(
        len({id(start) for start in starts[first : first + v]}) == 1
        for starts in s.all("group", "starts") for first in range(0, len(starts), v)
    ),
    "grpo.max_resamples": lambda s, v, c: sum(n.startswith("improve_1/0") for n in s.all("group", "name")) == v,
    "grpo.temperature": lambda s, v, c: (
        set(s.all("group", "temperature")) == set(s.all("log_prob", "temperature")) == {v}
    ),
    "grpo.noise": lambda s, v, c: not s["shared noise"],
    "grpo.learning_rate": lambda s, v, c: {each.learning_rate for each in s.all("rate", "self")} == {v},
    "grpo.warmup_iterations": lambda s, v, c: {each.warmup_iterations for each in s.all("rate", "self")} == {v},
    "grpo.final_fraction": lambda s, v, c: {each.final_fraction for each in s.all("rate", "self")} == {v},
    "grpo.epochs": lambda s, v, c: len(s["select"]) == v * len(set(_minibatches(s))),
    "grpo.minibatch": lambda s, v, c: all(abs(len(rows) - v) <= 1 for rows in s.all("select", "rows")),
    "grpo.clip_low": lambda s, v, c: set(s.all("objective", "clip_low")) == {v},
    "grpo.clip_high": lambda s, v, c: set(s.all("objective", "clip_high")) == {v},
    "grpo.max_gradient_norm": lambda s, v, c: v in s.all("clip norm", "max_norm"),
    "grpo.reward_coefficient": lambda s, v, c: set(_returns(s, 1)) == {v},
    "grpo.gamma": lambda s, v, c: set(_returns(s, 2)) == {v},
    "mask": lambda s, v, c: bool(s["no mask"]) and not s["success mask"] and c.mask == NoMask(),
    "normaliser": lambda s, v, c: bool(s["mean"]) and not s["mean and std"] and c.normaliser == MeanBaseline(),
    "dual_clip": lambda s, v, c: set(s.all("dual clip", "self")) == {DualClip(v["limit"])},
    "kl_coef": lambda s, v, c: {call["self"].kl_coef for call in s["penalty"]} == {v},
    "iterations": lambda s, v, c: [len(s.rows(f"improve_{n}")) for n in (1, 2)] == v,
    "monitor_every": lambda s, v, c: [_monitored(s, 1), _monitored(s, 2)] == [[0, 1], [-1, 0, 2]],
    "monitor_starts": lambda s, v, c: _counts(s, "monitored_1/000") == v * TASKS,
    "monitor_acts": lambda s, v, c: bool(s["executed"]) != v,
    "keyframe_share": lambda s, v, c: set(call["self"].keyframe_share for call in s["draw"]) == {v},
    "keyframe_steps": lambda s, v, c: {v} <= set(s.all("imagined", "keyframe_steps")) <= {v, None},
    "gate.precision": lambda s, v, c: {each.precision for each in s.all("gate", "bounds")} == {v},
    "gate.precision_low": lambda s, v, c: {each.precision_low for each in s.all("gate", "bounds")} == {v},
    "gate.correlation": lambda s, v, c: {each.correlation for each in s.all("gate", "bounds")} == {v},
    "gate.reward_correlation": lambda s, v, c: {each.reward_correlation for each in s.all("gate", "bounds")} == {v},
    "evaluation_starts": lambda s, v, c: {len(starts) for starts in s.all("evaluated", "starts")} == {v * TASKS},
    "evaluation_first_seed": lambda s, v, c: {
        min(start.seed for start in starts) for starts in s.all("evaluated", "starts")
    } == {v},
    "check_every": lambda s, v, c: [row["step"] for row in _checked(s)] == list(range(0, c.iterations[1] + 1, v)),
    "check_starts": lambda s, v, c: {row["n"] for row in _checked(s)} == {v * TASKS},
    "confusion_rollouts": lambda s, v, c: sum(s.json("evaluation.json")["base"]["confusion"].values()) == v * TASKS,
    "imagined_rows": lambda s, v, c: set(s.all("imagined", "num_envs")) == {v, c.grpo.groups * c.grpo.group_size},
}  # fmt: skip


def _returns(seen: Seen, place: int) -> list[float]:
    """The numbers that outcomes were turned into returns by: argument `place` after the outcomes."""
    return [list(call.given.values())[place] for call in seen["returns"]]


def _minibatches(seen: Seen) -> list[float]:
    """One entry a minibatch of an epoch: `scale` says how many there are."""
    return list(range(int(seen.all("select", "scale")[0])))


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_arrives_where_it_acts(name, seen, config):
    assert WIRES[name](seen, CHOICES[name], config), f"{name} = {CHOICES[name]!r} did not arrive"


def test_every_setting_has_a_wire_or_a_reason(config):
    parts = {name.split(".")[0] for name in CHOICES} | ELSEWHERE.keys()
    assert {entry.name for entry in fields(config)} == parts
    for name in ("grpo", "gate", "context"):
        inner = {f"{name}.{entry.name}" for entry in fields(getattr(config, name))}
        assert inner <= CHOICES.keys(), inner - CHOICES.keys()


def test_no_choice_is_what_smoke_has_anyway(config):
    """Else a cut wire would hand on the same."""
    smoke = scale_config("smoke")
    for name in CHOICES:
        values = [config, smoke]
        for part in name.split("."):
            values = [getattr(value, part) for value in values]
        assert values[0] != values[1], name
