"""PSNR, SSIM, LPIPS, FloLPIPS and the Frechet distance of FID and FVD, as functions of frames, layers and features.

PSNR, SSIM and the Frechet distance are torchmetrics'; LPIPS (Zhang et al. 2018) and FloLPIPS (Danier et al. 2022) are
sums over layers that any network can give. A number's name comes from its network (feature_networks.py), not from here.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure
from torchmetrics.image.fid import FrechetInceptionDistance

from wovr_lab.errors import UserError
from wovr_lab.pixels import to_float

HIGHEST_PSNR = 99.0  # dB, of equal pictures
WINDOW, LEVELS, ITERATIONS = 7, 2, 4  # of the optical flow: pixels, halvings, steps a level


def check_videos(real: np.ndarray, imagined: np.ndarray) -> None:
    """Raises UserError unless both are uint8 [N, T, H, W, 3] of one shape with N, T >= 2."""
    for name, videos in (("real", real), ("imagined", imagined)):
        if videos.dtype != np.uint8:
            bad = "" if np.isfinite(np.asarray(videos, float)).all() else " with NaN or infinity"
            raise UserError(
                f"{name} videos must be uint8, these are {videos.dtype}{bad}; round them with pixels.to_uint8"
            )
        if videos.ndim != 5 or videos.shape[-1] != 3 or min(videos.shape) < 1 or min(videos.shape[:2]) < 2:
            raise UserError(
                f"{name} videos must be [N, T, H, W, 3] with at least two videos of two frames, not {videos.shape}; "
                "give more rollouts"
            )
    if real.shape != imagined.shape:
        raise UserError(f"real videos {real.shape} and imagined ones {imagined.shape} differ; cut both to one length")


def psnr(real: np.ndarray, imagined: np.ndarray) -> np.ndarray:
    """dB of each of uint8 [B, H, W, 3], at most 99: [B]."""
    first, second = to_float(real), to_float(imagined)
    values = peak_signal_noise_ratio(second, first, data_range=2.0, dim=(1, 2, 3), reduction="none")
    return values.clamp(max=HIGHEST_PSNR).numpy()


def ssim(real: np.ndarray, imagined: np.ndarray) -> np.ndarray:
    """Structural similarity of each of uint8 [B, H, W, 3]: [B], 1 where equal."""
    values = structural_similarity_index_measure(to_float(imagined), to_float(real), data_range=2.0, reduction="none")
    return values.numpy()


def layer_distance(
    first: list[Tensor], second: list[Tensor], heads: list[Tensor] | None = None, weight: Tensor | None = None
) -> Tensor:
    """LPIPS of layers [B, C, h, w] each: channels to unit length, squared differences summed over channels (weighted by
    `heads` [1, C, 1, 1]), averaged over places, summed over layers: [B].

    With `weight` [B, 1, H, W] >= 0 the places of each layer are averaged by it instead: FloLPIPS.
    """
    total = torch.zeros(len(first[0]))
    for index, (one, other) in enumerate(zip(first, second, strict=True)):
        difference = (_unit(one) - _unit(other)) ** 2
        places = (difference * heads[index] if heads else difference).sum(1, keepdim=True)
        if weight is None:
            total = total + places.mean((1, 2, 3))
        else:
            shares = F.interpolate(weight, places.shape[2:], mode="bilinear", align_corners=False)
            total = total + (places * shares).sum((1, 2, 3)) / shares.sum((1, 2, 3))
    return total


def _unit(layer: Tensor) -> Tensor:
    return layer / (layer.square().sum(1, keepdim=True).sqrt() + 1e-10)


def flow_weight(real_flow: Tensor, imagined_flow: Tensor) -> Tensor:
    """FloLPIPS's weight [B, 1, H, W]: how much two flows [B, 2, H, W] differ. A little is added everywhere, so that
    equal flows weigh all places alike, where the original divides zero by zero."""
    return (real_flow - imagined_flow).norm(dim=1, keepdim=True) + 1e-6


def optical_flow(first: Tensor, second: Tensor) -> Tensor:
    """Pixels [B, 2, H, W] (x, y) that `first` [B, 3, H, W] moved by to become `second`: Lucas and Kanade (1981), coarse
    to fine. Where there is no texture there is no flow."""
    flow = torch.zeros(len(first), 2, 1, 1)
    for level in reversed(range(LEVELS)):
        size = [max(WINDOW, side >> level) for side in first.shape[2:]]
        one, other = (F.interpolate(p.mean(1, keepdim=True), size, mode="area") for p in (first, second))
        flow = F.interpolate(flow, size, mode="bilinear", align_corners=False) * (1 if flow.shape[-1] == 1 else 2)
        for _ in range(ITERATIONS):
            flow = flow + _step(one, _moved(other, flow))
    return flow


def _step(first: Tensor, second: Tensor) -> Tensor:
    """The flow that explains what is left between two grey pictures [B, 1, H, W], by least squares in a window."""
    dy, dx = torch.gradient((first + second) / 2, dim=(2, 3))
    change = first - second
    products = torch.cat([dx * dx, dx * dy, dy * dy, dx * change, dy * change], 1)
    xx, xy, yy, xt, yt = F.avg_pool2d(products, WINDOW, 1, WINDOW // 2).unbind(1)
    xx, yy = xx + 1e-3, yy + 1e-3
    determinant = xx * yy - xy**2
    return torch.stack([yy * xt - xy * yt, xx * yt - xy * xt], 1).div(determinant[:, None]).clamp(-1, 1)


def _moved(pictures: Tensor, flow: Tensor) -> Tensor:
    """`pictures` [B, C, H, W] looked up where `flow` points to."""
    height, width = pictures.shape[2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    grid = torch.stack([(x + flow[:, 0]) * 2 / (width - 1) - 1, (y + flow[:, 1]) * 2 / (height - 1) - 1], -1)
    return F.grid_sample(pictures, grid, padding_mode="border", align_corners=True)


class _Given(nn.Module):
    """Lets torchmetrics take features as they are."""

    def __init__(self, dimensions: int):
        super().__init__()
        self.num_features = dimensions

    def forward(self, features: Tensor) -> Tensor:
        return features


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^1/2) of features [n, D] and [m, D]: FID on Inception's, FVD on I3D's.

    Raises UserError on fewer than two samples, different dimensions or features that are not finite.
    """
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1] or min(len(first), len(second)) < 2:
        shapes = f"{tuple(first.shape)} and {tuple(second.shape)}"
        raise UserError(f"a Frechet distance needs two or more samples of one dimension on either side, not {shapes}")
    if not (torch.isfinite(first).all() and torch.isfinite(second).all()):
        raise UserError("features hold NaN or infinity; check the frames and the network they come from")
    metric = FrechetInceptionDistance(feature=_Given(first.shape[1]))
    metric.update(first.double(), real=True)
    metric.update(second.double(), real=False)
    return max(0.0, float(metric.compute()))
