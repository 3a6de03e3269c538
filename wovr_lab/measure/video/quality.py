"""The quality of imagined videos by horizon: real videos in once, imagined ones of the same actions as often as wanted.

In: uint8 [N, T + 1, H, W, 3], the first frame being the real one that both begin with. Out: values of every rollout,
and of the whole set where a metric has no other, over all frames up to each horizon.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wovr_lab.errors import UserError
from wovr_lab.measure.video.feature_networks import CLIP, FeatureNetworks
from wovr_lab.measure.video.metrics import (
    check_videos,
    flow_weight,
    frechet_distance,
    layer_distance,
    optical_flow,
    psnr,
    ssim,
)
from wovr_lab.pixels import to_float
from wovr_lab.types import CHUNK

BATCH = 128  # pictures that go through a network at once


@dataclass(frozen=True)
class Quality:
    """`rollouts[metric][horizon]` are values of each rollout, [N]; `sets[metric][horizon]` is one of all together."""

    rollouts: dict[str, dict[int, list[float]]]
    sets: dict[str, dict[int, float]]


class VideoMetrics:
    """Looks at the last frame of every chunk, and for the video metric at clips of 16 frames.

    FloLPIPS's name needs PWC-Net's flow; with Lucas and Kanade's it is `flow_` and the name of the distance. Raises
    UserError if a horizon is not a multiple of 16 frames or longer than the videos.
    """

    def __init__(self, real: np.ndarray, horizons: Sequence[int], networks: FeatureNetworks):
        if not horizons or any(horizon < CLIP or horizon % CLIP or horizon >= real.shape[1] for horizon in horizons):
            raise UserError(f"horizons {list(horizons)} must be multiples of {CLIP} below {real.shape[1]} frames")
        self.real, self.horizons, self.networks = real, tuple(horizons), networks
        check_videos(real, real)
        frames = _chunk_ends(real, 0)
        batches = (frames[first : first + BATCH] for first in range(0, len(frames), BATCH))
        features = torch.cat([networks.features(batch, networks.layers(batch)) for batch in batches])
        self._real_features, self._real_clips = features.unflatten(0, (len(real), -1)), self._clips(real)

    @torch.inference_mode()
    def evaluate(self, imagined: np.ndarray) -> Quality:
        """Raises UserError if these are not videos like the real ones."""
        check_videos(self.real, imagined)
        frame_values, features = self._look(imagined)
        clips = self._clips(imagined)
        _, picture_name, clip_name = self.networks.names
        rollouts = {
            name: {horizon: values[:, : horizon // CHUNK].mean(1).tolist() for horizon in self.horizons}
            for name, values in frame_values.items()
        }
        sets: dict[str, dict[int, float]] = {picture_name: {}, clip_name: {}}
        for horizon in self.horizons:
            for name, first, second, every in (
                (picture_name, self._real_features, features, CHUNK),
                (clip_name, self._real_clips, clips, CLIP),
            ):
                upto = slice(horizon // every)
                sets[name][horizon] = frechet_distance(first[:, upto].flatten(0, 1), second[:, upto].flatten(0, 1))
        return Quality(rollouts, sets)

    def _look(self, imagined: np.ndarray) -> tuple[dict[str, np.ndarray], Tensor]:
        """float [N, T / 8] of every metric that compares frame with frame, and features [N, T / 8, D]."""
        name, features = self.networks.names[0], []
        found: dict[str, list[np.ndarray]] = {"psnr": [], "ssim": [], name: [], f"flow_{name}": []}
        count = (self.real.shape[1] - 1) // CHUNK
        flat = [_chunk_ends(videos, offset) for offset in (0, -1) for videos in (self.real, imagined)]
        for first in range(0, len(flat[0]), BATCH):
            real, fake, real_before, fake_before = (frames[first : first + BATCH] for frames in flat)
            found["psnr"].append(psnr(real, fake))
            found["ssim"].append(ssim(real, fake))
            layers = self.networks.layers(real), self.networks.layers(fake)
            weight = flow_weight(_flow(real_before, real), _flow(fake_before, fake))
            found[name].append(layer_distance(*layers, self.networks.heads).numpy())
            found[f"flow_{name}"].append(layer_distance(*layers, self.networks.heads, weight).numpy())
            features.append(self.networks.features(fake, layers[1]))
        values = {key: np.concatenate(values).reshape(-1, count) for key, values in found.items()}
        return values, torch.cat(features).unflatten(0, (-1, count))

    def _clips(self, videos: np.ndarray) -> Tensor:
        """[N, T / 16, D]"""
        count = (videos.shape[1] - 1) // CLIP
        clips = videos[:, 1 : 1 + count * CLIP].reshape(-1, CLIP, *videos.shape[2:])
        step = max(1, BATCH // CLIP)
        parts = [self.networks.clips(clips[first : first + step]) for first in range(0, len(clips), step)]
        return torch.cat(parts).unflatten(0, (len(videos), -1))


def _chunk_ends(videos: np.ndarray, offset: int) -> np.ndarray:
    """The last frame of each chunk (or `offset` frames before it), uint8 [N * T / 8, H, W, 3]."""
    chosen = np.arange(CHUNK, videos.shape[1], CHUNK) + offset
    return videos[:, chosen].reshape(-1, *videos.shape[2:])


def _flow(first: np.ndarray, second: np.ndarray) -> Tensor:
    return optical_flow(to_float(first), to_float(second))
