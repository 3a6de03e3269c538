"""How the pixel world model learns: the state head first, then the pictures, drawn round the hand that it imagines.

In: a `FrameTable` of real episodes with the robot's states. Out: the same model, trained. As for the latent model a
share of the batches continues from self-generated memory (self-forcing); a share of the rows is told the true states.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from wovr_lab.errors import UserError
from wovr_lab.fields import Count, NonNegative, Share, configuration
from wovr_lab.pixels import to_float
from wovr_lab.runs import Metrics
from wovr_lab.seeding import stream, torch_stream
from wovr_lab.training import FitConfig, fit
from wovr_lab.types import CHUNK, MEMORY
from wovr_lab.world.histogram import added_at_share, histogram_distance
from wovr_lab.world.pixel_model import PixelContext, PixelWorldModel
from wovr_lab.world.pixel_network import Heard
from wovr_lab.world.pixel_windows import check_states, pixel_window
from wovr_lab.world.sampler import SMALLEST_SIGMA, FlowSampler, add_noise, shifted
from wovr_lab.world.state_training import StateTrainingConfig
from wovr_lab.world.training import imagined_chunks
from wovr_lab.world.windows import FrameTable

MOVED = 0.05  # mean squared change of a pixel's channels that counts as moved altogether


@configuration
class PixelTrainingConfig:
    """Batch and schedule of the network. `self_forcing[n]` is the share of batches that continue from n imagined
    chunks, as in `WorldTrainingConfig`; `histogram_share` is how much of the squared error's gradient the colour
    histogram gets, none of it at 0, over the first `histogram_ramp` of the steps growing linearly."""

    fit: FitConfig
    batch: Count = 16
    self_forcing: tuple[Share, ...] = (0.4, 0.3, 0.2, 0.1)
    ramp: NonNegative = 0.4
    motion_weight: NonNegative = 4.0
    pure_noise: Share = 0.8  # share of a batch whose time is 1, where few-step sampling and self-forcing begin
    histogram_share: NonNegative = 1.0
    histogram_ramp: NonNegative = 0.05
    histogram_regions: tuple[Count, ...] = (1,)  # tiles a side in which colours are counted, the whole picture at 1
    prior_weight: NonNegative = 0.05  # of how surprised the prior is by the hypothesis that came nearest
    true_states: Share = 0.2  # share of the rows that are told true states instead of imagined ones
    state_noise: NonNegative = 0.1  # usual steps by which the true states of a row are off
    states: StateTrainingConfig | None = None  # of the state head, first; None leaves it as it is

    def __post_init__(self) -> None:
        if not self.self_forcing or abs(sum(self.self_forcing) - 1) > 1e-6:
            raise UserError(f"self_forcing {self.self_forcing} must be shares that add up to 1")

    def imagined_chunks(self, step: int, uniform: float) -> int:
        """How many imagined chunks the batch of this step continues from."""
        return imagined_chunks(self.self_forcing, step / max(1.0, self.ramp * self.fit.steps), uniform)


class PixelFlowLoss(nn.Module):
    """x-prediction's flow-matching loss on future pictures, heavier where they move, and the histogram of colours."""

    def __init__(self, world: PixelWorldModel, config: PixelTrainingConfig):
        super().__init__()
        self.world, self.config = world, config
        self.own_sampler = FlowSampler(1)

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """A batch of `pixel_window` plus `pixel_noise`. The loss is on the last chunk; those before it are imagined."""
        world, chunks = self.world, batch["actions"].shape[1]
        context, true = self._context(batch)
        for chunk in range(chunks - 1):
            context = self._imagined(context, batch, true, chunk)
        states = self._states(context, batch, true, chunks - 1)
        clean, noise, sigma = to_float(batch["future"][:, -1]), batch["noise"][:, -1], batch["sigma"]
        noisy = add_noise(clean, noise, sigma)
        heard = world.hear(context, noisy, sigma, batch["actions"][:, -1], states)
        weight = (1 + self.config.motion_weight * moved(clean, context.memory[:, -1])) / sigma.view(-1, 1, 1, 1, 1) ** 2
        best = self._best(heard, clean, weight)
        found = world.network.draw(heard, best)
        squared = ((found - clean) ** 2 * weight).mean()  # the velocity's error
        distance = self._distance(found.flatten(0, 1), clean.flatten(0, 1))
        share = self.config.histogram_share * batch["histogram_ramp"].mean()
        loss = added_at_share(squared, distance, found, share) if self.config.histogram_share else squared
        surprise = -heard.prior.gather(1, best[:, None]).mean()
        return loss + self.config.prior_weight * surprise, {
            "squared": squared.detach(),
            "histogram": distance.detach(),
            "imagined_chunks": torch.tensor(float(chunks - 1)),
            "surprise": surprise.detach(),
        }

    @torch.no_grad()
    def _best(self, heard: Heard, clean: Tensor, weight: Tensor) -> Tensor:
        """int64 [B]: the hypothesis that comes nearest to what happened, the only one that a row teaches."""
        count = heard.prior.shape[1]
        if count == 1:
            return torch.zeros(len(clean), dtype=torch.int64, device=clean.device)
        errors = []
        for index in range(count):
            found = self.world.network.draw(heard, torch.full((len(clean),), index, device=clean.device))
            errors.append(((found - clean) ** 2 * weight).mean((1, 2, 3, 4)))
        return torch.stack(errors, 1).argmin(1)

    def _distance(self, found: Tensor, clean: Tensor) -> Tensor:
        """The mean over scales of the colours' distance."""
        regions = self.config.histogram_regions
        return sum(histogram_distance(found, clean, count) for count in regions) / len(regions)

    def _context(self, batch: dict[str, Tensor]) -> tuple[PixelContext, Tensor]:
        """The noisy context, and the true states [B, n * 8, D] of the rows, off by a little."""
        world = self.world
        sigma = world.context.noise * batch["context_sigma"]
        memory = add_noise(to_float(batch["memory"]), batch["context_noise"], sigma)
        states, true = batch["memory_states"], batch["states"]
        if world.state_head is None:  # whatever the episodes know, this model is not told
            states, true = states[..., :0], true[..., :0]
        else:
            off = (self.config.state_noise * batch["state_noise"] * world.state_head.step)[:, None]
            states, true = states + off, true + off
        context = PixelContext(to_float(batch["anchor"]), world.shortened(memory), batch["memory_actions"], states)
        return context, true

    @torch.no_grad()
    def _states(self, context: PixelContext, batch: dict[str, Tensor], true: Tensor, chunk: int) -> Tensor:
        """What the pictures of this chunk are told: imagined states, or true ones in some rows."""
        imagined = self.world.imagine_states(context, batch["actions"][:, chunk])
        told = true[:, chunk * CHUNK : (chunk + 1) * CHUNK]
        return torch.where(batch["is_told_truth"][:, None, None], told, imagined)

    @torch.no_grad()
    def _imagined(self, context: PixelContext, batch: dict[str, Tensor], true: Tensor, chunk: int) -> PixelContext:
        actions, states = batch["actions"][:, chunk], self._states(context, batch, true, chunk)
        future = self.world.sample(context, actions, states, batch["noise"][:, chunk], self.own_sampler)
        return self.world.advance(context, future, actions, states)


