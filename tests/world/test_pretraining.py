"""Pretraining on a handful of play: what it leaves, that a second call goes on from there, and what is shipped."""

from pathlib import Path

import pytest
import torch

from wovr_lab.pace.scales import scale_config
from wovr_lab.runs import read_json
from wovr_lab.training import FitConfig
from wovr_lab.world.model import WorldModel
from wovr_lab.world.pretraining import PretrainingConfig, load_backbone, pretrain
from wovr_lab.world.training import CodecTrainingConfig, WorldTrainingConfig


def test_a_second_call_goes_on_from_the_weights_that_are_there_and_says_so(tmp_path: Path):
    out, run = tmp_path / "backbone", tmp_path / "run"
    real = scale_config("demo").real
    short = PretrainingConfig(
        4, codec=CodecTrainingConfig(FitConfig(2), 8), world=WorldTrainingConfig(FitConfig(2, 1e-3, 0), batch=4)
    )

    first = pretrain(real, out, run, short, run_seed=0).half()
    weights = {name: value.clone() for name, value in WorldModel.load(out).state_dict().items()}
    assert all(torch.equal(value, first.state_dict()[name]) for name, value in weights.items())
    assert read_json(out / "backbone.json")["earlier"] == []
    made = read_json(out / "backbone.json")["command"]

    pretrain(real, out, run, short, run_seed=1)
    after, about = WorldModel.load(out).state_dict(), read_json(out / "backbone.json")
    moved = {name for name, value in weights.items() if not torch.equal(value, after[name])}
    assert moved and all(name.startswith("transformer.") for name in moved)  # the codec stays as it was
    assert [entry["command"] for entry in about["earlier"]] == [made] and "--seed 1" in about["command"]
    assert about["play_episodes"] == 4 and not list(run.glob("*.training.safetensors"))


@pytest.mark.parametrize(("name", "resolution"), [("backbone", 32), ("libero_backbone", 64)])
def test_what_is_shipped_loads_by_name_is_small_and_says_how_it_was_made(name: str, resolution: int):
    world, folder = load_backbone(name), Path(__file__).parents[2] / "data" / name
    about = read_json(folder / "backbone.json")
    assert world.codec.config.resolution == resolution and world.codec.latent_shape[1:] == (8, 8)
    assert about["command"].startswith("wovr-lab pretrain") and about["commit"] and about["play_episodes"] >= 250
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 25e6
