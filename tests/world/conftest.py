"""A few real episodes, a codec that has learnt a little from them, and tiny world models around it."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from wovr_lab.real.tabletop.expert import expert_episodes
from wovr_lab.real.tabletop.play import play_episodes
from wovr_lab.training import FitConfig
from wovr_lab.types import Episode
from wovr_lab.world.codec import FrameGroupCodec
from wovr_lab.world.model import WorldModel
from wovr_lab.world.training import CodecTrainingConfig, train_codec
from wovr_lab.world.transformer import WHOLE_WINDOW, ActionWanTransformer
from wovr_lab.world.windows import FrameTable


@pytest.fixture(scope="session")
def episodes() -> list[Episode]:
    return [*expert_episodes("red_on_plate", [0, 1], noise=0.2), *play_episodes(2, run_seed=0, first_seed=0)]


@pytest.fixture(scope="session")
def frame_table(episodes) -> FrameTable:
    return FrameTable.of(episodes)


@pytest.fixture(scope="session")
def trained_codec(frame_table) -> FrameGroupCodec:
    """Never written to: whoever changes a codec makes their own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        codec = FrameGroupCodec(width=32, latent_channels=8)
    return train_codec(codec, frame_table, CodecTrainingConfig(FitConfig(60, 3e-3, 5), batch=8), run_seed=0)


@pytest.fixture
def make_transformer() -> Callable[..., ActionWanTransformer]:
    def make(seed: int = 0, loud: bool = True, **changes) -> ActionWanTransformer:
        """`loud` gives the layers that start at zero some weight, as training does."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            transformer = ActionWanTransformer(
                num_attention_heads=2, attention_head_dim=16, num_layers=1, ffn_dim=64,
                in_channels=8, out_channels=8, freq_dim=32, **changes,
            )  # fmt: skip
            if loud:
                torch.nn.init.normal_(transformer.proj_out.weight, std=0.2)
                torch.nn.init.normal_(transformer.condition_embedder.modulation[-1].weight, std=0.5)
        return transformer.eval()

    return make


@pytest.fixture
def patch_size() -> tuple[int, int, int]:
    """Settings of the transformer in a world model; the shipped one's, unless a module tests others too."""
    return WHOLE_WINDOW


@pytest.fixture
def make_world(trained_codec, make_transformer, patch_size) -> Callable[..., WorldModel]:
    def make(seed: int = 0, loud: bool = True, **parts) -> WorldModel:
        return WorldModel(trained_codec, make_transformer(seed, loud, patch_size=patch_size), **parts).eval()

    return make


@pytest.fixture
def chunks() -> np.ndarray:
    """float32 [3, 8, 7]: random actions for three rows."""
    return np.random.default_rng(0).uniform(-1, 1, (3, 8, 7)).astype(np.float32)
