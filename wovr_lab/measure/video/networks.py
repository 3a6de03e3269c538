"""The networks behind LPIPS, FID and FVD: AlexNet, Inception-v3 and I3D, with the weights' own tensor names.

In: pictures float [B, 3, H, W] or clips [B, 3, T, H, W] in [-1, 1]. Out: features. Architectures only, and here because
torchvision, where they live elsewhere, does not install beside the CPU build of torch.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class AlexNet(nn.Sequential):
    """torchvision's AlexNet without its classifier; LPIPS compares its five rectified convolutions."""

    TAPS = (1, 4, 7, 9, 11)

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 192, 5, 1, 2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, 1, 1), nn.ReLU(), nn.Conv2d(384, 256, 3, 1, 1), nn.ReLU(),
            nn.Conv2d(256, 256, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(3, 2),
        )  # fmt: skip

    def layers(self, pictures: Tensor) -> list[Tensor]:
        """Five maps of 64, 192, 384, 256 and 256 channels, after LPIPS's own scaling."""
        shift = pictures.new_tensor([-0.030, -0.088, -0.188])[:, None, None]
        scale = pictures.new_tensor([0.458, 0.448, 0.450])[:, None, None]
        hidden, found = (pictures - shift) / scale, []
        for index, layer in enumerate(self):
            hidden = layer(hidden)
            if index in self.TAPS:
                found.append(hidden)
        return found


