"""Closed-loop figures: errors only where something moves, by hand; what a model that moves nothing gets."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from wovr_lab.errors import UserError
from wovr_lab.measure.tabletop.closed_loop import closed_loop, imagine_episodes, moving_psnr
from wovr_lab.measure.tabletop.probes import load_probe
from wovr_lab.real.tabletop.driving import driven_episodes
from wovr_lab.real.tabletop.proprioception import tabletop_robot
from wovr_lab.world.pixel_model import PixelWorldModel
from wovr_lab.world.pixel_network import PixelNetwork
from wovr_lab.world.state_head import StateHead


@pytest.fixture(scope="module")
def episodes():
    return [replace(episode, task="push_red") for episode in driven_episodes(3, run_seed=0, steps=16)]


@pytest.fixture(scope="module")
def world() -> PixelWorldModel:
    robot = tabletop_robot().to_dict()
    torch.manual_seed(0)
    network = PixelNetwork(width=16, num_attention_heads=2, num_layers=1, hidden=16, robot=robot)
    return PixelWorldModel(network, StateHead(robot)).eval()


def test_only_pixels_that_moved_count_by_hand():
    before, real = np.zeros((1, 2, 2, 3), np.uint8), np.zeros((1, 2, 2, 2, 3), np.uint8)
    real[0, 0, 0, 0] = 100  # one pixel moves in the first frame, none in the second
    imagined = real.copy()
    imagined[0, 0, 0, 0] = 90
    imagined[0, :, 1, 1] = 200  # wrong, and nowhere near what moves
    assert moving_psnr(imagined, real, before) == pytest.approx([10 * np.log10(255**2 / 100), 99.0])


def test_pixels_are_pooled_over_rollouts_before_the_logarithm():
    before, real = np.zeros((2, 1, 1, 3), np.uint8), np.full((2, 1, 1, 1, 3), 50, np.uint8)
    imagined = real.copy()
    imagined[1] += 20
    assert moving_psnr(imagined, real, before)[0] == pytest.approx(10 * np.log10(255**2 / 200))


def test_a_model_that_moves_nothing_has_the_errors_of_a_hand_that_stood_still(world, episodes):
    found = closed_loop(world, episodes, load_probe(), 0)
    assert found.psnr.shape == (16,) and found.object_cm.shape == (3, 16) and found.vanished.shape == (3,)
    hands = np.stack([episode.proprio[:, :3] for episode in episodes])
    still = 100 * np.linalg.norm(hands[:, 1:] - hands[:, :1], axis=-1)
    assert found.hand_cm == pytest.approx(still, abs=1e-3)
    assert found.psnr[0] > found.psnr[-1]


def test_the_same_seed_imagines_the_same(world, episodes):
    one, two = (imagine_episodes(world, episodes, 0) for _ in range(2))
    assert (one[0] == two[0]).all() and one[1].shape == (3, 16, 13)


def test_rollouts_of_different_lengths_or_without_states_are_refused(world, episodes):
    short = replace(episodes[0], frames=episodes[0].frames[:9], actions=episodes[0].actions[:8])
    for wrong in ([episodes[0], short], [replace(episodes[0], states=None)], []):
        with pytest.raises(UserError, match="of one length"):
            closed_loop(world, wrong, load_probe(), 0)
