"""Imagined proprioception: the rule of the controller, gates by hand, that it sees, and that it learns."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from wovr_lab.errors import UserError
from wovr_lab.real.tabletop.proprioception import proprioception_of, tabletop_robot
from wovr_lab.training import FitConfig
from wovr_lab.world.pixel_model import PixelWorldModel
from wovr_lab.world.pixel_network import PixelNetwork
from wovr_lab.world.pixel_windows import pixel_window
from wovr_lab.world.state_head import StateHead
from wovr_lab.world.state_training import StateLoss, StateTrainingConfig, blurred, train_state_head
from wovr_lab.world.windows import FrameTable

ROBOT = tabletop_robot().to_dict()


@pytest.fixture(scope="module")
def table(episodes) -> FrameTable:
    return FrameTable.of(replace(episode, proprio=proprioception_of(episode.states)) for episode in episodes)


def head(**changes) -> StateHead:
    torch.manual_seed(0)
    return StateHead(ROBOT, **changes)


def given(table: FrameTable, rows: int = 6) -> tuple[torch.Tensor, ...]:
    batch = pixel_window(table, np.arange(4, 4 + rows), 1)
    pictures = torch.rand(2, rows, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return batch["memory_states"][:, -2:], batch["actions"][:, 0], *pictures


def test_the_target_is_the_controllers_and_all_else_stands_still_before_training(table):
    network = head()
    states, actions, frame, anchor = given(table)
    found = network(states, actions, frame, anchor)
    target, rates = network.body.target, network.is_rate.bool()
    torch.testing.assert_close(found[..., target], network.body.targets(states[:, 1], actions))
    still = [index for index in range(13) if index not in target and not rates[index]]
    torch.testing.assert_close(found[..., still], states[:, 1:, still].expand(-1, 8, -1))
    assert (found[..., rates] == 0).all()


def test_a_gate_keeps_its_own_entries_where_they_are_and_no_others(table):
    network = head()
    with torch.no_grad():
        network.linear.bias.fill_(1.0)
        network.contact[-1].bias[0] = 100.0  # the gate below the hand
    states, actions, frame, anchor = given(table)
    found = network(states, actions, frame, anchor)[:, 0]
    kept, opening, x, fall = tabletop_robot().columns("hand_z", "opening", "hand_x", "velocity_z")
    assert torch.equal(found[:, kept], states[:, 1, kept]) and (found[:, fall] == 0).all()
    free = 1 - torch.sigmoid(torch.tensor(-2.5))  # the other gate is nearly open
    torch.testing.assert_close(found[:, opening], states[:, 1, opening] + 0.02 * free)
    torch.testing.assert_close(found[:, x], states[:, 1, x] + 0.01)


def test_it_sees_only_with_its_eye_and_only_where_the_hand_is_sent(table):
    states, actions, frame, anchor = given(table, 2)
    corner = frame.clone()
    corner[:, :, :2, -2:] *= -1  # far from every target
    for sees in (True, False):
        network = head(sees=sees)
        torch.nn.init.normal_(network.contact[-1].weight, std=0.3)
        found = network(states, actions, frame, anchor)
        assert torch.equal(network(states, actions, -frame, anchor), found) is not sees
        assert torch.equal(network(states, actions, corner, anchor), found)


def test_every_weight_gets_a_gradient(table):
    network = head()
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    network(*given(table)).square().sum().backward()
    assert all(weight.grad.abs().sum() > 0 for weight in network.parameters())


def test_it_learns_where_the_hand_goes(table):
    world = PixelWorldModel(PixelNetwork(width=16, num_attention_heads=2, num_layers=1, robot=ROBOT), head())
    states, actions, frame, anchor = given(table, 40)
    truth = pixel_window(table, np.arange(4, 44), 1)["states"]

    def error() -> float:
        hand = world.state_head.body.hand
        with torch.no_grad():
            return float((world.state_head(states, actions, frame, anchor) - truth)[:, -1, hand].norm(dim=-1).mean())

    before = error()
    train_state_head(world, table, StateTrainingConfig(FitConfig(40, 8e-3, 3), batch=24), run_seed=0)
    assert error() < 0.35 * before


def test_the_loss_counts_errors_in_usual_steps_and_none_of_the_target(table):
    network = head()
    loss = StateLoss(network)
    weight = dict(zip(tabletop_robot().names, loss.weight.tolist(), strict=True))
    assert weight["hand_x"] == pytest.approx(100) and weight["opening"] == pytest.approx(50)
    assert weight["velocity_x"] == pytest.approx(50) and weight["target_x"] == weight["target_yaw"] == 0


def test_blurring_by_1_is_the_mean_of_nine_pixels_and_by_0_nothing():
    picture = torch.rand(2, 3, 5, 5)
    amount = torch.tensor([1.0, 0.0]).view(2, 1, 1, 1)
    found = blurred(picture, amount)
    torch.testing.assert_close(found[0, :, 2, 2], picture[0, :, 1:4, 1:4].mean((1, 2)))
    assert torch.equal(found[1], picture[1])


def test_a_table_without_states_or_in_millimetres_is_refused(episodes, table):
    world = PixelWorldModel(PixelNetwork(width=16, num_attention_heads=2, num_layers=1, robot=ROBOT), head())
    with pytest.raises(UserError, match="some episodes have none"):
        untold = FrameTable.of(replace(episode, proprio=None) for episode in episodes)
        train_state_head(world, untold, StateTrainingConfig(FitConfig(1)), 0)
    with pytest.raises(UserError, match="beyond its range"):
        train_state_head(world, replace(table, proprio=table.proprio * 1000), StateTrainingConfig(FitConfig(1)), 0)
