"""The decoder that moves pixels: what it does before it has learnt anything, flows by hand, gradients everywhere."""

import pytest
import torch

from wovr_lab.real.tabletop.proprioception import tabletop_robot
from wovr_lab.world.body import Body, picture_grid, relative_maps
from wovr_lab.world.decoder import WarpDecoder, warp


def inputs(body: Body | None, rows: int = 2, side: int = 16) -> dict[str, torch.Tensor | None]:
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=generator) - 0.5

    states = random(rows, 9, 13) * 0.1 if body else None
    return {
        "said": random(rows, 8, 4, 8, 8), "skip": random(rows, 16, 8, 8), "latest": random(rows, 3, side, side),
        "anchor": random(rows, 3, side, side), "background": random(3, side, side), "actions": random(rows, 9, 7),
        "features": body.features(states) if body else None, "points": body.image_points(states) if body else None,
    }  # fmt: skip


def decoder(body: Body | None, warping: bool = True) -> WarpDecoder:
    torch.manual_seed(0)
    return WarpDecoder(16, 2, 16, 4, 16, body, warping)


def test_a_flow_of_a_pixel_takes_each_pixel_from_its_right_neighbour():
    picture = torch.arange(16.0).view(1, 1, 4, 4)
    flow = torch.zeros(1, 2, 4, 4)
    flow[:, 0] = 2 / 4  # half pictures, to the right
    moved = warp(picture, flow, picture_grid(4, 4))
    torch.testing.assert_close(moved[0, 0, :, :3], picture[0, 0, :, 1:])
    torch.testing.assert_close(warp(picture, torch.zeros(1, 2, 4, 4), picture_grid(4, 4)), picture)


def test_before_training_a_frame_is_mostly_the_one_before_it():
    given = inputs(None)
    frames = decoder(None)(**given)
    shares = torch.tensor([2.0, 0.0, 0.0]).softmax(0)
    first = shares[0] * given["latest"] + shares[1] * given["anchor"] + shares[2] * given["background"]
    torch.testing.assert_close(frames[:, 0], first)
    torch.testing.assert_close(
        frames[:, 1], shares[0] * first + shares[1] * given["anchor"] + shares[2] * given["background"]
    )


@pytest.mark.parametrize("warping", [True, False])
@pytest.mark.parametrize("robot", [True, False])
def test_every_weight_and_every_input_gets_a_gradient(robot, warping):
    body = Body(tabletop_robot()) if robot else None
    network, given = decoder(body, warping), inputs(body)
    for weight in network.parameters():  # what starts at zero is woken
        torch.nn.init.normal_(weight, std=0.1)
    for value in given.values():
        if value is not None:
            value.requires_grad_()
    network(**given)[:, -1].square().sum().backward()
    assert all(weight.grad.abs().sum() > 0 for weight in network.parameters())
    assert all(value.grad.abs().sum() > 0 for value in given.values() if value is not None)


def test_without_warping_flows_change_nothing():
    for warping in (True, False):
        network, given = decoder(None, warping), inputs(None)
        still = network(**given)
        with torch.no_grad():
            network.out.bias.view(8, 4)[3:5] = 3.0  # the two channels of flow
        assert torch.equal(network(**given), still) is not warping


def test_relative_coordinates_are_0_at_the_point_cut_far_away_and_the_bump_is_highest_there():
    grid = picture_grid(8, 8)
    maps = relative_maps(grid, grid[:, 2, 5][None])[0]
    assert maps[:2, 2, 5].tolist() == [0, 0] and maps[2].argmax() == 2 * 8 + 5
    assert maps[:2].abs().max() == 2.0 and maps[0, 2, 6] == pytest.approx(0.25 * 4)
