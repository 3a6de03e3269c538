"""The context: what the world model is told, and that an ablation hides what it says it hides."""

import numpy as np
import pytest
import torch

from wovr_lab.errors import UserError
from wovr_lab.starts import start_at
from wovr_lab.types import NOOP
from wovr_lab.world.context import Context, ContextBuilder


@pytest.fixture
def starts(episodes):
    return [start_at(episodes[0], 9), start_at(episodes[1], 0), start_at(episodes[2], 2)]


def test_anchor_and_memory_are_the_latents_of_the_first_and_of_the_latest_four_frames(starts, episodes, trained_codec):
    context = ContextBuilder().initial_context(trained_codec, starts)
    anchors = np.stack([np.repeat(episode.frames[:1], 4, 0) for episode in episodes[:3]])
    memories = np.stack([episodes[0].frames[6:10], episodes[1].frames[[0] * 4], episodes[2].frames[[0, 0, 1, 2]]])
    assert torch.equal(context.anchor, trained_codec.encode(anchors))
    assert torch.equal(context.memory, trained_codec.encode(memories))
    assert (context.memory_actions[0].numpy() == episodes[0].actions[5:9]).all()


def test_the_first_chunk_has_one_real_frame_that_fills_anchor_and_memory(starts, trained_codec):
    context = ContextBuilder().initial_context(trained_codec, starts)
    assert torch.equal(context.anchor[1], context.memory[1]) and not torch.equal(context.anchor[0], context.memory[0])
    assert (context.memory_actions[1].numpy() == NOOP).all()


def test_actions_are_one_a_frame_of_the_window_of_13(starts, trained_codec, chunks):
    context = ContextBuilder().initial_context(trained_codec, starts)
    actions = context.actions(torch.as_tensor(chunks))
    assert actions.shape == (3, 13, 7) and (actions[:, 0].numpy() == NOOP).all()
    assert torch.equal(actions[:, 1:5], context.memory_actions) and (actions[:, 5:].numpy() == chunks).all()


def test_a_memory_of_one_frame_forgets_the_three_before_it(starts, episodes, trained_codec):
    short = ContextBuilder(memory=1).initial_context(trained_codec, starts)
    latest = np.stack([start.memory[[-1] * 4] for start in starts])
    assert torch.equal(short.memory, trained_codec.encode(latest))
    assert not torch.equal(short.memory, ContextBuilder().initial_context(trained_codec, starts).memory)


def test_without_an_anchor_the_first_frame_has_no_influence(starts, make_world, chunks):
    for anchored in (True, False):
        world = make_world(context=ContextBuilder(anchor=anchored))
        context = world.initial_context(starts)
        other = Context(torch.randn(context.anchor.shape), context.memory, context.memory_actions)
        noise = torch.randn(3, 8, 2, 8, 8)
        futures = [world.imagine_latents(c, torch.as_tensor(chunks), noise) for c in (context, other)]
        assert torch.equal(*futures) is not anchored


def test_the_context_after_a_chunk_is_its_last_latent_and_its_last_four_actions(starts, trained_codec, chunks):
    future = torch.randn(3, 8, 2, 8, 8)
    chunk, frames = torch.as_tensor(chunks), np.zeros((3, 8, 32, 32, 3), np.uint8)
    frames[:, -1] = 200
    builder = ContextBuilder()
    context = builder.initial_context(trained_codec, starts)
    following = builder.advance(trained_codec, context, future, chunk, frames)
    assert torch.equal(following.memory, future[:, :, 1]) and torch.equal(following.anchor, context.anchor)
    assert torch.equal(following.memory_actions, chunk[:, 4:])
    short = ContextBuilder(memory=1).advance(trained_codec, context, future, chunk, frames)
    assert torch.equal(short.memory, trained_codec.encode(np.full((3, 4, 32, 32, 3), 200, np.uint8)))


def test_noise_is_put_on_the_memory_by_hand_and_never_on_the_anchor():
    ones = torch.ones(2, 1, 1, 1)
    context = Context(ones, 2 * ones, torch.zeros(2, 4, 7))
    noisy = ContextBuilder(noise=0.2).add_context_noise(context, -3 * ones, torch.tensor([1.0, 0.5]))
    assert noisy.memory.flatten().tolist() == pytest.approx([0.8 * 2 - 0.2 * 3, 0.9 * 2 - 0.1 * 3])
    assert torch.equal(noisy.anchor, ones)
    clean = ContextBuilder(noise=0.0).add_context_noise(context, -3 * ones, torch.ones(2))
    assert torch.equal(clean.memory, context.memory)


def test_rows_are_taken_out_and_put_back():
    context = Context(torch.arange(3.0).view(3, 1, 1, 1), torch.zeros(3, 1, 1, 1), torch.zeros(3, 4, 7))
    rows = torch.tensor([2, 0])
    part = context.select(rows)
    assert part.anchor.flatten().tolist() == [2, 0]
    put = context.put(rows, Context(part.anchor + 10, part.memory + 1, part.memory_actions))
    assert put.anchor.flatten().tolist() == [10, 1, 12] and put.memory.flatten().tolist() == [1, 0, 1]
    assert context.anchor.flatten().tolist() == [0, 1, 2]


NO_MEMORY, NO_NOISE = "memory must be 1 or 4", "not a number, 0 or more and below 1"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"memory": 2}, NO_MEMORY), ({"memory": 0}, NO_MEMORY), ({"noise": 1.0}, NO_NOISE), ({"noise": -0.1}, NO_NOISE)],
)
def test_a_context_that_cannot_be_is_refused(wrong, said):
    with pytest.raises(UserError, match=said):
        ContextBuilder(**wrong)
