"""Every choice of a configuration arrives where it acts: one smoke run with choices that no preset makes, and a spy at
the place where each is used. A wire that is cut there hands on a preset's value, and its test fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from choices import CHOICES, ELSEWHERE
from places import SPIES
from spies import Seen, at, spy_on, unfollowed
from wires import WIRES

from wovr_lab.grpo.batch import to_batch
from wovr_lab.pace.config import RunConfig
from wovr_lab.pace.improving import may_improve
from wovr_lab.pace.loop import run_loop
from wovr_lab.pace.presets import preset
from wovr_lab.pace.rounds import rounds
from wovr_lab.pace.settings import changed
from wovr_lab.pace.stages import open_run

pytestmark = [pytest.mark.smoke, pytest.mark.timeout(900)]
STAGES = {  # who trains by what part of the configuration: the spy, and the argument that it is given
    "imitation.training": ("sft", "config"),
    "rl.filtered_bc.training": ("filtered bc", "config"),
    "reward.training": ("reward", "config"),
    "reward.refresh": ("reward refresh", "config"),
    "world.refresh": ("world refresh", "training"),
}


@pytest.fixture(scope="module")
def config() -> RunConfig:
    return changed(preset("smoke"), CHOICES)


@pytest.fixture(scope="module")
def seen(config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
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


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_arrives_where_it_acts(name, seen, config):
    assert WIRES[name](seen, CHOICES[name], config), f"{name} = {CHOICES[name]!r} did not arrive"


@pytest.mark.parametrize("part", STAGES)
def test_every_training_is_by_its_own_part(part, seen, config):
    spy, argument = STAGES[part]
    wanted = at(config, part)
    given = [replace(each, fit=replace(each.fit, steps=wanted.fit.steps)) for each in seen.all(spy, argument)]
    assert given and set(given) == {wanted}


def test_a_world_model_is_trained_by_one_part_and_refined_by_another(seen, config):
    given = {call["name"]: call["training"] for call in seen["world"]}
    assert given == {"world": config.world.training, "world_evolved": config.world.refinement}


def test_a_gate_that_did_not_pass_lets_rl_start_only_where_it_only_reports(seen, config):
    run, phase = open_run(seen.folder, config), rounds(config)[0]
    assert not seen.json(phase.verdict)["passed"]
    for only_reports in (False, True):
        asked = replace(run, config=changed(config, {"gate.only_reports": only_reports}))
        assert may_improve(asked, phase) == only_reports


def test_every_setting_has_a_wire_or_a_reason(config):
    assert CHOICES.keys() == WIRES.keys()
    assert not unfollowed(config, [*CHOICES, *ELSEWHERE])


def test_a_setting_that_nobody_follows_is_noticed(config):
    followed = [name for name in (*CHOICES, *ELSEWHERE) if name not in ("rl.monitor.every", "world.refresh.ramp")]
    assert unfollowed(config, followed) == ["world.refresh.ramp", "rl.monitor.every"]


def test_no_choice_is_what_smoke_has_anyway(config):
    """Else a cut wire would hand on the same."""
    smoke = preset("smoke")
    same = [name for name in CHOICES if at(config, name) == at(smoke, name)]
    assert not same
