"""Codecs side by side: what they lose of held-out play, and how fast they are, after equally many steps on equally many
frames. With `--write` the rows join data/results/video.json.

Ours codes groups of four frames alone; Wan's codes a window in one go, each latent knowing those before it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLWan
from timing import Figure, in_turns
from torch import Tensor, nn

from wovr_lab.measure.video.metrics import psnr, ssim
from wovr_lab.pixels import to_float, to_uint8
from wovr_lab.real.tabletop.play import play_episodes
from wovr_lab.runs import read_json, write_json
from wovr_lab.seeding import seed_of, stream
from wovr_lab.training import FitConfig, fit
from wovr_lab.types import CHUNK
from wovr_lab.world.codec import FRAMES_PER_LATENT, FrameGroupCodec
from wovr_lab.world.training import CodecTrainingConfig, train_codec
from wovr_lab.world.windows import FrameTable

WINDOW = 1 + 3 * FRAMES_PER_LATENT  # frames: the anchor's place, the memory's and the chunk's, as in the paper
WINDOWS = 10  # a batch: 130 frames, our codec's has 128


class WanCodec(nn.Module):
    """diffusers' AutoencoderKLWan at our latents' geometry: 32 channels, a cell 4 x 4 pixels and 4 frames."""

    def __init__(self) -> None:
        super().__init__()
        self.vae = AutoencoderKLWan(
            base_dim=8, z_dim=32, dim_mult=[1, 2, 2], num_res_blocks=1, temperal_downsample=[True, True]
        )

    def reconstruct(self, videos: Tensor) -> Tensor:
        """float [B, 1 + 4 n, 3, H, W] in [-1, 1] -> the same after coding."""
        latents = self.vae.encode(videos.transpose(1, 2)).latent_dist.mode()
        return self.vae.decode(latents).sample.transpose(1, 2)

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """`frames` uint8 [B, 13, H, W, 3], `background` [3, H, W]: the weighted L1 that ours learns from."""
        videos = to_float(batch["frames"])
        error = (self.reconstruct(videos) - videos).abs()
        detail = (videos - batch["background"][:1]).abs().amax(2, keepdim=True) > 0.15
        return (error * (1 + 4 * detail)).mean(), {"l1": error.mean().detach()}


def train_wan(table: FrameTable, steps: int) -> WanCodec:
    """Wan's codec on windows of the table."""
    torch.manual_seed(0)
    codec, background = WanCodec(), table.background(stream(0, "wan", "background"))
    valid = np.flatnonzero(np.arange(len(table.first)) + WINDOW <= table.last + 1)

    def batch_at(step: int) -> dict[str, Tensor]:
        index = stream(0, "wan", step).choice(valid, WINDOWS)[:, None] + np.arange(WINDOW)
        return {"frames": torch.as_tensor(table.frames[index]), "background": background.expand(WINDOWS, -1, -1, -1)}

    return fit(codec, batch_at, FitConfig(steps, 2e-3, 20, ema_decay=0.98), "wan")


@torch.inference_mode()
def compare(steps: int, episodes: int, held_out: int, turns: int) -> list[Figure]:
    """PSNR and SSIM of held-out play after coding, frames a second, and how many times slower than ours."""
    table = FrameTable.of(play_episodes(episodes, 0, 0))
    videos = np.stack([e.frames[: 1 + 4 * CHUNK] for e in play_episodes(held_out, seed_of(0, "codecs"), 0)])
    works, decoded = {}, {}
    for channels in (32, 16):
        torch.manual_seed(0)
        with torch.inference_mode(False):
            codec = FrameGroupCodec(latent_channels=channels)
            train_codec(codec, table, CodecTrainingConfig(FitConfig(steps, 2e-3, 20, ema_decay=0.98), batch=32), 0)
        groups = videos[:, 1:].reshape(-1, FRAMES_PER_LATENT, *videos.shape[2:])
        works[f"codec_ours_{channels}"] = lambda codec=codec, groups=groups: codec.decode(codec.encode(groups))
        decoded[f"codec_ours_{channels}"] = works[f"codec_ours_{channels}"]().reshape(videos[:, 1:].shape)
    with torch.inference_mode(False):
        wan = train_wan(table, steps)
    works["codec_wan"] = lambda: to_uint8(wan.reconstruct(to_float(videos)))
    decoded["codec_wan"] = works["codec_wan"]()[:, 1:]
    seconds, figures = in_turns(works, turns), []
    real = videos[:, 1:].reshape(-1, *videos.shape[2:])
    for name, frames in decoded.items():
        coded, ratios = frames.reshape(real.shape), [one / ours for one, ours in zip(
            seconds[name], seconds["codec_ours_32"], strict=True)]  # fmt: skip
        figures += [
            Figure(name, "psnr", (float(psnr(real, coded).mean()),)),
            Figure(name, "ssim", (float(ssim(real, coded).mean()),)),
            Figure(name, "frames_per_second", tuple(len(real) / each for each in seconds[name])),
            Figure(name, "times_as_long_as_ours_32", tuple(ratios)),
        ]
    return figures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=150, help="training steps of each codec")
    parser.add_argument("--episodes", type=int, default=300, help="of play to learn from")
    parser.add_argument("--held-out", type=int, default=100, help="episodes of play to judge by")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="put the rows into data/results/video.json")
    chosen = parser.parse_args()
    figures = compare(chosen.steps, chosen.episodes, chosen.held_out, chosen.turns)
    for figure in figures:
        print(f"{figure.setting:16} {figure.metric:26} {figure.row()['value']:10.4g}")
    if chosen.write:
        path = Path("data/results/video.json")
        table = read_json(path)
        new = [figure.row() for figure in figures]
        kept = [row for row in table["rows"] if row["setting"] not in {row["setting"] for row in new}]
        table["protocol"]["codecs"] = (
            f"{chosen.steps} steps of about 128 frames from {chosen.episodes} episodes of play, judged on "
            f"{chosen.held_out} others: python benchmarks/codec_choices.py --steps {chosen.steps} --write"
        )
        write_json(path, table | {"rows": kept + new})
