"""One door to world models of both kinds: a folder says which it holds, and a wrong door says so."""

import pytest

from wovr_lab.errors import UserError
from wovr_lab.world.model import WorldModel
from wovr_lab.world.pixel_model import PixelWorldModel
from wovr_lab.world.pixel_network import PixelNetwork
from wovr_lab.world.protocol import load_world_model


@pytest.fixture
def folders(make_world, tmp_path):
    latent, pixels = tmp_path / "latent", tmp_path / "pixels"
    make_world().save(latent)
    PixelWorldModel(PixelNetwork(width=16, num_attention_heads=2, num_layers=1)).save(pixels)
    return latent, pixels


def test_a_folder_is_loaded_as_the_kind_that_it_holds(folders):
    latent, pixels = (load_world_model(folder) for folder in folders)
    assert type(latent) is WorldModel and type(pixels) is PixelWorldModel
    assert latent.resolution == pixels.resolution == 32 and latent.robot is None and pixels.robot is None


def test_a_checkpoint_of_the_other_kind_is_refused_in_one_sentence(folders):
    latent, pixels = folders
    with pytest.raises(UserError, match="of pixels, not a latent one; use load_world_model"):
        WorldModel.load(pixels)
    with pytest.raises(UserError, match="holds a latent world model, not one of pixels"):
        PixelWorldModel.load(latent)
