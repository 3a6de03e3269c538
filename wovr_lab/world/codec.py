"""The codec: groups of four consecutive frames <-> one latent, the geometry of Wan's video VAE (paper section 2).

In: uint8 [B, 4, H, W, 3]. Out: normalised latents [B, C, H/s, W/s] and back. A first frame is encoded as four copies,
so the anchor and the memory have the shape of everything else, and the latent of the last four imagined frames *is* the
next memory: nothing is decoded and encoded again. Deviation: principal components of pixel-unshuffled groups, as
differences from the background, which diffusers' AutoencoderTiny corrects, instead of AutoencoderKLWan, which is
several times too slow on two cores. The components are sharp at once; convolutions alone take thousands of steps.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderTiny
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from wovr_lab.errors import UserError
from wovr_lab.networks import Network
from wovr_lab.pixels import to_float, to_uint8

FRAMES_PER_LATENT = 4  # frames in a latent: the temporal stride of Wan's VAE
LATENT_SIDE = 8  # cells of a latent, whatever the resolution: tokens are what costs


class FrameGroupCodec(Network):
    """Convolutional autoencoder of frame groups; `spatial_stride` pixels a latent cell (4 at 32x32, 8 at 64x64).

    All convolutions run at the resolution of the latents; pixels are unshuffled into channels and back.
    """

    @register_to_config
    def __init__(
        self,
        resolution: int = 32,
        spatial_stride: int = 4,
        latent_channels: int = 32,
        width: int = 128,
        blocks: int = 2,
    ):
        super().__init__()
        if spatial_stride < 1 or resolution % spatial_stride:
            raise UserError(f"a spatial stride of {spatial_stride} does not divide {resolution} pixels")
        channels = FRAMES_PER_LATENT * 3 * spatial_stride**2
        self.autoencoder = AutoencoderTiny(
            in_channels=channels,
            out_channels=channels,
            encoder_block_out_channels=(width,),
            decoder_block_out_channels=(width,),
            num_encoder_blocks=(blocks,),
            num_decoder_blocks=(blocks,),
            latent_channels=latent_channels,
        )
        self.project = nn.Conv2d(channels, latent_channels, 1, bias=False)
        self.unproject = nn.Conv2d(latent_channels, channels, 1, bias=False)
        # the convolutions start silent, as a correction of the projection; the library maps 0.5 to a change of 0
        for last, bias in ((self.autoencoder.encoder.layers[-1], 0.0), (self.autoencoder.decoder.layers[-1], 0.5)):
            nn.init.zeros_(last.weight)
            nn.init.constant_(last.bias, bias)
        # filled from data; persistent, so that a saved codec is complete
        self.register_buffer("background", torch.zeros(3, resolution, resolution))
        self.register_buffer("latent_mean", torch.zeros(latent_channels, 1, 1))
        self.register_buffer("latent_std", torch.ones(latent_channels, 1, 1))

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """(C, h, w)"""
        side = self.config.resolution // self.config.spatial_stride
        return self.config.latent_channels, side, side

    def encode_pictures(self, pictures: Tensor) -> Tensor:
        """float [B, 4, 3, H, W] in [-1, 1] -> raw latents [B, C, h, w], differentiable."""
        cells = self._cells(pictures)
        return self.project(cells) + self.autoencoder.encoder(cells)

    def decode_pictures(self, raw: Tensor) -> Tensor:
        """Raw latents -> float [B, 4, 3, H, W], differentiable."""
        cells = self.unproject(raw) + self.autoencoder.decoder(raw)
        return F.pixel_shuffle(cells, self.config.spatial_stride).unflatten(1, (FRAMES_PER_LATENT, 3)) + self.background

    def _cells(self, pictures: Tensor) -> Tensor:
        """Differences from the background, one vector a latent cell: [B, 12 s^2, h, w]."""
        return F.pixel_unshuffle((pictures - self.background).flatten(1, 2), self.config.spatial_stride)

    @torch.no_grad()
    def project_onto_components(self, frames: np.ndarray, generator: torch.Generator) -> None:
        """Starts from the principal components of groups uint8 [B, 4, H, W, 3], in a random rotation: every latent
        channel then carries as much, and distances between latents are distances between pictures."""
        cells = self._cells(to_float(frames, self.device)).movedim(1, -1).flatten(0, 2)
        count = self.config.latent_channels
        _, components = torch.linalg.eigh(cells.T @ cells / len(cells))
        rotation, _ = torch.linalg.qr(torch.randn(count, count, generator=generator))
        basis = components[:, -count:] @ rotation.to(self.device)  # [12 s^2, C], orthonormal
        scale = (cells @ basis).std()
        self.project.weight.copy_((basis / scale).T[:, :, None, None])
        self.unproject.weight.copy_((basis * scale)[:, :, None, None])

    @torch.no_grad()
    def encode(self, frames: np.ndarray | Tensor) -> Tensor:
        """uint8 [B, 4, H, W, 3] -> latents [B, C, h, w]. Raises UserError on another size."""
        size = self.config.resolution
        if tuple(frames.shape[1:]) != (FRAMES_PER_LATENT, size, size, 3):
            raise UserError(
                f"this codec takes groups [B, {FRAMES_PER_LATENT}, {size}, {size}, 3], not {tuple(frames.shape)}"
            )
        return (self.encode_pictures(to_float(frames, self.device)) - self.latent_mean) / self.latent_std

    @torch.no_grad()
    def decode(self, latents: Tensor) -> np.ndarray:
        """Latents [B, C, h, w] -> uint8 [B, 4, H, W, 3]."""
        return to_uint8(self.decode_pictures(latents * self.latent_std + self.latent_mean))

    @torch.no_grad()
    def normalise(self, frames: np.ndarray) -> None:
        """Sets the latent statistics from groups uint8 [B, 4, H, W, 3]: latents then have mean 0, deviation 1."""
        raw = self.encode_pictures(to_float(frames, self.device))
        self.latent_mean.copy_(raw.mean((0, 2, 3))[:, None, None])
        self.latent_std.copy_(raw.std((0, 2, 3))[:, None, None])


class CodecLoss(nn.Module):
    """What the codec learns: L1 reconstruction, heavier where something moves or differs from the background, with a
    little noise on the latents so that the decoder forgives what the transformer gets slightly wrong."""

    def __init__(self, codec: FrameGroupCodec, detail_weight: float = 4.0, latent_noise: float = 0.05):
        super().__init__()
        self.codec, self.detail_weight, self.latent_noise = codec, detail_weight, latent_noise

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """`frames` uint8 [B, 4, H, W, 3], `noise` [B, C, h, w]."""
        pictures = to_float(batch["frames"], self.codec.device)
        raw = self.codec.encode_pictures(pictures)
        spread = raw.detach().std((0, 2, 3), keepdim=True)
        decoded = self.codec.decode_pictures(raw + self.latent_noise * spread * batch["noise"])
        error = (decoded - pictures).abs()
        detail = (pictures - self.codec.background).abs().amax(2, keepdim=True) > 0.15
        loss = (error * (1 + self.detail_weight * detail)).mean()
        # keeps latents near unit scale without a KL term
        scale = (raw.std((0, 2, 3)).log() ** 2).mean() + (raw.mean((0, 2, 3)) ** 2).mean()
        psnr = -10 * torch.log10(((decoded - pictures).detach() ** 2).mean() / 4)
        return loss + 0.01 * scale, {"l1": error.mean().detach(), "psnr": psnr}
