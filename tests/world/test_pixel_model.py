"""The pixel world model: rows stand alone, generators decide, parts can be left out, saving keeps it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from wovr_lab.errors import UserError
from wovr_lab.real.tabletop.proprioception import proprioception_of, tabletop_robot
from wovr_lab.seeding import torch_stream
from wovr_lab.starts import start_at
from wovr_lab.types import NOOP
from wovr_lab.world.context import ContextBuilder
from wovr_lab.world.pixel_model import PixelWorldModel, drawn_by, uniform_of
from wovr_lab.world.pixel_network import PixelNetwork, with_hypotheses
from wovr_lab.world.sampler import FlowSampler
from wovr_lab.world.state_head import StateHead

ROBOT = tabletop_robot().to_dict()


def make_world(robot: bool = True, seed: int = 0, context=None, sampler=None, **changes) -> PixelWorldModel:
    """Tiny, and loud where weights start at zero."""
    torch.manual_seed(seed)
    told = ROBOT if robot else None
    network = PixelNetwork(width=16, num_attention_heads=2, num_layers=1, hidden=16, robot=told, **changes)
    head = StateHead(ROBOT) if robot else None
    torch.nn.init.normal_(network.decoder.out.matrix, std=0.05)
    torch.nn.init.normal_(network.transformer.condition_embedder.modulation[-1].weight, std=0.5)
    if robot:
        torch.nn.init.normal_(network.decoder.film[-1].weight, std=0.05)
        torch.nn.init.normal_(head.linear.weight, std=0.02)
    return PixelWorldModel(network, head, context, sampler).eval()


@pytest.fixture(scope="module")
def told(episodes):
    return [replace(episode, proprio=proprioception_of(episode.states)) for episode in episodes]


@pytest.fixture
def starts(told):
    return [start_at(told[0], 9), start_at(told[1], 0), start_at(told[2], 20)]


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch_stream(seed, "noise") for seed in seeds]


def test_a_chunk_is_eight_frames_and_a_context_with_the_states_that_were_imagined(starts, chunks):
    world = make_world()
    context = world.initial_context(starts)
    imagined = world.imagine(context, chunks, generators(0, 1, 2))
    frames, following = imagined.frames, imagined.context
    assert frames.shape == (3, 8, 32, 32, 3) and frames.dtype == np.uint8
    assert (following.memory_actions.numpy() == chunks[:, 4:]).all()
    memory = (following.memory.movedim(2, -1) + 1) * 127.5
    assert np.abs(memory.numpy() - frames[:, 4:]).max() <= 0.5 + 1e-3
    states = world.imagine_states(context, torch.as_tensor(chunks))
    assert (imagined.states == states.detach().numpy()).all()
    assert torch.equal(following.states, states[:, 4:]) and not torch.equal(following.states, context.states)
    assert (context.actions(torch.as_tensor(chunks))[:, 0].numpy() == NOOP).all()


def test_the_memory_holds_the_robots_states_of_its_own_frames(starts, told):
    context = make_world().initial_context(starts)
    assert (context.states[0].numpy() == told[0].proprio[6:10]).all()
    assert (context.states[1].numpy() == told[1].proprio[[0] * 4]).all()


def test_generators_decide_and_rows_do_not_depend_on_their_neighbours(starts, chunks):
    world = make_world()
    together = world.imagine(world.initial_context(starts), chunks, generators(0, 1, 2)).frames
    again = world.imagine(world.initial_context(starts), chunks, generators(0, 1, 9)).frames
    assert (together != again).any((1, 2, 3, 4)).tolist() == [False, False, True]
    alone = world.imagine(world.initial_context(starts[1:2]), chunks[1:2], generators(1)).frames
    assert np.abs(together[1].astype(int) - alone[0]).max() <= 1


def test_states_reach_the_pictures_only_where_the_model_knows_a_robot(starts, chunks):
    chunk, noise = torch.as_tensor(chunks), torch.zeros(3, 8, 3, 32, 32)
    for robot in (True, False):
        world = make_world(robot)
        context = world.initial_context(starts)
        states = world.imagine_states(context, chunk)
        frames = [world.sample(context, chunk, moved, noise, FlowSampler(1)) for moved in (states, states + 0.05)]
        assert torch.equal(*frames) is not robot
        assert states.shape == (3, 8, 13 if robot else 0)


@pytest.mark.parametrize("robot", [True, False])
def test_each_ablation_is_one_argument_that_changes_what_is_imagined(starts, chunks, robot):
    whole = make_world(robot).imagine(make_world(robot).initial_context(starts), chunks, generators(0, 1, 2)).frames
    for world in (
        make_world(robot, context=ContextBuilder(anchor=False)),
        make_world(robot, context=ContextBuilder(memory=1)),
        make_world(robot, action_channels="modulation"),
        make_world(robot, sampler=FlowSampler(3)),
    ):
        frames = world.imagine(world.initial_context(starts), chunks, generators(0, 1, 2)).frames
        assert (frames != whole).any()


def test_without_an_anchor_the_first_frame_has_no_influence_and_with_a_short_memory_the_older_ones(starts, chunks):
    noise, chunk = torch.zeros(3, 8, 3, 32, 32), torch.as_tensor(chunks)
    for builder, part in ((ContextBuilder(anchor=False), "anchor"), (ContextBuilder(memory=1), "memory")):
        world = make_world(robot=False, context=builder)
        frames = []
        for sign in (1, -1):
            memory = [start.memory.copy() for start in starts]
            for each in memory:
                each[:3] = each[:3] if sign > 0 or part != "memory" else 255 - each[:3]
            changed = [
                replace(start, memory=each, anchor=start.anchor if sign > 0 or part != "anchor" else 255 - start.anchor)
                for start, each in zip(starts, memory, strict=True)
            ]
            context = world.initial_context(changed)
            states = world.imagine_states(context, chunk)
            frames.append(world.sample(context, chunk, states, noise, FlowSampler(1)))
        assert torch.equal(*frames)


@pytest.mark.parametrize("resolution", [32, 64, 128])
def test_any_side_has_the_same_number_of_tokens(resolution):
    world = make_world(robot=False, resolution=resolution)
    seen = []
    world.network.transformer.register_forward_pre_hook(lambda module, given: seen.append(given[0].shape))
    noisy = torch.randn(2, 8, 3, resolution, resolution)
    still = torch.zeros(2, 5, 3, resolution, resolution)
    found = world.network(still[:, 0], still[:, 1:], noisy, torch.ones(2), torch.zeros(2, 13, 7), None)
    assert found.shape == noisy.shape and seen[0][-2:] == (8, 8)


@pytest.mark.parametrize("robot", [True, False])
def test_a_saved_model_imagines_the_same(starts, chunks, tmp_path, robot):
    world = make_world(robot, context=ContextBuilder(anchor=False, noise=0.05), sampler=FlowSampler(2), warping=False)
    world.network.background.normal_()
    world.save(tmp_path / "world")
    loaded = PixelWorldModel.load(tmp_path / "world")
    assert loaded.context == world.context and loaded.sampler.sigmas() == world.sampler.sigmas()
    assert loaded.robot == world.robot and not loaded.training
    expected = world.imagine(world.initial_context(starts), chunks, generators(0, 1, 2)).frames
    frames = loaded.imagine(loaded.initial_context(starts), chunks, generators(0, 1, 2)).frames
    assert (frames == expected).all()


def test_what_is_saved_in_half_precision_keeps_the_robots_numbers_whole(tmp_path):
    make_world().half().save(tmp_path / "world")
    loaded = PixelWorldModel.load(tmp_path / "world")
    for part in (loaded.network.body, loaded.state_head.body):
        fresh = make_world().state_head.body
        assert all(torch.equal(one, two) for one, two in zip(part.buffers(), fresh.buffers(), strict=True))
    assert not [name for name in loaded.state_dict() if ".body." in name]


def test_noise_draws_the_hypothesis_by_the_priors_inverse_cdf():
    prior = torch.tensor([[0.5, 0.3, 0.2]]).log().expand(4, 3)
    assert drawn_by(prior, torch.tensor([0.1, 0.6, 0.81, 1.0])).tolist() == [0, 1, 2, 2]
    noise = torch.randn(4000, 8, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    uniform = uniform_of(noise)
    assert ((torch.histc(uniform, 4, 0, 1) / 4000 - 0.25).abs() < 0.03).all()
    assert torch.equal(uniform[:3], uniform_of(noise[:3]))


def test_several_hypotheses_draw_different_futures_from_one_pass_and_keep_a_single_ones_weights(starts, chunks):
    single = make_world()
    network = with_hypotheses(single.network, 3)
    several = PixelWorldModel(network, single.state_head).eval()
    context, chunk = single.initial_context(starts), torch.as_tensor(chunks)
    states, noise = single.imagine_states(context, chunk), torch.zeros(3, 8, 3, 32, 32)
    heard = several.hear(context, noise, torch.ones(3), chunk, states)
    futures = [network.draw(heard, torch.full((3,), index)) for index in range(3)]
    assert not torch.equal(futures[0], futures[1])
    torch.nn.init.zeros_(network.hypothesis.weight)
    again = several.sample(context, chunk, states, noise, several.sampler)
    torch.testing.assert_close(again, single.sample(context, chunk, states, noise, single.sampler))


def test_starts_without_a_state_or_with_one_in_millimetres_are_refused(starts):
    world = make_world()
    with pytest.raises(UserError, match="has no state of the robot"):
        world.initial_context([replace(starts[0], proprio=None)])
    with pytest.raises(UserError, match="beyond its range"):
        world.initial_context([replace(starts[0], proprio=starts[0].proprio * 1000)])
    elsewhere = starts[0].proprio.copy()
    elsewhere[:, 1] += 0.9  # within this robot's units, and far beside the picture
    with pytest.raises(UserError, match=r"sees the hand \d\.\d half pictures from the middle"):
        world.initial_context([replace(starts[0], proprio=elsewhere)])
    with pytest.raises(UserError, match="NaN"):
        world.initial_context([replace(starts[0], proprio=starts[0].proprio * np.nan)])


def test_parts_for_different_robots_are_refused():
    with pytest.raises(UserError, match="different robots"):
        PixelWorldModel(PixelNetwork(width=16, num_attention_heads=2, num_layers=1), StateHead(ROBOT))


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match="a grid of 12"):
        PixelNetwork(grid=12)
