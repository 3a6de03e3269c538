"""Imagining: rows stand alone, generators decide, the saved model imagines the same."""

import numpy as np
import pytest
import torch

from wovr_lab.errors import UserError
from wovr_lab.seeding import torch_stream
from wovr_lab.starts import start_at
from wovr_lab.world.context import ContextBuilder
from wovr_lab.world.model import WorldModel
from wovr_lab.world.sampler import FlowSampler, VelocityPrediction
from wovr_lab.world.transformer import WHOLE_WINDOW


@pytest.fixture(params=[(1, 2, 2), WHOLE_WINDOW], ids=["Wan's patches", "whole window"])
def patch_size(request):
    return request.param


@pytest.fixture
def starts(episodes):
    return [start_at(episodes[0], 9), start_at(episodes[1], 0), start_at(episodes[2], 20)]


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch_stream(seed, "noise") for seed in seeds]


def test_a_chunk_is_eight_frames_and_the_context_to_go_on_from(make_world, starts, chunks):
    world = make_world()
    imagined = world.imagine(world.initial_context(starts), chunks, generators(0, 1, 2))
    frames, following = imagined.frames, imagined.context
    assert frames.shape == (3, 8, 32, 32, 3) and frames.dtype == np.uint8
    assert (following.memory_actions.numpy() == chunks[:, 4:]).all()
    decoded = world.codec.decode(following.memory)  # the last latent is the next memory
    assert (decoded == frames[:, 4:]).all() and imagined.states.shape == (3, 8, 0)


def test_the_same_generators_imagine_the_same_and_go_on_with_fresh_noise(make_world, starts, chunks):
    world = make_world()
    context = world.initial_context(starts)
    one = world.imagine(context, chunks, generators(0, 1, 2)).frames
    kept = generators(0, 1, 2)
    two = world.imagine(context, chunks, kept).frames
    three = world.imagine(context, chunks, kept).frames
    assert (one == two).all() and (two != three).any()


@pytest.mark.parametrize("steps", [1, 5])
def test_other_noise_imagines_another_future_with_any_number_of_steps(make_world, starts, chunks, steps):
    world = make_world(sampler=FlowSampler(steps))
    context = world.initial_context(starts)
    one = world.imagine(context, chunks, generators(0, 1, 2)).frames
    two = world.imagine(context, chunks, generators(0, 1, 9)).frames
    changed = (one != two).any((1, 2, 3, 4))
    assert changed.tolist() == [False, False, True]


def test_a_row_does_not_depend_on_its_neighbours(make_world, starts, chunks):
    world = make_world()
    together = world.imagine(world.initial_context(starts), chunks, generators(0, 1, 2)).frames
    alone = world.imagine(world.initial_context(starts[1:2]), chunks[1:2], generators(1)).frames
    assert np.abs(together[1].astype(int) - alone[0]).max() <= 1  # sums round differently in other batches


def test_an_untrained_model_imagines_that_nothing_moves(make_world, starts, chunks):
    world = make_world(loud=False)
    context = world.initial_context(starts)
    frames = world.imagine(context, chunks, generators(0, 1, 2)).frames
    memory = world.codec.decode(context.memory)
    assert np.abs(frames[:, :4].astype(int) - memory).max() <= 1
    assert np.abs(frames[:, 4:].astype(int) - memory).max() <= 1


def test_actions_change_what_is_imagined(make_world, starts, chunks):
    world = make_world()
    context = world.initial_context(starts)
    one = world.imagine(context, chunks, generators(0, 1, 2)).frames
    two = world.imagine(context, -chunks, generators(0, 1, 2)).frames
    assert (one != two).any((1, 2, 3, 4)).all()


def test_the_context_is_told_time_0_and_what_holds_the_future_its_sigma(make_world, starts, chunks, patch_size):
    world, told = make_world(), []
    world.transformer.register_forward_pre_hook(lambda module, given: told.append(given[1]))
    context, sigma = world.initial_context(starts), torch.tensor([0.3, 0.6, 1.0])
    world.velocity(context, torch.zeros(3, 8, 2, 8, 8), sigma, torch.as_tensor(chunks))
    known = 32 if patch_size[0] == 1 else 0  # tokens of anchor and memory alone
    assert told[0].shape == (3, 64) and (told[0][:, :known] == 0).all()
    torch.testing.assert_close(told[0][:, known:], (1000 * sigma)[:, None].expand(3, 64 - known))


def test_the_context_stays_clean_at_every_step_of_the_sampler(make_world, starts, chunks):
    world, seen = make_world(sampler=FlowSampler(3)), []
    world.transformer.register_forward_pre_hook(lambda module, given: seen.append(given[0][:, :, :2]))
    context = world.initial_context(starts)
    world.imagine(context, chunks, generators(0, 1, 2))
    assert len(seen) == 3 and all(torch.equal(each, world.context.latents(context)) for each in seen)


def test_a_saved_model_imagines_the_same(make_world, starts, chunks, tmp_path):
    world = make_world(
        context=ContextBuilder(anchor=False, noise=0.1),
        sampler=FlowSampler(2, shift=3.0),
        prediction=VelocityPrediction(),
    )
    world.save(tmp_path / "world")
    loaded = WorldModel.load(tmp_path / "world")
    assert loaded.context == world.context and loaded.sampler.sigmas() == world.sampler.sigmas()
    assert type(loaded.prediction) is VelocityPrediction and not loaded.training
    expected = world.imagine(world.initial_context(starts), chunks, generators(0, 1, 2)).frames
    frames = loaded.imagine(loaded.initial_context(starts), chunks, generators(0, 1, 2)).frames
    assert (frames == expected).all()


def test_a_folder_without_a_whole_world_model_is_refused(make_world, tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        WorldModel.load(tmp_path / "nothing")
    make_world().save(tmp_path / "world")
    settings = tmp_path / "world" / "world.json"
    kept = settings.read_text()
    for edited in (kept.replace("residual", "telepathy"), kept.replace('"shift"', '"lift"'), "{}"):
        settings.write_text(edited)
        with pytest.raises(UserError, match="of another version"):
            WorldModel.load(tmp_path / "world")
    settings.write_text(kept)
    weights = next((tmp_path / "world" / "transformer").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(UserError, match="no usable ActionWanTransformer"):
        WorldModel.load(tmp_path / "world")
