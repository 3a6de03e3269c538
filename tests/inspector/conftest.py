"""A run folder with a tiny untrained world model, whose pictures move, and a reward."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from wovr_lab.episodes import write_episodes
from wovr_lab.inspector.models import RunModels
from wovr_lab.inspector.session import Session
from wovr_lab.measure.tabletop.gallery import Case, write_gallery
from wovr_lab.policy.checkpoints import save_policy
from wovr_lab.policy.language import build_tokenizer
from wovr_lab.policy.vla import VLAConfig, VLAPolicy
from wovr_lab.real.tabletop.expert import expert_episodes
from wovr_lab.real.tabletop.tasks import TASKS
from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.runs import write_json
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
    world = WorldModel(codec, transformer, sampler=FlowSampler(2))
    for suffix, threshold in (("", 0.5), ("_evolved", 0.25)):
        reward.threshold.fill_(threshold)
        world.save(folder / "checkpoints" / f"world{suffix}")
        reward.save(folder / "checkpoints" / f"reward{suffix}")
        torch.nn.init.normal_(transformer.proj_out.weight, std=0.6, generator=torch.Generator().manual_seed(1))
    _episodes(folder)
    size = VLAConfig(stem_width=8, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, max_words=8)
    policy = VLAPolicy.create(size, build_tokenizer(task.instruction for task in TASKS.values()), 0)
    save_policy(policy, folder / "checkpoints" / "base")
    return folder


def _episodes(folder: Path) -> None:
    """Demonstrations, a keyframe in them, an "imagined" episode, which has no simulator states, two mined cases."""
    episodes = list(expert_episodes("push_red", [20, 21], 0.0))
    write_episodes(folder / "episodes" / "demonstrations.hdf5", episodes)
    film = replace(episodes[0], states=None)
    write_episodes(folder / "comparison" / "base-imagined_only-imagined.hdf5", [film])
    about = {"kind": "imagined_only", "policy": "base", "world": "evolved", "task": "push_red", "object_cm": 7.5}
    cases = [
        Case(about | {"start": start, "seed": 20, "step": step}, film, episodes[0], *np.zeros((2, len(film) + 1, 10)),
             np.zeros(len(film)))
        for start, step in (("keyframe", 9), ("initial", 0))
    ]  # fmt: skip
    write_gallery(folder / "measure" / "base-evolved-initial" / "gallery", cases)
    write_json(folder / "keyframes-improve_1.json", [{"task": "push_red", "seed": 20, "step": 9}])


@pytest.fixture(scope="session")
def models(run_folder: Path) -> RunModels:
    return RunModels(run_folder)


@pytest.fixture
def session(models: RunModels) -> Session:
    session = Session(models)
    session.start("push_red", 20)
    return session
