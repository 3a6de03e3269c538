"""How the world model learns: first the codec, then rectified flow on the future latents (paper section 2).

In: a `FrameTable` of real episodes. Out: a trained codec, a trained transformer. Beside the paper's noisy context, a
share of the batches continues from self-generated memory (self-forcing), since that is what it will live on.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from wovr_lab.errors import UserError
from wovr_lab.fields import Count, NonNegative, Share, configuration
from wovr_lab.runs import Metrics
from wovr_lab.seeding import stream, torch_stream
from wovr_lab.training import FitConfig, fit
from wovr_lab.types import MEMORY
from wovr_lab.world.codec import CodecLoss, FrameGroupCodec
from wovr_lab.world.context import Context
from wovr_lab.world.model import FUTURE, WorldModel
from wovr_lab.world.sampler import SMALLEST_SIGMA, FlowSampler, add_noise, shifted
from wovr_lab.world.windows import FrameTable, LatentTable


@configuration
class CodecTrainingConfig:
    """Batch and schedule of the codec."""

    fit: FitConfig
    batch: Count = 64
    latent_noise: NonNegative = 0.05


def train_codec(
    codec: FrameGroupCodec, table: FrameTable, config: CodecTrainingConfig, run_seed: int,
    folder: Path | None = None, metrics: Metrics | None = None,
) -> FrameGroupCodec:  # fmt: skip
    """Trains the codec in place on groups of the table's frames and sets its latent statistics."""
    codec.background.copy_(table.background(stream(run_seed, "codec", "background")))
    chosen = stream(run_seed, "codec", "components").integers(len(table.frames), size=4096)
    codec.project_onto_components(table.groups(chosen), torch_stream(run_seed, "codec", "components"))
    learner = CodecLoss(codec, latent_noise=config.latent_noise)

    def batch_at(step: int) -> dict[str, Tensor]:
        rng = stream(run_seed, "codec", step)
        frames = torch.as_tensor(table.groups(rng.integers(len(table.frames), size=config.batch)))
        noise = torch.randn(config.batch, *codec.latent_shape, generator=torch_stream(run_seed, "codec", step))
        return {"frames": frames, "noise": noise}

    fit(learner, batch_at, config.fit, "codec", folder, metrics)
    chosen = stream(run_seed, "codec", "statistics").integers(len(table.frames), size=1024)
    codec.normalise(table.groups(chosen))
    return codec.eval()


@configuration
class WorldTrainingConfig:
    """Batch and schedule of the transformer. `self_forcing[n]` is the share of batches that continue from n imagined
    chunks; it grows linearly from none over the first `ramp` of the steps."""

    fit: FitConfig
    batch: Count = 32
    self_forcing: tuple[Share, ...] = (0.5, 0.35, 0.15)
    ramp: NonNegative = 0.4
    self_forcing_steps: Count = 1
    motion_weight: NonNegative = 4.0
    pure_noise: Share = 0.5  # share of a batch whose time is 1, where few-step sampling and self-forcing begin

    def __post_init__(self) -> None:
        if not self.self_forcing or abs(sum(self.self_forcing) - 1) > 1e-6:
            raise UserError(f"self_forcing {self.self_forcing} must be shares that add up to 1")

    def imagined_chunks(self, step: int, uniform: float) -> int:
        """How many imagined chunks the batch of this step continues from."""
        return imagined_chunks(self.self_forcing, step / max(1.0, self.ramp * self.fit.steps), uniform)


def imagined_chunks(self_forcing: tuple[float, ...], grown: float, uniform: float) -> int:
    """How many imagined chunks a uniform number means; numbers above 0 have `grown` to their shares (at 1)."""
    shares = np.array(self_forcing) * min(1.0, grown)
    shares[0] = 1 - shares[1:].sum()
    return int(np.searchsorted(np.cumsum(shares), uniform, side="right").clip(0, len(shares) - 1))


