"""Videos are judged by horizon, worse ones worse, alike whenever they are judged."""

from __future__ import annotations

import json

import numpy as np
import pytest

from wovr_lab.errors import UserError
from wovr_lab.measure.video.feature_networks import ShippedFeatures
from wovr_lab.measure.video.quality import VideoMetrics


@pytest.fixture(scope="module")
def networks() -> ShippedFeatures:
    return ShippedFeatures()


def test_every_metric_gets_worse_with_damage_and_is_perfect_without(make_videos, networks):
    real = make_videos(6)
    metrics = VideoMetrics(real, (16, 32), networks)
    perfect, little, much = (metrics.evaluate(make_videos(6, damage=damage)) for damage in (0, 8, 40))
    assert set(perfect.rollouts) == {"psnr", "ssim", "efficientnet_distance", "flow_efficientnet_distance"}
    assert set(perfect.sets) == {"efficientnet_frechet", "efficientnet_clip_frechet"}
    for name in perfect.rollouts:
        sign = -1 if name in ("psnr", "ssim") else 1
        for horizon in (16, 32):
            values = [sign * np.mean(quality.rollouts[name][horizon]) for quality in (perfect, little, much)]
            assert values == sorted(values), name
            assert len(much.rollouts[name][horizon]) == 6
    for name in perfect.sets:
        assert perfect.sets[name][32] < 1e-3 < little.sets[name][32] < much.sets[name][32]
    json.dumps(vars(much), allow_nan=False)


def test_a_horizon_counts_the_frames_up_to_it_and_no_others(make_videos, networks):
    real, imagined = make_videos(3), make_videos(3)
    imagined[:, 17:] = make_videos(3, damage=60)[:, 17:]
    found = VideoMetrics(real, (16, 32), networks).evaluate(imagined)
    assert found.rollouts["psnr"][16] == [99] * 3 and max(found.rollouts["psnr"][32]) < 70
    assert found.sets["efficientnet_frechet"][16] < 1e-3 < found.sets["efficientnet_frechet"][32]


@pytest.mark.parametrize("horizons", [(), (8,), (24,), (48,)])
def test_horizons_that_are_no_whole_clips_or_too_long_are_refused(make_videos, networks, horizons):
    with pytest.raises(UserError, match="multiples of 16 below 33"):
        VideoMetrics(make_videos(), horizons, networks)


def test_one_video_is_no_set(make_videos, networks):
    with pytest.raises(UserError, match="at least two videos"):
        VideoMetrics(make_videos(1), (16,), networks)
    metrics = VideoMetrics(make_videos(2), (16,), networks)
    with pytest.raises(UserError, match="differ"):
        metrics.evaluate(make_videos(3))
