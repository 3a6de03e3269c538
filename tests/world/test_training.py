"""Training the world model: what it is scored on, that it learns, that a seed decides it."""

import numpy as np
import pytest
import torch

from wovr_lab.errors import UserError
from wovr_lab.training import FitConfig
from wovr_lab.world.context import Context, ContextBuilder
from wovr_lab.world.model import WorldModel
from wovr_lab.world.sampler import FlowSampler, add_noise
from wovr_lab.world.training import FlowMatchingLoss, WorldTrainingConfig, flow_noise, motion, train_world
from wovr_lab.world.windows import LatentTable

UNIFORM = (0.1, 0.49, 0.6, 0.74, 0.76, 0.79, 0.81, 0.89, 0.91, 0.999)


@pytest.fixture(scope="module")
def latent_table(frame_table, trained_codec):
    return LatentTable.of(frame_table, trained_codec, ContextBuilder())


def batch_of(table: LatentTable, chunks: int = 1, seed: int = 0) -> dict[str, torch.Tensor]:
    batch = table.window(np.array([0, 5, 9, 12]), chunks)
    return batch | flow_noise(batch, torch.Generator().manual_seed(seed))


def test_the_loss_is_the_weighted_velocity_error_on_the_future_alone(make_world, latent_table):
    world, batch = make_world(loud=False), batch_of(latent_table)
    world.context = ContextBuilder(noise=0.0)
    loss, values = FlowMatchingLoss(world, 4.0, 1)(batch)
    clean, noise, sigma = batch["future"][:, 0], batch["noise"][:, 0], batch["sigma"].view(-1, 1, 1, 1, 1)
    # an untrained network says "nothing moves": x = memory
    velocity = (add_noise(clean, noise, batch["sigma"]) - batch["memory"][:, :, None]) / sigma
    error = (velocity - (noise - clean)) ** 2
    weight = 1 + 4 * motion(clean, batch["memory"])
    torch.testing.assert_close(loss, (error * weight).mean())
    torch.testing.assert_close(values["latent_error"], ((clean - batch["memory"][:, :, None]) ** 2).mean())


def test_motion_is_0_where_nothing_changes_and_at_most_1():
    memory = torch.zeros(1, 2, 1, 3)
    future = torch.zeros(1, 2, 2, 1, 3)
    future[0, 0, 0, 0, 1], future[0, :, 1, 0, 2] = 0.5, 9.0
    assert motion(future, memory)[0, 0, :, 0].tolist() == [[0.0, pytest.approx(0.25), 0.0], [0.0, 0.0, 1.0]]


def test_the_codec_gets_no_gradient_and_the_transformer_does(make_world, latent_table):
    world = make_world()
    world.codec.zero_grad()
    FlowMatchingLoss(world, 4.0, 1)(batch_of(latent_table))[0].backward()
    assert all(parameter.grad is None for parameter in world.codec.parameters())
    assert all(parameter.grad is not None for parameter in world.transformer.parameters())


def test_a_deeper_window_is_scored_on_its_last_chunk_from_an_imagined_memory(make_world, latent_table):
    world = make_world()
    learner = FlowMatchingLoss(world, 4.0, 1)
    batch = batch_of(latent_table, chunks=2)
    loss, values = learner(batch)
    assert values["imagined_chunks"] == 1
    hidden = batch | {"future": batch["future"].clone()}
    hidden["future"][:, 0] = torch.nan  # the first chunk's truth is not looked at
    assert torch.equal(learner(hidden)[0], loss)
    other = batch | {"actions": batch["actions"].clone()}
    other["actions"][:, 0] *= -1  # but its actions decide the memory
    assert not torch.equal(learner(other)[0], loss)


def test_the_imagined_memory_of_training_is_what_the_sampler_gives(make_world, latent_table):
    world = make_world(sampler=FlowSampler(1))
    batch = batch_of(latent_table, chunks=2)
    batch["context_sigma"] = torch.zeros(4)
    loss, _ = FlowMatchingLoss(world, 4.0, 1)(batch)
    first = Context(batch["anchor"], batch["memory"], batch["memory_actions"])
    future = world.imagine_latents(first, batch["actions"][:, 0], batch["noise"][:, 0])
    second = batch | {name: batch[name][:, 1:] for name in ("actions", "future", "noise")}
    second |= {"memory": future[:, :, 1], "memory_actions": batch["actions"][:, 0, 4:]}
    torch.testing.assert_close(FlowMatchingLoss(world, 4.0, 1)(second)[0], loss)


def test_the_loss_falls_on_a_small_set(make_world, latent_table):
    world = make_world(loud=False)
    learner = FlowMatchingLoss(world, 4.0, 1)

    def loss() -> float:
        with torch.no_grad():
            return float(np.mean([learner(batch_of(latent_table, seed=seed))[0] for seed in range(8)]))

    before = loss()
    train_world(
        world, latent_table, WorldTrainingConfig(FitConfig(60, 5e-3, 5), batch=8, self_forcing=(1.0,)), run_seed=0
    )
    assert loss() < 0.9 * before


@pytest.mark.parametrize("memory", [4, 1])
def test_the_seed_decides_training(make_world, frame_table, trained_codec, memory):
    context = ContextBuilder(memory=memory)
    table = LatentTable.of(frame_table, trained_codec, context)

    def trained(run_seed: int) -> WorldModel:
        world = make_world(context=context)
        schedule = WorldTrainingConfig(FitConfig(4, 2e-3, 1), batch=4, self_forcing=(0.5, 0.5), ramp=0.0)
        return train_world(world, table, schedule, run_seed)

    one, same, other = trained(0), trained(0), trained(1)
    weights = [world.transformer.proj_out.weight for world in (one, same, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_self_forcing_deepens_linearly_over_the_ramp_by_hand():
    schedule = WorldTrainingConfig(FitConfig(100), self_forcing=(0.5, 0.3, 0.2), ramp=0.4)

    def chunks(step: int) -> list[int]:
        return [
            schedule.imagined_chunks(step, uniform)
            for uniform in (0.1, 0.49, 0.6, 0.74, 0.76, 0.79, 0.81, 0.89, 0.91, 0.999)
        ]

    assert chunks(0) == [0] * 10
    assert chunks(20) == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2]  # shares .75, .15, .1
    assert chunks(40) == chunks(99) == [0, 0, 1, 1, 1, 1, 2, 2, 2, 2]  # shares .5, .3, .2


@pytest.mark.parametrize(
    ("shares", "said"), [((), "add up to 1"), ((0.5, 0.4), "add up to 1"), ((1.5, -0.5), "not a tuple of a number")]
)
def test_shares_that_do_not_add_up_are_refused(shares, said):
    with pytest.raises(UserError, match=said):
        WorldTrainingConfig(FitConfig(1), self_forcing=shares)