class FlowMatchingLoss(nn.Module):
    """Learns the velocity of the future latents; the loss weighs what moves more than what stands still."""

    def __init__(self, world: WorldModel, motion_weight: float, self_forcing_steps: int):
        super().__init__()
        self.world, self.motion_weight = world, motion_weight
        self.own_sampler = FlowSampler(self_forcing_steps)

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """A window batch of `LatentTable.window` plus `sigma` [B], `context_sigma` [B], `noise` [B, n, C, 2, h, w] and
        `context_noise` [B, C, h, w]. The loss is on the last chunk; those before it are imagined."""
        world, chunks = self.world, batch["actions"].shape[1]
        context = Context(batch["anchor"], batch["memory"], batch["memory_actions"])
        context = world.context.add_context_noise(context, batch["context_noise"], batch["context_sigma"])
        for chunk in range(chunks - 1):
            context = self._imagined(context, batch["actions"][:, chunk], batch["noise"][:, chunk])
        clean, noise, sigma = batch["future"][:, -1], batch["noise"][:, -1], batch["sigma"]
        noisy = add_noise(clean, noise, sigma)
        velocity = world.velocity(context, noisy, sigma, batch["actions"][:, -1])
        weight = 1 + self.motion_weight * motion(clean, context.memory)
        error = ((velocity - (noise - clean)) ** 2 * weight).mean((1, 2, 3, 4))
        change = ((velocity - (noise - clean)).detach() * sigma.view(-1, 1, 1, 1, 1)) ** 2
        return error.mean(), {"latent_error": change.mean(), "imagined_chunks": torch.tensor(float(chunks - 1))}

    @torch.no_grad()
    def _imagined(self, context: Context, chunk: Tensor, noise: Tensor) -> Context:
        world = self.world
        future = self.own_sampler.sample(lambda noisy, sigma: world.velocity(context, noisy, sigma, chunk), noise)
        frames = np.empty(0)
        if world.context.memory != MEMORY:  # a shorter memory is encoded anew from decoded frames
            groups = world.codec.decode(future.transpose(1, 2).flatten(0, 1))
            frames = groups.reshape(len(chunk), -1, *groups.shape[2:])
        return world.context.advance(world.codec, context, future, chunk, frames)


def motion(future: Tensor, memory: Tensor) -> Tensor:
    """How much each latent cell [B, C, 2, h, w] differs from the memory [B, C, h, w]: [B, 1, 2, h, w] in [0, 1]."""
    return ((future - memory[:, :, None]) ** 2).mean(1, keepdim=True).div(0.5).clamp(max=1)


def train_world(
    world: WorldModel, table: LatentTable, config: WorldTrainingConfig, run_seed: int,
    folder: Path | None = None, metrics: Metrics | None = None, name: str = "world",
) -> WorldModel:  # fmt: skip
    """Trains the transformer in place on windows of the table; the codec stays as it is."""
    world.codec.requires_grad_(False)
    candidates = [table.table.candidates(chunks + 1) for chunks in range(len(config.self_forcing))]

    def batch_at(step: int) -> dict[str, Tensor]:
        rng = stream(run_seed, "world", step)
        chunks = config.imagined_chunks(step, rng.random()) + 1
        index, cumulative = candidates[chunks - 1]
        batch = table.window(index[np.searchsorted(cumulative, rng.random(config.batch), side="right")], chunks)
        return batch | flow_noise(batch, torch_stream(run_seed, "world", step), config.pure_noise)

    learner = FlowMatchingLoss(world, config.motion_weight, config.self_forcing_steps)
    fit(learner, batch_at, config.fit, name, folder, metrics)
    return world.eval()


def flow_noise(batch: dict[str, Tensor], generator: torch.Generator, pure_noise: float = 0.0) -> dict[str, Tensor]:
    """The random parts of a training batch: noise, times and the context's noise level. Times are uniform and shifted,
    but 1 for a share `pure_noise` of the rows."""
    rows, chunks = batch["actions"].shape[:2]
    channels, height, width = batch["memory"].shape[1:]
    sigma = shifted(torch.rand(rows, generator=generator)).clamp_min(SMALLEST_SIGMA)
    return {
        "noise": torch.randn(rows, chunks, channels, FUTURE, height, width, generator=generator),
        "context_noise": torch.randn(rows, channels, height, width, generator=generator),
        "sigma": torch.where(torch.rand(rows, generator=generator) < pure_noise, 1.0, sigma),
        "context_sigma": torch.rand(rows, generator=generator),
    }