class _Unit(nn.Module):
    """2-D convolution, normalisation, rectifier. Padded to keep the size, unless strided or told otherwise."""

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int], stride: int = 1, padded: bool = True):
        super().__init__()
        padding = [side // 2 if padded and stride == 1 else 0 for side in kernel]
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


ONE, THREE, FIVE, WIDE, TALL = (1, 1), (3, 3), (5, 5), (1, 7), (7, 1)
FORK = ((1, 3), (3, 1))  # the last units of some chains stand side by side


class _Block(nn.Module):
    """Chains of units side by side; each chain lists (outputs, kernel, or two kernels side by side) of its units.

    `pool` is what the chain `branch_pool` begins with; a block of stride 2 ends with a pooled copy of its input.
    """

    def __init__(self, inputs: int, chains: dict[str, list[tuple]], pool: str = "average", stride: int = 1):
        super().__init__()
        self.pool, self.stride, self.chains = pool, stride, {}
        for prefix, plan in chains.items():
            width, steps = inputs, []
            for row, (outputs, *kernels) in enumerate(plan, 1):
                number = f"_{row}" if len(plan) > 1 else ""
                names = [prefix + number + letter for letter in ("ab" if len(kernels) > 1 else [""])]
                for name, kernel in zip(names, kernels, strict=True):
                    self.add_module(name, _Unit(width, outputs, kernel, stride if row == len(plan) else 1))
                steps.append(names)
                width = outputs * len(kernels)
            self.chains[prefix] = steps

    def forward(self, x: Tensor) -> Tensor:
        found = []
        for prefix, steps in self.chains.items():
            hidden = self._pooled(x) if prefix == "branch_pool" else x
            for names in steps:
                hidden = torch.cat([self.get_submodule(name)(hidden) for name in names], 1)
            found.append(hidden)
        return torch.cat([*found, F.max_pool2d(x, 3, 2)] if self.stride == 2 else found, 1)

    def _pooled(self, x: Tensor) -> Tensor:
        if self.pool == "max":
            return F.max_pool2d(x, 3, 1, 1)
        return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def _same_size(inputs: int, pool: int) -> _Block:
    return _Block(inputs, {
        "branch1x1": [(64, ONE)], "branch5x5": [(48, ONE), (64, FIVE)],
        "branch3x3dbl": [(64, ONE), (96, THREE), (96, THREE)], "branch_pool": [(pool, ONE)],
    })  # fmt: skip


def _factorised(width: int) -> _Block:
    return _Block(768, {
        "branch1x1": [(192, ONE)], "branch7x7": [(width, ONE), (width, WIDE), (192, TALL)],
        "branch7x7dbl": [(width, ONE), (width, TALL), (width, WIDE), (width, TALL), (192, WIDE)],
        "branch_pool": [(192, ONE)],
    })  # fmt: skip


def _forked(inputs: int, pool: str) -> _Block:
    return _Block(inputs, {
        "branch1x1": [(320, ONE)], "branch3x3": [(384, ONE), (384, *FORK)],
        "branch3x3dbl": [(448, ONE), (384, THREE), (384, *FORK)], "branch_pool": [(192, ONE)],
    }, pool)  # fmt: skip


class Inception(nn.Module):
    """Inception-v3 of 2015-12-05 with the quirks of its TensorFlow graph: FID's network, up to its 2,048 features."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = _Unit(3, 32, THREE, 2)
        self.Conv2d_2a_3x3 = _Unit(32, 32, THREE, padded=False)
        self.Conv2d_2b_3x3 = _Unit(32, 64, THREE)
        self.Conv2d_3b_1x1 = _Unit(64, 80, ONE)
        self.Conv2d_4a_3x3 = _Unit(80, 192, THREE, padded=False)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = _same_size(192, 32), _same_size(256, 64), _same_size(288, 64)
        self.Mixed_6a = _Block(
            288, {"branch3x3": [(384, THREE)], "branch3x3dbl": [(64, ONE), (96, THREE), (96, THREE)]}, stride=2
        )
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = map(_factorised, (128, 160, 160, 192))
        self.Mixed_7a = _Block(768, {
            "branch3x3": [(192, ONE), (320, THREE)],
            "branch7x7x3": [(192, ONE), (192, WIDE), (192, TALL), (192, THREE)],
        }, stride=2)  # fmt: skip
        self.Mixed_7b, self.Mixed_7c = _forked(1280, "average"), _forked(2048, "max")
        self.fc = nn.Linear(2048, 1008)  # unused, but part of the weights

    def forward(self, pictures: Tensor) -> Tensor:
        """float [B, 3, H, W] in [-1, 1] -> [B, 2048]."""
        hidden = _resized_like_tensorflow(pictures.mul(127.5).add(127.5), 299).sub(128).div(128)
        for name, layer in list(self.named_children())[:-1]:
            hidden = layer(hidden)
            if name in ("Conv2d_2b_3x3", "Conv2d_4a_3x3"):
                hidden = F.max_pool2d(hidden, 3, 2)
        return hidden.mean((2, 3))


def _resized_like_tensorflow(pictures: Tensor, size: int) -> Tensor:
    """Bilinear with TensorFlow 1's alignment: output pixel i lies at i times the scale, without half a pixel."""
    places = [torch.arange(size, device=pictures.device) * (side / size) * 2 / (side - 1) - 1
              for side in pictures.shape[2:]]  # fmt: skip
    grid = torch.stack(torch.meshgrid(places[1], places[0], indexing="xy"), -1).to(pictures.dtype)
    return F.grid_sample(pictures, grid.expand(len(pictures), -1, -1, -1), "bilinear", "border", align_corners=True)


class _Unit3d(nn.Module):
    """3-D convolution padded as TensorFlow pads, normalisation, rectifier."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1):
        super().__init__()
        self.conv3d = nn.Conv3d(inputs, outputs, kernel, stride, bias=False)
        self.bn = nn.BatchNorm3d(outputs, eps=1e-5)

    def forward(self, x: Tensor) -> Tensor:
        padded = _padded_like_tensorflow(x, self.conv3d.kernel_size, self.conv3d.stride)
        return F.relu(self.bn(self.conv3d(padded)))


class _Pool3d(nn.MaxPool3d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(_padded_like_tensorflow(x, self.kernel_size, self.stride))


def _padded_like_tensorflow(x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    """Zeros around x so that a strided window covers all of it, the odd one at the end."""
    padding: list[int] = []
    for size, width, step in zip(x.shape[2:], kernel, stride, strict=True):
        total = max(0, (-(-size // step) - 1) * step + width - size)
        padding = [total // 2, total - total // 2, *padding]
    return F.pad(x, padding)


class _Mixed3d(nn.Module):
    def __init__(self, inputs: int, plan: tuple[int, ...]):
        super().__init__()
        self.b0 = _Unit3d(inputs, plan[0], 1)
        self.b1a, self.b1b = _Unit3d(inputs, plan[1], 1), _Unit3d(plan[1], plan[2], 3)
        self.b2a, self.b2b = _Unit3d(inputs, plan[3], 1), _Unit3d(plan[3], plan[4], 3)
        self.b3a, self.b3b = _Pool3d((3, 3, 3), (1, 1, 1)), _Unit3d(inputs, plan[5], 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x))], 1)


class I3D(nn.Sequential):
    """Inflated Inception-v1 (Carreira and Zisserman 2017) up to its 400 Kinetics logits: FVD's network."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv3d_1a_7x7 = _Unit3d(3, 64, 7, 2)
        self.MaxPool3d_2a_3x3 = _Pool3d((1, 3, 3), (1, 2, 2))
        self.Conv3d_2b_1x1, self.Conv3d_2c_3x3 = _Unit3d(64, 64, 1), _Unit3d(64, 192, 3)
        self.MaxPool3d_3a_3x3 = _Pool3d((1, 3, 3), (1, 2, 2))
        self.Mixed_3b = _Mixed3d(192, (64, 96, 128, 16, 32, 32))
        self.Mixed_3c = _Mixed3d(256, (128, 128, 192, 32, 96, 64))
        self.MaxPool3d_4a_3x3 = _Pool3d((3, 3, 3), (2, 2, 2))
        self.Mixed_4b = _Mixed3d(480, (192, 96, 208, 16, 48, 64))
        self.Mixed_4c = _Mixed3d(512, (160, 112, 224, 24, 64, 64))
        self.Mixed_4d = _Mixed3d(512, (128, 128, 256, 24, 64, 64))
        self.Mixed_4e = _Mixed3d(512, (112, 144, 288, 32, 64, 64))
        self.Mixed_4f = _Mixed3d(528, (256, 160, 320, 32, 128, 128))
        self.MaxPool3d_5a_2x2 = _Pool3d((2, 2, 2), (2, 2, 2))
        self.Mixed_5b = _Mixed3d(832, (256, 160, 320, 32, 128, 128))
        self.Mixed_5c = _Mixed3d(832, (384, 192, 384, 48, 128, 128))
        self.logits = nn.ModuleDict({"conv3d": nn.Conv3d(1024, 400, 1)})

    def forward(self, clips: Tensor) -> Tensor:
        """float [B, 3, T >= 10, H, W] in [-1, 1] -> [B, 400]."""
        hidden = F.interpolate(clips, (clips.shape[2], 224, 224), mode="trilinear", align_corners=False)
        for layer in list(self)[:-1]:
            hidden = layer(hidden)
        return self.logits["conv3d"](F.avg_pool3d(hidden, (2, 7, 7), 1)).mean((2, 3, 4))
