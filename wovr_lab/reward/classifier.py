"""Success classifier R_psi: is the instructed task done in this frame? (paper section 2, "Reward")

In: uint8 frames and instructions. Out: probabilities. One small convolutional network, one logit an instruction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from wovr_lab.errors import UserError
from wovr_lab.fields import Count, Distinct, Size
from wovr_lab.networks import Network, convolutions
from wovr_lab.pixels import to_float


class SuccessClassifier(Network):
    """`threshold` is the calibrated probability of success; `consecutive` frames above it in a row count as success."""

    @register_to_config
    def __init__(
        self,
        instructions: Annotated[tuple[str, ...], Distinct()],
        resolution: Size = 32,
        width: Size = 24,
        consecutive: Count = 2,
    ):
        super().__init__()
        if not instructions or resolution % 16 or consecutive < 1:
            raise UserError(
                f"a classifier needs instructions, a resolution divisible by 16 and consecutive >= 1, "
                f"not {instructions}, {resolution}, {consecutive}"
            )
        cells = 2 * width * (resolution // 8) ** 2
        self.layers = nn.Sequential(*convolutions(width), nn.Linear(cells, len(instructions)))
        self.register_buffer("threshold", torch.tensor(0.5))

    def forward(self, pictures: Tensor) -> Tensor:
        """float [B, 3, H, W] in [-1, 1] -> logits [B, instructions]."""
        return self.layers(pictures)

    def columns(self, instructions: Sequence[str]) -> Tensor:
        """The logit of each instruction, int64 [N]. Raises UserError for one it was not trained on."""
        known = list(self.config.instructions)
        for instruction in instructions:
            if instruction not in known:
                raise UserError(f"this reward was trained on {known}, not on {instruction!r}; train one on that task")
        return torch.tensor([known.index(instruction) for instruction in instructions], device=self.device)

    @torch.no_grad()
    def probability(self, frames: np.ndarray, instructions: Sequence[str]) -> np.ndarray:
        """uint8 [N, T, H, W, 3] -> float32 [N, T], how likely the row's instruction is fulfilled in each frame."""
        size = self.config.resolution
        if frames.ndim != 5 or frames.shape[2:] != (size, size, 3):
            raise UserError(f"this reward takes frames [N, T, {size}, {size}, 3], not {frames.shape}")
        rows, steps = frames.shape[:2]
        logits = self(to_float(frames, self.device).flatten(0, 1)).view(rows, steps, -1)
        chosen = logits.take_along_dim(self.columns(instructions)[:, None, None], 2)[..., 0]
        return chosen.sigmoid().cpu().numpy()

    def hits(self, probabilities: np.ndarray) -> np.ndarray:
        """bool [N, T]: frames that end a run of `consecutive` probabilities [N, T] above the threshold."""
        return consecutive_hits(probabilities >= float(self.threshold), self.config.consecutive)


def consecutive_hits(above: np.ndarray, consecutive: int) -> np.ndarray:
    """bool [N, T] -> bool [N, T], True where the last `consecutive` entries up to here are all True."""
    hits = above.copy()
    for shift in range(1, consecutive):
        hits[:, shift:] &= above[:, :-shift]
        hits[:, :shift] = False
    return hits
