"""Convolutions of the pixel world model: kernels kept as matrices, residual blocks that start silent."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wovr_lab.errors import UserError

GROUPS = 8  # of channels that are normalised together


class MatrixConv2d(nn.Module):
    """`nn.Conv2d` whose kernel is a matrix [outputs, k * k * inputs], which is what Muon orthogonalises, in the order
    of channels last, which is what a CPU's convolutions read. With `stride` equal to `kernel` it cuts patches."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, silent: bool = False):
        super().__init__()
        self.inputs, self.kernel, self.stride = inputs, kernel, stride
        self.padding = kernel // 2 if stride == 1 else 0
        self.matrix = nn.Parameter(torch.zeros(outputs, kernel * kernel * inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        if not silent:
            nn.init.kaiming_uniform_(self.matrix, a=math.sqrt(5))
            nn.init.uniform_(
                self.bias, -1 / math.sqrt(kernel * kernel * inputs), 1 / math.sqrt(kernel * kernel * inputs)
            )

    def forward(self, pictures: Tensor) -> Tensor:
        """[B, inputs, h, w] -> [B, outputs, h', w']"""
        kernel = self.matrix.unflatten(1, (self.kernel, self.kernel, self.inputs)).movedim(-1, 1)
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        return F.conv2d(pictures, kernel, self.bias, self.stride, self.padding)


class ResidualBlock(nn.Module):
    """x + two convolutions of the normalised x; the second starts at zero. Raises UserError on an odd width."""

    def __init__(self, width: int):
        super().__init__()
        if width % GROUPS:
            raise UserError(f"a width of {width} channels must be divisible by {GROUPS}")
        self.norm = nn.GroupNorm(GROUPS, width)
        self.first = MatrixConv2d(width, width, 3)
        self.second = MatrixConv2d(width, width, 3, silent=True)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.silu(self.first(F.silu(self.norm(x)))))
