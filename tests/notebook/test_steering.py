import numpy as np
import pytest

from wovr_lab.notebook.steering import compared, held, steering
from wovr_lab.real.tabletop.chunk_env import initial_start
from wovr_lab.world.codec import FrameGroupCodec
from wovr_lab.world.model import WorldModel
from wovr_lab.world.transformer import ActionWanTransformer


def test_a_held_action_fills_a_chunk_and_closes_the_gripper_if_asked():
    chunk = held(0.5, -1.0, 0.0, closed=True)
    assert chunk.shape == (8, 7) and (chunk == np.array([0.5, -1, 0, 0, 0, 0, 1], np.float32)).all()
    assert held(0, 0, 0, closed=False)[0, 6] == -1


def test_films_stand_below_each_other_with_their_difference():
    white = np.full((8, 16, 16, 3), 255, np.uint8)
    picture = compared(white, white // 2)
    assert picture.dtype == np.uint8 and picture.shape[0] > 3 * 3 * 16 and picture.shape[1] > 8 * 3 * 16


@pytest.fixture(scope="module")
def world() -> WorldModel:
    return WorldModel(FrameGroupCodec(width=16, blocks=1), ActionWanTransformer(num_layers=1)).eval()


def test_moving_a_slider_changes_the_picture_and_leaves_the_model_as_it_was(world: WorldModel):
    box = steering(world, initial_start("push_red", 3), 0)
    sliders, further, image = box.children
    before = bytes(image.value)
    sliders.children[1].value = -1.0
    assert bytes(image.value) != before and bytes(image.value[:4]) == b"\x89PNG"
    further.children[1].value, further.children[2].value = "attention", 3
    assert world.sampler.steps == 5 and world.transformer.condition_embedder.channels == "both"
    assert "image/png" in box._repr_mimebundle_()
