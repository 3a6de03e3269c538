"""The loop in pixels: every stage up to the refinement, told the robot's state, from noise and from a backbone."""

from pathlib import Path

import pytest

from wovr_lab.episodes import EpisodeStore
from wovr_lab.errors import UserError
from wovr_lab.pace.config import SCALES, PixelSizeConfig
from wovr_lab.pace.learning import new_codec, new_pixel_world, new_transformer
from wovr_lab.pace.loop import run_loop
from wovr_lab.pace.pixels import TRAININGS, in_pixels
from wovr_lab.pace.scales import config_in, config_of, scale_config
from wovr_lab.pace.settings import described
from wovr_lab.runs import load_metrics, write_json
from wovr_lab.training import FitConfig
from wovr_lab.world.model import WorldModel
from wovr_lab.world.pixel_model import PixelWorldModel
from wovr_lab.world.pretraining import load_backbone
from wovr_lab.world.training import WorldTrainingConfig


@pytest.mark.smoke
def test_the_loop_learns_and_refines_a_world_model_in_pixels_that_is_told_states(tmp_path: Path):
    run = tmp_path / "run"
    run_loop(scale_config("smoke", **in_pixels("smoke")), run, until="refine")
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
    config = scale_config("smoke", **in_pixels("smoke"))
    new_pixel_world(config).save(pixels)
    first = scale_config("smoke", **in_pixels("smoke", str(pixels)))
    run_loop(first, tmp_path / "run", until="train_world")
    assert PixelWorldModel.load(tmp_path / "run/checkpoints/world").network.config.width == 16
    with pytest.raises(UserError, match="choose backbone and training of one kind"):
        run_loop(
            scale_config("smoke", **in_pixels("smoke", str(latent_world))), tmp_path / "other", until="train_world"
        )


@pytest.fixture
def latent_world(tmp_path: Path) -> Path:
    """A latent world model of the smoke scale."""
    config = scale_config("smoke")
    WorldModel(new_codec(config), new_transformer(config)).save(tmp_path / "latent")
    return tmp_path / "latent"


def test_every_scale_has_a_table_and_an_unknown_one_is_refused():
    for scale in TRAININGS:
        scale_config(scale, **in_pixels(scale))
    with pytest.raises(UserError, match="unknown scale"):
        in_pixels("huge")


def test_training_and_refinement_of_different_kinds_are_refused():
    settings = in_pixels("smoke") | {"refine": WorldTrainingConfig(FitConfig(2))}
    with pytest.raises(UserError, match="train one model"):
        scale_config("smoke", **settings)


def test_states_and_warping_are_one_argument_each():
    config = scale_config("smoke", **in_pixels("smoke"))
    assert new_pixel_world(config).robot is not None and new_pixel_world(config).network.config.warping
    size = type(config.world_size)(16, 16, 2, 16, 1, 16, states=False, warping=False)
    plain = new_pixel_world(scale_config("smoke", **in_pixels("smoke") | {"world_size": size}))
    assert plain.robot is None and plain.state_head is None and not plain.network.config.warping


def test_a_run_in_pixels_is_named_by_one_word_and_known_again_by_its_folder(tmp_path: Path):
    for scale in SCALES:
        config = config_in("tabletop", scale, seed=3, world="pixels")
        assert isinstance(config.world_size, PixelSizeConfig)
        assert config != config_in("tabletop", scale, seed=3, world="latent")
        write_json(tmp_path / "config.json", described(config))
        assert config_of(tmp_path) == config
    with pytest.raises(UserError, match="unknown world model 'dream'; there are latent and pixels"):
        config_in("tabletop", "demo", world="dream")


def test_the_tabletop_is_imagined_in_pixels_unless_told_otherwise_but_for_the_smallest_runs():
    for scale, world in (("smoke", "latent"), ("demo", "pixels"), ("full", "pixels")):
        assert scale_config(scale) == config_in("tabletop", scale, world=world)


def test_the_shipped_backbone_in_pixels_is_the_one_that_the_demo_begins_with():
    config = config_in("tabletop", "demo", world="pixels")
    world = load_backbone(config.backbone)
    assert isinstance(world, PixelWorldModel) and world.robot == config.real.robot
    assert world.resolution == config.resolution
