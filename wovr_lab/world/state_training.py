"""How imagined proprioception is learnt: chunks of real episodes, from the true state and the real frame before them.

In: a `FrameTable` with the robot's states. Out: the state head, trained. Frames are blurred in half of the rows and all
of them noisy, since imagined ones will be, and windows in which something blocks the hand are drawn more often.
"""

from __future__ import annotations

from dataclasses import field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wovr_lab.fields import Count, NonNegative, configuration
from wovr_lab.pixels import to_float
from wovr_lab.runs import Metrics
from wovr_lab.seeding import stream, torch_stream
from wovr_lab.training import FitConfig, fit
from wovr_lab.types import CHUNK
from wovr_lab.world.pixel_model import PixelWorldModel
from wovr_lab.world.pixel_windows import check_states, pixel_window
from wovr_lab.world.state_head import StateHead
from wovr_lab.world.windows import FrameTable

BEND = 0.1  # usual steps within which the error counts as a square, beyond as a line
STILL = 0.002  # metres a step below which a hand stands still
RATES = 0.5  # of an error in a velocity


@configuration
class StateTrainingConfig:
    """Batch and schedule of the state head."""

    fit: FitConfig = field(default_factory=lambda: FitConfig(1200, 3e-3, weight_decay=1e-4, final_fraction=0.02))
    batch: Count = 192
    blocked_weight: NonNegative = 4.0  # of windows in which the hand lags behind its target, against others, beyond 1
    lag: NonNegative = 0.012  # metres above its target that say that a hand is blocked, if it does not move either
    frame_noise: NonNegative = 0.03


class StateLoss(nn.Module):
    """Smooth L1 distance of imagined states from true ones, in usual steps of each entry; the target's are a rule's."""

    def __init__(self, head: StateHead):
        super().__init__()
        self.head = head
        weight = (1 - head.is_rate * (1 - RATES)).index_fill(0, torch.tensor(head.body.target), 0.0)
        self.register_buffer("weight", weight / head.step)

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """A `pixel_window` of one chunk, with `frame_noise` [B, 3, H, W] and `blur` [B] in [0, 1] for its frame."""
        blur = batch["blur"].view(-1, 1, 1, 1)
        frame = blurred(to_float(batch["memory"][:, -1]), blur) + batch["frame_noise"]
        states, actions = batch["memory_states"][:, -2:], batch["actions"][:, 0]
        found = self.head(states, actions, frame, to_float(batch["anchor"]))
        error = F.smooth_l1_loss(
            found * self.weight, batch["states"] * self.weight, beta=BEND, reduction="none"
        )  # fmt: skip
        hand = (found - batch["states"])[:, -1, self.head.body.hand].norm(dim=-1).mean()
        return error.sum(-1).mean(), {"hand_cm": 100 * hand.detach()}


def blurred(pictures: Tensor, amount: Tensor) -> Tensor:
    """Pictures [B, 3, H, W] mixed with their 3 x 3 means by `amount` [B, 1, 1, 1]."""
    means = F.avg_pool2d(F.pad(pictures, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return pictures + (means - pictures) * amount


def train_state_head(
    world: PixelWorldModel, table: FrameTable, config: StateTrainingConfig, run_seed: int,
    folder: Path | None = None, metrics: Metrics | None = None, name: str = "states",
) -> PixelWorldModel:  # fmt: skip
    """Trains the world's state head in place; does nothing for a model without one. Raises UserError if the table has
    no states."""
    check_states(world, table)
    if world.state_head is None:
        return world
    head = world.state_head.requires_grad_(True)
    index, cumulative = _weighted(head, table, config)

    def batch_at(step: int) -> dict[str, Tensor]:
        rng, generator = stream(run_seed, name, step), torch_stream(run_seed, name, step)
        chosen = index[np.searchsorted(cumulative, rng.random(config.batch), side="right")]
        batch = pixel_window(table, chosen, 1)
        shape = (config.batch, 3, *batch["memory"].shape[2:4])
        amount = torch.rand(config.batch, generator=generator)
        half = torch.rand(config.batch, generator=generator) < 0.5
        return batch | {
            "frame_noise": config.frame_noise * torch.randn(shape, generator=generator),
            "blur": amount * half,
        }

    fit(StateLoss(head), batch_at, config.fit, name, folder, metrics)
    return world.eval()


def _weighted(head: StateHead, table: FrameTable, config: StateTrainingConfig) -> tuple[np.ndarray, np.ndarray]:
    """Windows and the cumulative distribution to draw them by: those in which the hand is blocked more often."""
    index, _ = table.candidates(1)
    height = table.proprio[:, head.body.hand[2]]
    stands = np.abs(np.diff(height, prepend=height[:1])) < STILL
    lags = stands & (height - table.proprio[:, head.body.target[2]] > config.lag)
    so_far = np.concatenate([[0], np.cumsum(lags)])
    is_blocked = so_far[index + CHUNK + 1] > so_far[index]
    cumulative = np.cumsum(table.weight[index] * (1 + config.blocked_weight * is_blocked))
    return index, cumulative / cumulative[-1]
