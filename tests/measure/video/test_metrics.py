"""Each metric does the arithmetic of its paper, worked by hand, and refuses what has no value."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from wovr_lab.errors import UserError
from wovr_lab.measure.hallucination import psnr as psnr_by_hand
from wovr_lab.measure.video.metrics import (
    check_videos,
    flow_weight,
    frechet_distance,
    layer_distance,
    optical_flow,
    psnr,
    ssim,
)


def test_psnr_is_the_definition_on_bytes_and_equal_pictures_have_a_finite_one(make_videos):
    real, imagined = make_videos()[:, 3], make_videos(damage=9)[:, 3]
    expected = [psnr_by_hand(one, other) for one, other in zip(real, imagined, strict=True)]
    assert psnr(real, imagined) == pytest.approx(expected, abs=1e-3)
    assert (psnr(real, real) == 99).all()


def test_ssim_is_one_for_equal_pictures_and_falls_with_damage(make_videos):
    real = make_videos()[:, 3]
    little, much = (ssim(real, make_videos(damage=damage)[:, 3]) for damage in (4, 30))
    assert ssim(real, real) == pytest.approx(1) and (little > much).all() and (little < 1).all()


def test_lpips_is_unit_vectors_squared_difference_heads_mean_and_sum():
    """Worked by hand: two layers of one picture, one of two places and one of a single place."""
    first = [torch.tensor([[[[3.0, 1.0]], [[4.0, 0.0]]]]), torch.tensor([[[[2.0]], [[0.0]]]])]
    second = [torch.tensor([[[[4.0, 5.0]], [[3.0, 0.0]]]]), torch.tensor([[[[0.0]], [[7.0]]]])]
    # place 1: (.6, .8) against (.8, .6) -> .04 + .04; place 2: equal directions -> 0; second layer: 1 + 1
    assert layer_distance(first, second).tolist() == pytest.approx([0.08 / 2 + 2.0])
    heads = [torch.tensor([10.0, 1.0]).view(1, 2, 1, 1), torch.tensor([0.5, 0.25]).view(1, 2, 1, 1)]
    assert layer_distance(first, second, heads).tolist() == pytest.approx([(0.4 + 0.04) / 2 + 0.75])


def test_flolpips_averages_places_by_the_difference_of_the_flows():
    first, second = torch.tensor([[[[3.0, 1.0]], [[4.0, 0.0]]]]), torch.tensor([[[[4.0, 5.0]], [[3.0, 0.0]]]])
    real = torch.zeros(1, 2, 1, 2)
    imagined = torch.tensor([[[[3.0, 0.0]], [[4.0, 0.0]]]])  # wrong by 5 pixels at the first place only
    weighted = layer_distance([first], [second], None, flow_weight(real, imagined))
    assert weighted.tolist() == pytest.approx([0.08], rel=1e-4)
    partly = torch.tensor([[[[0.0, 3.0]], [[0.0, 0.0]]]]) + imagined  # 5 and 3 pixels
    assert layer_distance([first], [second], None, flow_weight(real, partly)).tolist() == pytest.approx([0.08 * 5 / 8])


def test_equal_flows_weigh_all_places_alike_instead_of_dividing_zero_by_zero():
    layers, others = [torch.rand(2, 3, 4, 4)], [torch.rand(2, 3, 4, 4)]
    flow = torch.rand(2, 2, 8, 8)
    plain, weighted = layer_distance(layers, others), layer_distance(layers, others, None, flow_weight(flow, flow))
    assert weighted.tolist() == pytest.approx(plain.tolist())


@pytest.mark.parametrize("shift", [(0, 0), (1, 0), (-1, 2), (3, -2)])
def test_the_optical_flow_finds_by_how_much_a_texture_was_moved(shift):
    rng = torch.Generator().manual_seed(0)
    table = torch.nn.functional.avg_pool2d(torch.rand(1, 3, 52, 52, generator=rng), 5, 1) * 2
    x, y = shift
    first, second = table[..., 8:40, 8:40], table[..., 8 - y : 40 - y, 8 - x : 40 - x]
    inner = optical_flow(first, second)[0, :, 6:-6, 6:-6]
    assert inner.mean((1, 2)).tolist() == pytest.approx([x, y], abs=0.15)


def test_the_frechet_distance_is_the_formula_of_two_gaussians():
    """Two independent features: means (0, 0) and (3, 4), deviations (1, 2) and (2, 1) -> 25 + (1 - 2)^2 + (2 - 1)^2."""
    square = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]) * (3 / 4) ** 0.5  # unbiased variance 1
    first, second = square * torch.tensor([1.0, 2.0]), square * torch.tensor([2.0, 1.0]) + torch.tensor([3.0, 4.0])
    assert frechet_distance(first, second) == pytest.approx(27.0, rel=1e-4)
    assert frechet_distance(first, first) == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize(
    ("first", "second"),
    [((1, 3), (4, 3)), ((4, 3), (0, 3)), ((4, 3), (4, 2))],
    ids=["one sample", "none", "other dimensions"],
)
def test_a_frechet_distance_of_too_few_or_unlike_features_is_refused(first, second):
    with pytest.raises(UserError, match="two or more samples of one dimension"):
        frechet_distance(torch.zeros(first), torch.zeros(second))


def test_features_that_are_not_finite_are_refused():
    broken = torch.tensor([[0.0], [float("nan")]])
    with pytest.raises(UserError, match="NaN or infinity"):
        frechet_distance(broken, torch.zeros(2, 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda videos: videos[:0], "at least two videos"),
        (lambda videos: videos[:1], "at least two videos"),
        (lambda videos: videos[:, :1], "at least two videos of two frames"),
        (lambda videos: videos[:, :-1], "differ; cut both to one length"),
        (lambda videos: videos[..., :2], r"must be \[N, T, H, W, 3\]"),
        (lambda videos: videos.astype(float), "must be uint8, these are float64;"),
        (lambda videos: videos / np.where(videos > 0, 1, np.nan) * np.nan, "float64 with NaN or infinity"),
    ],
    ids=["empty", "one video", "one frame", "shorter", "two channels", "floats", "NaN"],
)
def test_videos_that_cannot_be_compared_are_refused_with_what_to_do(make_videos, change, message):
    real = make_videos()
    with pytest.raises(UserError, match=message):
        check_videos(real, change(real))