def moved(future: Tensor, latest: Tensor) -> Tensor:
    """How much each pixel of future [B, 8, 3, H, W] differs from the latest frame [B, 3, H, W]: [B, 8, 1, H, W] in
    [0, 1]."""
    return ((future - latest[:, None]) ** 2).mean(2, keepdim=True).div(MOVED).clamp(max=1)


def pixel_noise(batch: dict[str, Tensor], generator: torch.Generator, config: PixelTrainingConfig) -> dict[str, Tensor]:
    """The random parts of a training batch, as `flow_noise` for latents."""
    rows, chunks, _, height, width, _ = batch["future"].shape
    sigma = shifted(torch.rand(rows, generator=generator)).clamp_min(SMALLEST_SIGMA)
    return {
        "noise": torch.randn(rows, chunks, CHUNK, 3, height, width, generator=generator),
        "context_noise": torch.randn(rows, MEMORY, 3, height, width, generator=generator),
        "sigma": torch.where(torch.rand(rows, generator=generator) < config.pure_noise, 1.0, sigma),
        "context_sigma": torch.rand(rows, generator=generator),
        "state_noise": torch.randn(rows, batch["states"].shape[-1], generator=generator),
        "is_told_truth": torch.rand(rows, generator=generator) < config.true_states,
    }


def train_pixel_world(
    world: PixelWorldModel, table: FrameTable, config: PixelTrainingConfig, run_seed: int,
    folder: Path | None = None, metrics: Metrics | None = None, name: str = "world",
) -> PixelWorldModel:  # fmt: skip
    """Trains the network in place on windows of the table; the state head stays as it is. Raises UserError if the model
    needs states and the table has none."""
    check_states(world, table)
    if world.state_head is not None:
        world.state_head.requires_grad_(False)
    candidates = [table.candidates(chunks + 1) for chunks in range(len(config.self_forcing))]

    def batch_at(step: int) -> dict[str, Tensor]:
        rng = stream(run_seed, "world", step)
        chunks = config.imagined_chunks(step, rng.random()) + 1
        index, cumulative = candidates[chunks - 1]
        batch = pixel_window(table, index[np.searchsorted(cumulative, rng.random(config.batch), side="right")], chunks)
        grown = min(1.0, step / max(1.0, config.histogram_ramp * config.fit.steps))
        batch["histogram_ramp"] = torch.full((config.batch,), grown)
        return batch | pixel_noise(batch, torch_stream(run_seed, "world", step), config)

    fit(PixelFlowLoss(world, config), batch_at, config.fit, name, folder, metrics)
    return world.eval()
