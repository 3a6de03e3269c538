import numpy as np
import pytest

from wovr_lab.policy.language import build_tokenizer
from wovr_lab.policy.vla import VLAConfig, VLAPolicy

INSTRUCTIONS = ("push the red cube into the zone", "put the red cube on the plate", "push the blue one")


@pytest.fixture
def policy() -> VLAPolicy:
    config = VLAConfig(stem_width=8, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, max_words=8)
    return VLAPolicy.create(config, build_tokenizer(INSTRUCTIONS), run_seed=0)


@pytest.fixture
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
