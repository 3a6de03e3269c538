"""Uncertainty: AUROC by hand, and an environment that notes it without disturbing what it imagines."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from wovr_lab.imagined.environment import ImaginedEnv
from wovr_lab.measure.uncertainty import UncertaintyEnv, auroc, error_auroc, sample_std
from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.rollout import replay
from wovr_lab.starts import start_at
from wovr_lab.types import Start
from wovr_lab.world.codec import FrameGroupCodec
from wovr_lab.world.model import WorldModel
from wovr_lab.world.transformer import ActionWanTransformer


def make_world(seed: int, codec: FrameGroupCodec) -> WorldModel:
    """Untrained, but everything in it speaks; two steps, so that the noise does too."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        transformer = ActionWanTransformer(
            num_attention_heads=2, attention_head_dim=16, num_layers=1, ffn_dim=64,
            in_channels=8, out_channels=8, freq_dim=32,
        )  # fmt: skip
        torch.nn.init.normal_(transformer.proj_out.weight, std=0.2)
    return WorldModel(codec, transformer).eval()


@pytest.fixture(scope="module")
def codec() -> FrameGroupCodec:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return FrameGroupCodec(width=32, latent_channels=8).eval()


@pytest.fixture
def starts(make_episode) -> list[Start]:
    return [start_at(make_episode(seed, 40, size=32), 0) for seed in range(3)]


REWARD = SuccessClassifier(["push the red cube"], width=8).eval()


def test_auroc_is_the_share_of_pairs_in_the_right_order():
    assert auroc(np.array([3.0, 4.0]), np.array([1.0, 2.0])) == 1.0
    assert auroc(np.array([1.0]), np.array([2.0, 3.0])) == 0.0
    assert auroc(np.array([2.0, 5.0]), np.array([1.0, 3.0])) == 0.75  # 2 > 1, 5 > 1, 5 > 3 of four
    assert auroc(np.array([2.0]), np.array([2.0, 1.0])) == 0.75  # a tie counts half


def test_answers_lie_apart_by_their_standard_deviation():
    zero, two = torch.zeros(2, 1, 2, 1, 1), torch.full((2, 1, 2, 1, 1), 2.0)
    two[1] = 0
    assert sample_std([zero, two]) == pytest.approx([2**0.5, 0])


def test_doubting_changes_nothing_that_is_imagined(codec, starts):
    actions = np.random.default_rng(0).uniform(-1, 1, (3, 2, 8, 7)).astype(np.float32)
    arguments = (make_world(0, codec), REWARD, 2, 16, 16)
    plain = replay(ImaginedEnv(*arguments), starts, actions, 0, "same", video=True)
    env = UncertaintyEnv(*arguments, others=[make_world(1, codec)])
    doubted = replay(env, starts, actions, 0, "same", video=True)
    assert (plain.video == doubted.video).all()
    found = env.uncertainties(3)
    assert found.keys() == {"noise", "models"} and found["noise"].shape == (3, 2)
    assert all((uncertainty > 0).all() and np.isfinite(uncertainty).all() for uncertainty in found.values())


def test_a_model_does_not_doubt_where_its_twin_answers(codec, starts):
    world = make_world(0, codec)
    env = UncertaintyEnv(world, REWARD, 3, 8, 8, others=[world])
    replay(env, starts, np.zeros((3, 1, 8, 7), np.float32), 0, "twin")
    assert (env.uncertainties(3)["models"] == 0).all()
    alone = UncertaintyEnv(world, REWARD, 3, 8, 8)
    replay(alone, starts, np.zeros((3, 1, 8, 7), np.float32), 0, "twin")
    assert alone.uncertainties(3).keys() == {"noise"}


def test_doubts_are_asked_up_to_a_rollouts_end_about_the_wrong_outcomes(make_pairs):
    pairs = make_pairs([3, 3, -1, -1], [-1, 3, -1, 12])  # the first and the last are wrong
    # after a rollout's end, 99 counts nothing
    uncertainties = {"noise": np.array([[5.0, 0.0], [1.0, 99.0], [2.0, 2.0], [3.0, 4.0]])}
    rows = error_auroc(pairs, uncertainties, threshold=0.5)
    assert [(row["score"], row["rollouts"], row["n"], row["wrong"]) for row in rows] == [
        ("noise", "all", 4, 2),
        ("reward_margin", "all", 4, 2),
        ("noise", "imagined_successes", 2, 1),
        ("reward_margin", "imagined_successes", 2, 1),
    ]
    assert rows[0]["auroc"]["rate"] == rows[2]["auroc"]["rate"] == 1.0
    assert rows[1]["auroc"]["rate"] == 0.5  # the reward is equally sure of all


def test_without_wrong_outcomes_there_is_nothing_to_predict(make_pairs):
    rows = error_auroc(make_pairs([3], [3]), {"noise": np.ones((1, 2))}, threshold=0.5)
    assert [row["auroc"] for row in rows] == [None] * 4
