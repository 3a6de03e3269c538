"""Pretraining in pixels on a handful of play: what it leaves, that a second call goes on from there."""

from pathlib import Path

import torch

from wovr_lab.pace.scales import scale_config
from wovr_lab.runs import read_json
from wovr_lab.training import FitConfig
from wovr_lab.world.pixel_model import PixelWorldModel
from wovr_lab.world.pixel_pretraining import PixelPretrainingConfig, pretrain_in_pixels
from wovr_lab.world.pixel_training import PixelTrainingConfig
from wovr_lab.world.pretraining import load_backbone
from wovr_lab.world.state_training import StateTrainingConfig

SHORT = PixelPretrainingConfig(
    episodes=2, driven=2, num_layers=1, states=StateTrainingConfig(FitConfig(2), batch=8),
    world=PixelTrainingConfig(FitConfig(2, 1e-3, 0, checkpoint_every=1), batch=2),
)  # fmt: skip


def test_a_second_call_goes_on_from_the_weights_that_are_there_and_says_so(tmp_path: Path):
    out, run, real = tmp_path / "backbone", tmp_path / "run", scale_config("demo").real
    first = pretrain_in_pixels(real, out, run, SHORT, run_seed=0).half()
    weights = {name: value.clone() for name, value in PixelWorldModel.load(out).state_dict().items()}
    assert all(torch.equal(value, first.state_dict()[name]) for name, value in weights.items())
    made = read_json(out / "backbone.json")
    assert made["earlier"] == [] and made["play_episodes"] == made["driven_episodes"] == 2
    assert {row["phase"] for row in made["curve"]} == {"states", "world"}
    assert load_backbone(str(out)).robot == real.robot

    pretrain_in_pixels(real, out, run, SHORT, run_seed=1)
    after, about = PixelWorldModel.load(out).state_dict(), read_json(out / "backbone.json")
    moved = {name.split(".")[0] for name, value in weights.items() if not torch.equal(value, after[name])}
    assert moved == {"network", "state_head"}
    assert [entry["command"] for entry in about["earlier"]] == [made["command"]] and "--seed 1" in about["command"]
    assert not list(run.glob("*.training.safetensors"))
