"""The inspector with a world model in pixels: what it imagines of the robot goes on from step to step."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from wovr_lab.inspector.models import RunModels
from wovr_lab.inspector.paired_simulator import PairedSimulator
from wovr_lab.real.tabletop.proprioception import proprioception_of, tabletop_robot
from wovr_lab.world.pixel_model import PixelWorldModel
from wovr_lab.world.pixel_network import PixelNetwork
from wovr_lab.world.state_head import StateHead

SHIPPED = Path(__file__).parents[2] / "data" / "demo" / "checkpoints"


@pytest.fixture
def simulator(tmp_path: Path) -> PairedSimulator:
    robot = tabletop_robot().to_dict()
    torch.manual_seed(0)
    network = PixelNetwork(width=16, num_attention_heads=2, num_layers=1, hidden=16, robot=robot)
    head = StateHead(robot)
    torch.nn.init.normal_(head.linear.weight, std=0.02)
    PixelWorldModel(network, head).save(tmp_path / "checkpoints" / "world")
    for name in ("reward", "base"):
        shutil.copytree(SHIPPED / name, tmp_path / "checkpoints" / name)
    return PairedSimulator(RunModels(tmp_path))


@pytest.mark.parametrize("count", [8, 1])
def test_both_sides_carry_the_robots_state_on_after_a_chunk_and_after_an_action(simulator, count):
    switches = simulator.models.switches("base")
    state = simulator.initial_state(simulator.initial_start("push_red", 3), switches)
    actions = np.random.default_rng(0).uniform(-1, 1, (count, 7)).astype(np.float32)
    for number in range(2):
        step = simulator.simulate(state, actions, switches, number)
        state = step.after
    assert state.imagined.proprio.shape == state.real.proprio.shape == (4, 13)
    assert np.array_equal(state.real.proprio[-1], proprioception_of(state.real.state))
    targets = tabletop_robot().columns("target_x", "target_y", "target_z", "target_yaw")
    assert np.allclose(state.imagined.proprio[-1, targets], state.real.proprio[-1, targets], atol=1e-5)  # a rule
    assert not np.array_equal(state.imagined.proprio, state.real.proprio)
    assert step.uncertainty > 0
