"""The world model in pixels, as `test_wires` follows the one in latents: its size, its losses, what it is told of the
robot's state.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from spies import Seen, at, spy_on, unfollowed
from wires import Check, grown_shares

from wovr_lab.pace.config import RunConfig
from wovr_lab.pace.learning import new_pixel_world
from wovr_lab.pace.loop import run_loop
from wovr_lab.pace.presets import PIXELS, preset
from wovr_lab.pace.settings import changed, flattened

pytestmark = [pytest.mark.smoke, pytest.mark.timeout(900)]

CHOICES: dict[str, Any] = flattened(
    {
        "size": {
            "grid": 8,
            "width": 24,
            "num_attention_heads": 3,
            "attention_head_dim": 12,
            "num_layers": 2,
            "hidden": 24,
            "warping": False,
            "action_channels": "attention",
            "hypotheses": 2,
        },
        "training": {
            "batch": 3,
            "self_forcing": [0.3, 0.7],
            "ramp": 0.5,
            "motion_weight": 2.5,
            "pure_noise": 0.3,
            "histogram_share": 0.6,
            "histogram_ramp": 0.9,
            "histogram_regions": [1, 2],
            "prior_weight": 0.02,
            "true_states": 0.45,
            "state_noise": 0.2,
            "fit": {"learning_rate": 1.6e-3},
            "states": {
                "batch": 5,
                "frame_noise": 0.07,
                "blocked_weight": 2.0,
                "lag": 0.02,
                "fit": {"learning_rate": 1.9e-3},
            },
        },
        "context": {"anchor": False, "memory": 1, "noise": 0.07},
        "sampler_steps": 2,
    }
)  # of `world`
ELSEWHERE = {
    "backbone": "weights of its own, which tests/pace/test_pixel_loop.py begins with",
    "size.states": "a test of its own asks for a model with and without",
    "refinement": "the loop hands it on whole, whatever model it is of: `test_wires` follows it",
    "refresh": "the loop hands it on whole, whatever model it is of: `test_wires` follows it",
    "imagined_rows": "rows of the environment, whatever model imagines: `test_wires` follows it",
}
SPIES = {
    "loss": "wovr_lab.world.pixel_training:PixelFlowLoss.forward",
    "noise": "wovr_lab.world.pixel_training:pixel_noise",
    "heard": "wovr_lab.world.pixel_network:PixelNetwork.hear",
    "depth": "wovr_lab.world.pixel_training:imagined_chunks",
    "added": "wovr_lab.world.pixel_training:added_at_share",
    "distance": "wovr_lab.world.pixel_training:histogram_distance",
    "states": "wovr_lab.world.state_training:StateLoss.forward",
    "weighted": "wovr_lab.world.state_training:_weighted",
    "fit rate": "wovr_lab.training:FitConfig.rate",
}


@pytest.fixture(scope="module")
def config() -> RunConfig:
    return changed(preset("smoke", world=PIXELS), {f"world.{name}": value for name, value in CHOICES.items()})


@pytest.fixture(scope="module")
def seen(config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """A run until it has a world model."""
    seen = Seen(tmp_path_factory.mktemp("wires") / "run")
    with pytest.MonkeyPatch.context() as patch:
        for name, place in SPIES.items():
            spy_on(seen, name, place, patch)
        run_loop(config, seen.folder, until="train_world")
        yield seen


def _world(seen: Seen, name: str) -> set[Any]:
    """An attribute, by its dotted name, of the models whose loss was computed."""
    return {at(call["self"].world, name) for call in seen["loss"]}


def _network(seen: Seen, name: str) -> set[Any]:
    return {call["self"].world.network.config[name] for call in seen["loss"]}


def _loss(seen: Seen, name: str) -> set[Any]:
    return {getattr(call["self"].config, name) for call in seen["loss"]}


def _batches(seen: Seen, loss: str) -> set[int]:
    return {len(batch["actions"]) for batch in seen.all(loss, "batch")}


def _histogram_grown(training: Any) -> set[float]:
    steps = training.fit.steps
    return {round(min(1, step / max(1, training.histogram_ramp * steps)), 3) for step in range(steps)}


# As in `wires`: `s` is what was seen, `v` the choice, `c` the configuration.
WIRES: dict[str, Check] = {
    "size.grid": lambda s, v, c: _network(s, "grid") == {v},
    "size.width": lambda s, v, c: _network(s, "width") == {v},
    "size.num_attention_heads": lambda s, v, c: _network(s, "num_attention_heads") == {v},
    "size.attention_head_dim": lambda s, v, c: _network(s, "attention_head_dim") == {v},
    "size.num_layers": lambda s, v, c: _network(s, "num_layers") == {v},
    "size.hidden": lambda s, v, c: _network(s, "hidden") == {v},
    "size.warping": lambda s, v, c: _network(s, "warping") == {v},
    "size.action_channels": lambda s, v, c: _network(s, "action_channels") == {v},
    "size.hypotheses": lambda s, v, c: _network(s, "hypotheses") == {v},
    "training.batch": lambda s, v, c: _batches(s, "loss") == {v},
    "training.self_forcing": lambda s, v, c: set(s.all("depth", "self_forcing")) == {tuple(v)},
    "training.ramp": lambda s, v, c: set(s.all("depth", "grown")) == set(grown_shares(c.world.training)),
    "training.motion_weight": lambda s, v, c: _loss(s, "motion_weight") == {v},
    "training.pure_noise": lambda s, v, c: {each.pure_noise for each in s.all("noise", "config")} == {v},
    "training.histogram_share": lambda s, v, c: (
        max(map(float, s.all("added", "share"))) == pytest.approx(v * max(_histogram_grown(c.world.training)), rel=1e-3)
    ),
    "training.histogram_ramp": lambda s, v, c: (
        {round(float(batch["histogram_ramp"].mean()), 3) for batch in s.all("loss", "batch")}
        == _histogram_grown(c.world.training)
    ),
    "training.histogram_regions": lambda s, v, c: set(s.all("distance", "regions")) == set(v),
    "training.prior_weight": lambda s, v, c: _loss(s, "prior_weight") == {v},
    "training.true_states": lambda s, v, c: {each.true_states for each in s.all("noise", "config")} == {v},
    "training.state_noise": lambda s, v, c: _loss(s, "state_noise") == {v},
    "training.fit.learning_rate": lambda s, v, c: c.world.training.fit in s.all("fit rate", "self"),
    "training.states.batch": lambda s, v, c: _batches(s, "states") == {v},
    "training.states.frame_noise": lambda s, v, c: (
        float(s["states"][0]["batch"]["frame_noise"].std()) == pytest.approx(v, 0.1)
    ),
    "training.states.blocked_weight": lambda s, v, c: (
        {each.blocked_weight for each in s.all("weighted", "config")} == {v}
    ),
    "training.states.lag": lambda s, v, c: {each.lag for each in s.all("weighted", "config")} == {v},
    "training.states.fit.learning_rate": lambda s, v, c: c.world.training.states.fit in s.all("fit rate", "self"),
    "context.noise": lambda s, v, c: _world(s, "context.noise") == {v},
    "context.anchor": lambda s, v, c: all(call["anchor"].equal(call["memory"][:, -1]) for call in s["heard"]) != v,
    "context.memory": lambda s, v, c: all(
        memory.equal(memory[:, -1:].expand_as(memory)) for memory in s.all("heard", "memory")
    ),
    "sampler_steps": lambda s, v, c: s.json("checkpoints/world/world.json")["sampler"]["steps"] == v,
}


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_arrives_where_it_acts(name, seen, config):
    assert WIRES[name](seen, CHOICES[name], config), f"world.{name} = {CHOICES[name]!r} did not arrive"


def test_a_model_is_told_the_robots_states_only_where_a_run_says_so(config):
    chosen = [changed(config, {"world.size.states": states}) for states in (True, False)]
    told, untold = (new_pixel_world(each, each.world) for each in chosen)
    assert told.robot is not None and told.state_head is not None
    assert untold.robot is None and untold.state_head is None


def test_every_setting_has_a_wire_or_a_reason(config):
    assert CHOICES.keys() == WIRES.keys()
    assert not unfollowed(config.world, [*CHOICES, *ELSEWHERE])


def test_no_choice_is_what_smoke_has_anyway(config):
    smoke = preset("smoke", world=PIXELS)
    assert not [name for name in CHOICES if at(config.world, name) == at(smoke.world, name)]
