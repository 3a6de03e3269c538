"""The decoder that moves pixels: frame after frame, each one mixed from what is there already.

In: what the transformer says of each frame, the stem's features, the latest frame, anchor and background, the states.
Out: float [B, K, 3, H, W]. For each frame, with shared weights, a recurrent state on the stem's grid gives a colour, a
flow, and how much of the picture is the previous frame moved by that flow, the anchor, or the background. A latent
decoder must draw everything anew and blurs what it is unsure of; what is only moved stays as sharp as it was. Not in
the paper, whose codec is Wan's video VAE.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wovr_lab.types import ACTION_DIM
from wovr_lab.world.body import Body, picture_grid, relative_maps
from wovr_lab.world.layers import MatrixConv2d

SOURCES = 3  # previous frame, anchor, background
STAYS = 2.0  # logit by which the previous frame is preferred at first
FLOW = 2.0  # pixels that one unit of output moves, at 32 pixels a side
HIDDEN = 64  # width of the network that turns states into FiLM's scale and shift
CHANGE = 10.0  # by which features' changes are scaled up


def warp(pictures: Tensor, flow: Tensor, grid: Tensor) -> Tensor:
    """Each pixel of `pictures` [B, C, H, W] taken from `flow` [B, 2, H, W] (half pictures, right and down) away; `grid`
    [2, H, W] are the pixels' own places."""
    places = (grid + flow).movedim(1, -1)
    return F.grid_sample(pictures, places, mode="bilinear", padding_mode="border", align_corners=False)


class WarpDecoder(nn.Module):
    """`channels` of the transformer's answer a frame; `unshuffle` pixels a side of a cell. Without a body it is told no
    state; without `warping` the previous frame stays where it is."""

    def __init__(
        self, resolution: int, unshuffle: int, stem_width: int, channels: int, hidden: int, body: Body | None,
        warping: bool,
    ):  # fmt: skip
        super().__init__()
        self.unshuffle, self.warping = unshuffle, warping
        cell = 3 * unshuffle**2
        told = 3 * body.count + 2 if body else 0
        self.begin = MatrixConv2d(stem_width, hidden, 1)
        self.gather = MatrixConv2d(2 * cell + channels + hidden + told, hidden, 3)
        self.update = MatrixConv2d(hidden, hidden, 3)
        self.out = MatrixConv2d(hidden, (3 + 2 + SOURCES) * unshuffle**2, 3, silent=True)
        self.action = nn.Sequential(nn.Linear(2 * ACTION_DIM, hidden), nn.SiLU(), nn.Linear(hidden, hidden))
        self.film = None
        if body:
            self.film = nn.Sequential(
                nn.Linear(2 * body.features_size, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, 2 * hidden)
            )
            nn.init.zeros_(self.film[-1].weight)
            nn.init.zeros_(self.film[-1].bias)
        side = resolution // unshuffle
        self.register_buffer("grid", picture_grid(side, side), persistent=False)
        self.register_buffer("pixels", picture_grid(resolution, resolution), persistent=False)
        self.register_buffer("preference", torch.tensor([STAYS, 0.0, 0.0]).view(1, SOURCES, 1, 1), persistent=False)

    def forward(
        self, said: Tensor, skip: Tensor, latest: Tensor, anchor: Tensor, background: Tensor, actions: Tensor,
        features: Tensor | None, points: Tensor | None, hypothesis: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """said [B, K, channels, h, w], skip [B, stem_width, h, w], pictures [B, 3, H, W], background [3, H, W], actions
        [B, K + 1, 7] from the one that led to `latest` on; features [B, K + 1, F] and image points [B, K + 1, P, 2] of
        the states at those frames; hypothesis [B, hidden], which of several futures it is. Returns [B, K, 3, H, W]."""
        state, previous, frames = self.begin(skip), latest, []
        still = F.pixel_unshuffle(anchor - background, self.unshuffle)
        maps = None if points is None else relative_maps(self.grid, points)
        for k in range(said.shape[1]):
            seen = [F.pixel_unshuffle(previous - background, self.unshuffle), still, said[:, k], state]
            if maps is not None:  # where the body's points are now, and where the hand was
                seen += [maps[:, k + 1].flatten(1, 2), maps[:, k, 0, :2]]
            gathered = self.gather(torch.cat(seen, 1))
            shift = self.action(actions[:, k : k + 2].flatten(1))
            if hypothesis is not None:
                shift = shift + hypothesis
            if features is not None:
                change = (features[:, k + 1] - features[:, k]) * CHANGE
                scale, more = self.film(torch.cat([features[:, k + 1], change], 1)).chunk(2, 1)
                gathered, shift = gathered * (1 + scale[..., None, None]), shift + more
            state = state + self.update(F.silu(gathered + shift[..., None, None]))
            previous = self._compose(self.out(F.silu(state)), previous, anchor, background)
            frames.append(previous)
        return torch.stack(frames, 1)

    def _compose(self, answer: Tensor, previous: Tensor, anchor: Tensor, background: Tensor) -> Tensor:
        """The next picture from 8 channels a pixel: colour, flow, shares of the three sources."""
        colour, flow, shares = F.pixel_shuffle(answer, self.unshuffle).split([3, 2, SOURCES], 1)
        if self.warping:
            previous = warp(previous, flow * (FLOW * 2 / 32), self.pixels)
        moved, kept, bare = (shares + self.preference).softmax(1).split(1, 1)
        return moved * previous + kept * anchor + bare * background + colour
