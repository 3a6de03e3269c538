"""A run folder with a tiny untrained world model, whose pictures move, and a reward."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from wovr_lab.inspector.session import Session, load_session
from wovr_lab.real.tasks import TASKS
from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.world.codec import FrameGroupCodec
from wovr_lab.world.model import WorldModel
from wovr_lab.world.sampler import FlowSampler
from wovr_lab.world.transformer import ActionWanTransformer


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        codec = FrameGroupCodec(32, 4, 4, 16, 1)
        transformer = ActionWanTransformer(
            num_attention_heads=2, attention_head_dim=12, in_channels=4, out_channels=4,
            freq_dim=16, ffn_dim=32, num_layers=1,
        )  # fmt: skip
        # an untrained model imagines that nothing moves: give its last layers something to say
        torch.nn.init.normal_(transformer.proj_out.weight, std=0.5)
        torch.nn.init.normal_(transformer.condition_embedder.modulation[-1].weight, std=0.5)
        torch.nn.init.normal_(codec.autoencoder.decoder.layers[-1].weight, std=0.1)
        instructions = [task.instruction for task in TASKS.values()]
        reward = SuccessClassifier(instructions, 32, 8)
    WorldModel(codec, transformer, sampler=FlowSampler(2)).save(folder / "checkpoints" / "world")
    reward.save(folder / "checkpoints" / "reward")
    return folder


@pytest.fixture
def session(run_folder: Path) -> Session:
    session = load_session(run_folder)
    session.start("push_red", 20)
    return session
