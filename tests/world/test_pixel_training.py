"""Training the pixel world model: its loss by hand, its windows, self-forcing as the sampler does it, learning."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from wovr_lab.errors import UserError
from wovr_lab.pixels import to_float
from wovr_lab.real.tabletop.proprioception import proprioception_of, tabletop_robot
from wovr_lab.training import FitConfig
from wovr_lab.world.context import ContextBuilder
from wovr_lab.world.histogram import histogram_distance
from wovr_lab.world.pixel_model import PixelContext, PixelWorldModel
from wovr_lab.world.pixel_network import PixelNetwork
from wovr_lab.world.pixel_training import (
    PixelFlowLoss,
    PixelTrainingConfig,
    moved,
    pixel_noise,
    train_pixel_world,
)
from wovr_lab.world.pixel_windows import pixel_window
from wovr_lab.world.sampler import FlowSampler
from wovr_lab.world.state_head import StateHead
from wovr_lab.world.windows import FrameTable

ROBOT = tabletop_robot().to_dict()
SCHEDULE = PixelTrainingConfig(FitConfig(10), batch=4)


@pytest.fixture(scope="module")
def table(episodes) -> FrameTable:
    return FrameTable.of(replace(episode, proprio=proprioception_of(episode.states)) for episode in episodes)


def make_world(robot: bool = True, hypotheses: int = 1, **parts) -> PixelWorldModel:
    torch.manual_seed(0)
    told = ROBOT if robot else None
    network = PixelNetwork(width=16, num_attention_heads=2, num_layers=1, hidden=16, robot=told, hypotheses=hypotheses)
    return PixelWorldModel(network, StateHead(ROBOT) if robot else None, **parts)


def predicted(world: PixelWorldModel, *given: torch.Tensor) -> torch.Tensor:
    heard = world.hear(*given)
    return world.network.draw(heard, heard.prior.argmax(1))


def batch_of(table: FrameTable, chunks: int = 1, config: PixelTrainingConfig = SCHEDULE) -> dict[str, torch.Tensor]:
    batch = pixel_window(table, np.array([0, 5, 9, 12]), chunks)
    batch["histogram_ramp"] = torch.ones(4)
    return batch | pixel_noise(batch, torch.Generator().manual_seed(0), config)


def test_a_window_is_cut_from_its_own_episode_with_the_states_of_its_frames(table, episodes):
    batch = pixel_window(table, np.array([0, 9]), 2)
    first = episodes[0]
    assert (batch["anchor"].numpy() == first.frames[0]).all()
    assert (batch["memory"][0].numpy() == first.frames[[0] * 4]).all()
    assert (batch["memory"][1].numpy() == first.frames[6:10]).all()
    assert (batch["future"][1].flatten(0, 1).numpy() == first.frames[10:26]).all()
    assert (batch["actions"][1].flatten(0, 1).numpy() == first.actions[9:25]).all()
    states = proprioception_of(first.states)
    assert (batch["memory_states"][1].numpy() == states[6:10]).all()
    assert (batch["states"][1].numpy() == states[10:26]).all()


def test_the_loss_is_the_weighted_error_of_the_velocity_with_the_histograms_share_of_its_gradient(table):
    config = replace(SCHEDULE, histogram_share=0.5)
    world, batch = make_world(context=ContextBuilder(noise=0.0)), batch_of(table, 1, config)
    batch["is_told_truth"][:] = True
    batch["state_noise"].zero_()
    loss, values = PixelFlowLoss(world, config)(batch)
    clean, sigma = to_float(batch["future"][:, 0]), batch["sigma"].view(-1, 1, 1, 1, 1)
    noisy = (1 - sigma) * clean + sigma * batch["noise"][:, 0]
    context = PixelContext(
        to_float(batch["anchor"]), to_float(batch["memory"]), batch["memory_actions"], batch["memory_states"]
    )
    found = predicted(world, context, noisy, batch["sigma"], batch["actions"][:, 0], batch["states"])
    velocity, wanted = (noisy - found) / sigma, batch["noise"][:, 0] - clean
    weight = 1 + 4 * moved(clean, context.memory[:, -1])
    squared = ((velocity - wanted) ** 2 * weight).mean()
    torch.testing.assert_close(values["squared"], squared.detach(), rtol=1e-4, atol=1e-4)
    distance = histogram_distance(found.flatten(0, 1), clean.flatten(0, 1))
    torch.testing.assert_close(values["histogram"], distance.detach())
    lengths = [torch.autograd.grad(part, found, retain_graph=True)[0].norm() for part in (squared, distance)]
    torch.testing.assert_close(loss, squared + 0.5 * lengths[0] / lengths[1] * distance, rtol=1e-4, atol=1e-4)
    alone, _ = PixelFlowLoss(world, replace(config, histogram_share=0.0))(batch)
    torch.testing.assert_close(alone, squared, rtol=1e-4, atol=1e-4)


def test_only_the_nearest_hypothesis_is_taught_and_the_prior_learns_which_it_was(table):
    world, batch = make_world(hypotheses=3), batch_of(table)
    torch.nn.init.normal_(world.network.decoder.out.matrix, std=0.05)
    torch.nn.init.normal_(world.network.hypothesis.weight)
    learner = PixelFlowLoss(world, SCHEDULE)
    context, true = learner._context(batch)
    states = learner._states(context, batch, true, 0)
    clean, sigma = to_float(batch["future"][:, 0]), batch["sigma"]
    noisy = (1 - sigma.view(-1, 1, 1, 1, 1)) * clean + sigma.view(-1, 1, 1, 1, 1) * batch["noise"][:, 0]
    heard = world.hear(context, noisy, sigma, batch["actions"][:, 0], states)
    futures = torch.stack([world.network.draw(heard, torch.full((4,), index)) for index in range(3)], 1)
    weight = 1 + 4 * moved(clean, context.memory[:, -1])
    best = ((futures - clean[:, None]) ** 2 * weight[:, None]).mean((2, 3, 4, 5)).argmin(1)
    loss, values = learner(batch)
    chosen = futures[torch.arange(4), best]
    expected = ((chosen - clean) ** 2 * weight / sigma.view(-1, 1, 1, 1, 1) ** 2).mean()
    torch.testing.assert_close(values["squared"], expected.detach(), rtol=1e-4, atol=1e-4)
    assert values["surprise"] == pytest.approx(np.log(3), abs=1e-4)  # of an untaught prior
    loss.backward()
    taught = world.network.hypothesis.weight.grad.abs().sum(1) > 0
    assert taught.tolist() == [index in best for index in range(3)]
    assert (world.network.prior.bias.grad.argmin() in best.unique()) and world.network.prior.weight.grad.abs().sum() > 0


def test_colours_can_be_counted_in_tiles_too(table):
    batch = batch_of(table)
    distances = []
    for regions in ((1,), (2,), (1, 2)):
        learner = PixelFlowLoss(make_world(), replace(SCHEDULE, histogram_regions=regions))
        distances.append(float(learner(batch)[1]["histogram"]))
    assert distances[1] > distances[0] and distances[2] == pytest.approx((distances[0] + distances[1]) / 2, rel=1e-4)


def test_motion_is_0_where_nothing_changes_and_at_most_1():
    latest, future = torch.zeros(1, 3, 1, 3), torch.zeros(1, 8, 3, 1, 3)
    future[0, 0, :, 0, 1], future[0, 0, :, 0, 2] = 0.1, 1.0
    assert moved(future, latest)[0, 0, 0, 0].tolist() == [0.0, pytest.approx(0.2), 1.0]
    assert not moved(future, latest)[0, 1:].any()


@pytest.mark.parametrize("robot", [True, False])
def test_a_deeper_window_is_scored_on_its_last_chunk_from_what_the_sampler_gave(table, robot):
    config = replace(SCHEDULE, true_states=0.0, state_noise=0.0)
    world = make_world(robot, context=ContextBuilder(noise=0.0))
    learner, batch = PixelFlowLoss(world, config), batch_of(table, 2, config)
    _, values = learner(batch)
    assert values["imagined_chunks"] == 1
    begun = batch["memory_states"] if robot else torch.zeros(4, 4, 0)
    context = PixelContext(to_float(batch["anchor"]), to_float(batch["memory"]), batch["memory_actions"], begun)
    actions = batch["actions"][:, 0]
    with torch.no_grad():
        states = world.imagine_states(context, actions)
        future = world.sample(context, actions, states, batch["noise"][:, 0], FlowSampler(1))
        after = world.advance(context, future, actions, states)
        states = world.imagine_states(after, batch["actions"][:, 1])
        clean, sigma = to_float(batch["future"][:, 1]), batch["sigma"].view(-1, 1, 1, 1, 1)
        noisy = (1 - sigma) * clean + sigma * batch["noise"][:, 1]
        found = predicted(world, after, noisy, batch["sigma"], batch["actions"][:, 1], states)
        weight = 1 + 4 * moved(clean, after.memory[:, -1])
        squared = (((found - clean) ** 2 * weight).mean((1, 2, 3, 4)) / batch["sigma"] ** 2).mean()
    torch.testing.assert_close(values["squared"], squared, rtol=1e-4, atol=1e-4)


def test_a_share_of_the_rows_is_told_the_truth_and_the_others_what_the_head_imagines(table):
    world, batch = make_world(), batch_of(table)
    learner = PixelFlowLoss(world, replace(SCHEDULE, state_noise=0.0))
    batch["is_told_truth"] = torch.tensor([True, False, True, False])
    context, true = learner._context(batch)
    told = learner._states(context, batch, true, 0)
    imagined = world.imagine_states(context, batch["actions"][:, 0])
    assert torch.equal(told[[0, 2]], batch["states"][[0, 2]]) and torch.equal(told[[1, 3]], imagined[[1, 3]])


def test_the_state_head_gets_no_gradient_and_every_weight_of_the_network_does(table):
    world = make_world()
    torch.nn.init.normal_(world.network.decoder.out.matrix, std=0.1)
    torch.nn.init.normal_(world.network.transformer.condition_embedder.modulation[-1].weight, std=0.1)
    for weight in (world.network.stem_block.second.matrix, world.network.decoder.film[-1].weight):
        torch.nn.init.normal_(weight, std=0.1)
    world.state_head.requires_grad_(False)
    PixelFlowLoss(world, SCHEDULE)(batch_of(table))[0].backward()
    silent = [name for name, weight in world.network.named_parameters() if not weight.grad.abs().sum() > 0]
    assert not silent and all(weight.grad is None for weight in world.state_head.parameters())


def test_the_loss_falls_on_a_small_set(table):
    world = make_world()
    learner = PixelFlowLoss(world, replace(SCHEDULE, histogram_share=0.0))

    def loss() -> float:
        with torch.no_grad():
            return float(learner(batch_of(table))[0])

    before = loss()
    fit = FitConfig(50, 5e-3, 5, muon="blocks matrix")
    train_pixel_world(world, table, replace(SCHEDULE, fit=fit, self_forcing=(1.0,), pure_noise=1.0), 0)
    assert loss() < 0.8 * before, (loss(), before)


@pytest.mark.parametrize("robot", [True, False])
def test_the_seed_decides_training(table, robot):
    schedule = replace(SCHEDULE, fit=FitConfig(3, 2e-3, 1), self_forcing=(0.5, 0.5), ramp=0.0)
    worlds = [train_pixel_world(make_world(robot), table, schedule, seed) for seed in (0, 0, 1)]
    weights = [world.network.spread.matrix for world in worlds]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_a_model_that_needs_states_refuses_episodes_without_them(episodes):
    with pytest.raises(UserError, match="some episodes have none"):
        untold = FrameTable.of(replace(episode, proprio=None) for episode in episodes)
        train_pixel_world(make_world(), untold, SCHEDULE, 0)


@pytest.mark.parametrize("wrong", [{"self_forcing": (0.5, 0.4)}, {"histogram_share": -1.0}, {"true_states": 1.5}])
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(UserError):
        replace(SCHEDULE, **wrong)
