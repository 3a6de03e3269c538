"""The loop in pixels: every stage up to the refinement, told the robot's state, from noise and from a backbone."""

from dataclasses import replace
from pathlib import Path

import pytest

from wovr_lab.episodes import EpisodeStore
from wovr_lab.errors import UserError
from wovr_lab.pace.config import SCALES, PixelWorldConfig, load_config
from wovr_lab.pace.learning import new_codec, new_pixel_world, new_transformer
from wovr_lab.pace.loop import run_loop
from wovr_lab.pace.presets import config_for, preset
from wovr_lab.pace.settings import changed, to_dict
from wovr_lab.runs import load_metrics, write_json
from wovr_lab.training import FitConfig
from wovr_lab.world.model import WorldModel
from wovr_lab.world.pixel_model import PixelWorldModel
from wovr_lab.world.pretraining import load_backbone
from wovr_lab.world.training import WorldTrainingConfig


@pytest.mark.smoke
def test_the_loop_learns_and_refines_a_world_model_in_pixels_that_is_told_states(tmp_path: Path):
    run = tmp_path / "run"
    run_loop(preset("smoke", world="pixels"), run, until="refine")
    worlds = [PixelWorldModel.load(run / "checkpoints" / name) for name in ("world", "world_evolved")]
    assert all(world.robot is not None for world in worlds)
    weights = [world.network.spread.matrix for world in worlds]
    assert (weights[0] != weights[1]).any()
    kept_up = PixelWorldModel.load(run / "checkpoints/world_improved").network.spread.matrix
    assert (kept_up != weights[0]).any()  # it learns from what the monitor executes, and is refined from there
    for name in ("play", "base", "fresh", "demonstrations"):
        episodes = EpisodeStore([run / f"episodes/{name}.hdf5"])
        assert all(episode.proprio.shape == (len(episode) + 1, 13) for episode in episodes), name
    phases = {row["phase"] for row in load_metrics(run)}
    assert {"world", "world/states", "world_evolved", "world_evolved/states"} <= phases


@pytest.mark.smoke
def test_it_goes_on_from_a_backbone_and_refuses_one_of_the_other_kind(tmp_path: Path, latent_world: Path):
    pixels = tmp_path / "pixels"
    config = preset("smoke", world="pixels")
    new_pixel_world(config, config.world).save(pixels)
    first = changed(config, {"world.backbone": str(pixels)})
    run_loop(first, tmp_path / "run", until="train_world")
    assert PixelWorldModel.load(tmp_path / "run/checkpoints/world").network.config.width == 16
    with pytest.raises(UserError, match="choose backbone and training of one kind"):
        run_loop(changed(config, {"world.backbone": str(latent_world)}), tmp_path / "other", until="train_world")


@pytest.fixture
def latent_world(tmp_path: Path) -> Path:
    """A latent world model of the smoke scale."""
    config = preset("smoke")
    WorldModel(new_codec(config, config.world), new_transformer(config, config.world)).save(tmp_path / "latent")
    return tmp_path / "latent"


def test_training_and_refinement_of_different_kinds_are_refused():
    with pytest.raises(
        UserError, match="is of kind 'WorldTrainingConfig'; the kinds known here are PixelTrainingConfig"
    ):
        changed(preset("smoke", world="pixels"), {"world.refinement": WorldTrainingConfig(FitConfig(2))})


def test_states_and_warping_are_one_argument_each():
    config = preset("smoke", world="pixels")
    whole = new_pixel_world(config, config.world)
    assert whole.robot is not None and whole.network.config.warping
    size = replace(config.world.size, states=False, warping=False)
    plain = new_pixel_world(config, replace(config.world, size=size))
    assert plain.robot is None and plain.state_head is None and not plain.network.config.warping


def test_a_run_in_pixels_is_named_by_one_word_and_known_again_by_its_folder(tmp_path: Path):
    for scale in SCALES:
        config = config_for("tabletop", scale, seed=3, world="pixels")
        assert isinstance(config.world, PixelWorldConfig)
        assert config != config_for("tabletop", scale, seed=3, world="latent")
        write_json(tmp_path / "config.json", to_dict(config))
        assert load_config(tmp_path) == config
    with pytest.raises(UserError, match="unknown world model 'dream'; there are latent and pixels"):
        config_for("tabletop", "demo", world="dream")


def test_the_tabletop_is_imagined_in_pixels_unless_told_otherwise_but_for_the_smallest_runs():
    for scale, world in (("smoke", "latent"), ("demo", "pixels"), ("full", "pixels")):
        assert preset(scale) == config_for("tabletop", scale, world=world)


def test_the_shipped_backbone_in_pixels_is_the_one_that_the_demo_begins_with():
    config = config_for("tabletop", "demo", world="pixels")
    world = load_backbone(config.world.backbone)
    assert isinstance(world, PixelWorldModel) and world.robot == config.real.robot
    assert world.resolution == config.resolution
