"""As `test_wires`, for the world model in pixels: its size, its losses, what it is told of the robot's state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

import pytest
from spies import Seen, spy_on
from wovr_lab.pace.scales import PIXELS, scale_config

from wovr_lab.pace.config import LoopConfig
from wovr_lab.pace.learning import new_pixel_world
from wovr_lab.pace.loop import run_loop
from wovr_lab.pace.settings import changed

pytestmark = [pytest.mark.smoke, pytest.mark.timeout(900)]

CHOICES: dict[str, Any] = {
    "world_size.width": 24, "world_size.num_layers": 2, "world_size.hidden": 24, "world_size.warping": False,
    "world_size.action_channels": "attention", "world_size.hypotheses": 2, "world.batch": 3,
    "world.self_forcing": [0.3, 0.7], "world.ramp": 0.2, "world.motion_weight": 2.5, "world.pure_noise": 0.3,
    "world.histogram_share": 0.6, "world.histogram_ramp": 0.3, "world.histogram_regions": [1, 2],
    "world.prior_weight": 0.02, "world.true_states": 0.45, "world.state_noise": 0.2,
    "world.fit.learning_rate": 1.6e-3, "world.states.batch": 5, "world.states.frame_noise": 0.07,
    "world.states.blocked_weight": 2.0, "world.states.lag": 0.02, "world.states.fit.learning_rate": 1.9e-3,
    "context.noise": 0.07, "sampler_steps": 2,
}  # fmt: skip

SPIES = {
    "loss": "wovr_lab.world.pixel_training:PixelFlowLoss.forward",
    "noise": "wovr_lab.world.pixel_training:pixel_noise",
    "depth": "wovr_lab.world.pixel_training:PixelTrainingConfig.depth",
    "added": "wovr_lab.world.pixel_training:added_at_share",
    "distance": "wovr_lab.world.pixel_training:histogram_distance",
    "states": "wovr_lab.world.state_training:StateLoss.forward",
    "weighted": "wovr_lab.world.state_training:_weighted",
    "fit rate": "wovr_lab.training:FitConfig.rate",
}


@pytest.fixture(scope="module")
def config() -> LoopConfig:
    return changed(scale_config("smoke", imagined_in=PIXELS), CHOICES)


@pytest.fixture(scope="module")
def seen(config: LoopConfig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """A run until it has a world model."""
    seen = Seen(tmp_path_factory.mktemp("wires") / "run")
    with pytest.MonkeyPatch.context() as patch:
        for name, place in SPIES.items():
            spy_on(seen, name, place, patch)
        run_loop(config, seen.folder, until="train_world")
        yield seen


def _network(seen: Seen, name: str) -> set[Any]:
    """A setting of the networks whose loss was computed."""
    return {call["self"].world.network.config[name] for call in seen["loss"]}


def _loss(seen: Seen, name: str) -> set[Any]:
    return {getattr(call["self"].config, name) for call in seen["loss"]}


Check = Callable[[Seen, Any, LoopConfig], bool]
WIRES: dict[str, Check] = {
    "world_size.width": lambda s, v, c: _network(s, "width") == {v},
    "world_size.num_layers": lambda s, v, c: _network(s, "num_layers") == {v},
    "world_size.hidden": lambda s, v, c: _network(s, "hidden") == {v},
    "world_size.warping": lambda s, v, c: _network(s, "warping") == {v},
    "world_size.action_channels": lambda s, v, c: _network(s, "action_channels") == {v},
    "world_size.hypotheses": lambda s, v, c: _network(s, "hypotheses") == {v},
    "world.batch": lambda s, v, c: {len(batch["actions"]) for batch in s.all("loss", "batch")} == {v},
    "world.self_forcing": lambda s, v, c: {each.self_forcing for each in s.all("depth", "self")} == {tuple(v)},
    "world.ramp": lambda s, v, c: {each.ramp for each in s.all("depth", "self")} == {v},
    "world.motion_weight": lambda s, v, c: _loss(s, "motion_weight") == {v},
    "world.pure_noise": lambda s, v, c: {each.pure_noise for each in s.all("noise", "config")} == {v},
    "world.histogram_share": lambda s, v, c: max(map(float, s.all("added", "share"))) == pytest.approx(v),
    "world.histogram_ramp": lambda s, v, c: {
        round(float(batch["histogram_ramp"].mean()), 3) for batch in s.all("loss", "batch")
    } == {round(min(1, step / max(1, v * c.world.fit.steps)), 3) for step in range(c.world.fit.steps)},
    "world.histogram_regions": lambda s, v, c: {list(call.given.values())[2] for call in s["distance"]} == set(v),
    "world.prior_weight": lambda s, v, c: _loss(s, "prior_weight") == {v},
    "world.true_states": lambda s, v, c: {each.true_states for each in s.all("noise", "config")} == {v},
    "world.state_noise": lambda s, v, c: _loss(s, "state_noise") == {v},
    "world.fit.learning_rate": lambda s, v, c: c.world.fit in s.all("fit rate", "self"),
    "world.states.batch": lambda s, v, c: {len(batch["actions"]) for batch in s.all("states", "batch")} == {v},
    "world.states.frame_noise": lambda s, v, c: (
        float(s["states"][0]["batch"]["frame_noise"].std()) == pytest.approx(v, 0.1)
    ),
    "world.states.blocked_weight": lambda s, v, c: {each.blocked_weight for each in s.all("weighted", "config")} == {v},
    "world.states.lag": lambda s, v, c: {each.lag for each in s.all("weighted", "config")} == {v},
    "world.states.fit.learning_rate": lambda s, v, c: c.world.states.fit in s.all("fit rate", "self"),
    "context.noise": lambda s, v, c: {call["self"].world.context.noise for call in s["loss"]} == {v},
    "sampler_steps": lambda s, v, c: s.json("checkpoints/world/world.json")["sampler"]["steps"] == v,
}  # fmt: skip


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_arrives_where_it_acts(name, seen, config):
    assert WIRES[name](seen, CHOICES[name], config), f"{name} = {CHOICES[name]!r} did not arrive"


def test_a_model_is_told_the_robots_states_only_where_a_run_says_so(config):
    told, untold = (new_pixel_world(changed(config, {"world_size.states": states})) for states in (True, False))
    assert told.robot is not None and told.state_head is not None
    assert untold.robot is None and untold.state_head is None


def test_every_setting_of_its_training_has_a_wire(config):
    for name in ("world", "world.states"):
        part = config.world if name == "world" else config.world.states
        inner = {f"{name}.{entry.name}" for entry in fields(part)} - {f"{name}.fit", "world.states"}
        assert inner <= CHOICES.keys(), inner - CHOICES.keys()
