"""The pixel world model's network: stem with skips, action-conditioned Wan transformer, decoder that moves pixels.

In: anchor, memory, noisy future (float pictures), their flow time, 13 actions, and the robot's states at the latest and
the 8 future frames. Out: the clean future (x-prediction). Only the transformer is the paper's (section 2); in place of
its codec a convolutional stem keeps the pictures' detail on a grid that the decoder goes on from, since half of what a
codec's latents lose is where things touch. Sides are free (32, 64, 128): the stem's and the tokens' grids stay as they
are and their cells grow, so that the price hardly does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from wovr_lab.errors import UserError
from wovr_lab.networks import Network
from wovr_lab.robot import Robot
from wovr_lab.types import CHUNK, MEMORY
from wovr_lab.world.body import Body, picture_grid, relative_maps
from wovr_lab.world.codec import LATENT_SIDE
from wovr_lab.world.decoder import WarpDecoder
from wovr_lab.world.layers import MatrixConv2d, ResidualBlock
from wovr_lab.world.transformer import WHOLE_WINDOW, ActionWanTransformer

TOLD = 4  # frames between the states that tokens are told: 0, 4 and 8 of a chunk
APART = 0.3  # deviation of what tells one hypothesis from another at the start
SMALL = 0.02  # deviation of the transformer's last layer at the start; the decoder needs something to listen to


@dataclass(frozen=True)
class Heard:
    """What one pass of stem and transformer says of a chunk, from which each hypothesis is drawn."""

    said: Tensor  # float32 [B, 8, frame_channels, grid, grid]
    skip: Tensor  # float32 [B, width, grid, grid]
    latest: Tensor  # float32 [B, 3, H, W]
    anchor: Tensor  # float32 [B, 3, H, W]
    actions: Tensor  # float32 [B, 9, 7], from the one that led to `latest` on
    features: Tensor | None  # float32 [B, 9, F], of the robot's states
    points: Tensor | None  # float32 [B, 9, P, 2]
    prior: Tensor  # float32 [B, hypotheses], log-probabilities of each being the true one


class PixelNetwork(Network):
    """x-prediction of 8 frames. `robot` (as `Robot.to_dict` gives it) tells it states, None leaves it without;
    `warping=False` draws without moving pixels; `grid` is the stem's side in cells. With several `hypotheses` the
    decoder draws as many futures of one chunk, and a prior says how likely each is."""

    @register_to_config
    def __init__(
        self,
        resolution: int = 32,
        grid: int = 16,
        width: int = 64,
        num_attention_heads: int = 4,
        attention_head_dim: int = 32,
        num_layers: int = 3,
        answer_channels: int = 192,
        frame_channels: int = 16,
        hidden: int = 48,
        warping: bool = True,
        action_channels: str = "both",
        robot: dict[str, Any] | None = None,
        hypotheses: int = 1,
    ):
        super().__init__()
        if resolution % grid or grid % LATENT_SIDE or answer_channels % WHOLE_WINDOW[0]:
            raise UserError(
                f"no world model can have {resolution} pixels on a grid of {grid} with {answer_channels} channels: "
                f"the grid must divide the pixels and be a multiple of {LATENT_SIDE}, channels one of {WHOLE_WINDOW[0]}"
            )
        dim = num_attention_heads * attention_head_dim
        cell, patch, stride = resolution // grid, resolution // LATENT_SIDE, grid // LATENT_SIDE
        self.body = Body(Robot.from_dict(robot)) if robot else None
        self.register_buffer("background", torch.zeros(3, resolution, resolution))  # filled from data
        self.register_buffer("places", picture_grid(grid, grid), persistent=False)
        self.register_buffer("token_places", picture_grid(LATENT_SIDE, LATENT_SIDE), persistent=False)
        self.stem = MatrixConv2d((MEMORY + 2) * 3 * cell**2 + 2, width, 3)
        self.stem_block = ResidualBlock(width)
        self.tokens = MatrixConv2d(width, dim, stride, stride)
        self.noisy = MatrixConv2d(3 * CHUNK * patch**2, dim, 1)
        self.told = None
        if self.body:
            moments = CHUNK // TOLD + 1
            self.told = MatrixConv2d((CHUNK + 1) * 3 * self.body.count + moments * self.body.features_size, dim, 1)
        self.transformer = ActionWanTransformer(
            WHOLE_WINDOW, num_attention_heads=num_attention_heads, attention_head_dim=attention_head_dim,
            in_channels=dim // WHOLE_WINDOW[0], out_channels=answer_channels // WHOLE_WINDOW[0], ffn_dim=4 * dim,
            num_layers=num_layers, action_channels=action_channels,
        )  # fmt: skip
        nn.init.normal_(self.transformer.proj_out.weight, std=SMALL)
        self.spread = MatrixConv2d(answer_channels, CHUNK * frame_channels * stride**2, 1)
        self.decoder = WarpDecoder(resolution, cell, width, frame_channels, hidden, self.body, warping)
        self.hypothesis = self.prior = None
        if hypotheses > 1:
            self.hypothesis = nn.Embedding(hypotheses, hidden)
            self.prior = nn.Linear(answer_channels, hypotheses)
            nn.init.zeros_(self.prior.weight)
            nn.init.zeros_(self.prior.bias)

    def forward(
        self, anchor: Tensor, memory: Tensor, noisy: Tensor, sigma: Tensor, actions: Tensor, states: Tensor | None
    ) -> Tensor:
        """What `hear` takes -> clean frames [B, 8, 3, H, W], of the likeliest hypothesis."""
        heard = self.hear(anchor, memory, noisy, sigma, actions, states)
        return self.draw(heard, heard.prior.argmax(1))

    def draw(self, heard: Heard, which: Tensor) -> Tensor:
        """The future frames [B, 8, 3, H, W] of hypotheses `which` int64 [B]."""
        offset = None if self.hypothesis is None else self.hypothesis(which)
        return self.decoder(
            heard.said, heard.skip, heard.latest, heard.anchor, self.background, heard.actions, heard.features,
            heard.points, offset,
        )  # fmt: skip

    def hear(
        self, anchor: Tensor, memory: Tensor, noisy: Tensor, sigma: Tensor, actions: Tensor, states: Tensor | None
    ) -> Heard:
        """anchor [B, 3, H, W], memory [B, 4, 3, H, W], noisy [B, 8, 3, H, W] in [-1, 1], sigma [B], actions [B, 13, 7]
        (of the anchor, the memory, the chunk), states [B, 9, D]."""
        skip = self.stem_block(self.stem(self._seen(anchor, memory)))
        patch = self.config.resolution // LATENT_SIDE
        tokens = self.tokens(skip) + self.noisy(F.pixel_unshuffle((noisy - self.background).flatten(1, 2), patch))
        features = points = None
        if self.body is not None:
            features, points = self.body.features(states), self.body.image_points(states)
            tokens = tokens + self.told(self._told(features, points))
        said, prior = self._answer(tokens, sigma, actions)
        return Heard(said, skip, memory[:, -1], anchor, actions[:, MEMORY:], features, points, prior)

    def _seen(self, anchor: Tensor, memory: Tensor) -> Tensor:
        """Anchor, memory, background and the cells' places, on the stem's grid."""
        cell = self.config.resolution // self.config.grid
        pictures = torch.cat([anchor[:, None], memory], 1) - self.background
        constant = torch.cat([F.pixel_unshuffle(self.background[None], cell)[0], self.places])
        return torch.cat(
            [F.pixel_unshuffle(pictures.flatten(1, 2), cell), constant.expand(len(anchor), -1, -1, -1)], 1
        )  # fmt: skip

    def _told(self, features: Tensor, points: Tensor) -> Tensor:
        """Where the body's points will be in every frame, and its features in some, on the tokens' grid."""
        maps = relative_maps(self.token_places, points).flatten(1, 3)
        some = features[:, ::TOLD].flatten(1)[..., None, None]
        return torch.cat([maps, some.expand(-1, -1, *self.token_places.shape[1:])], 1)

    def _answer(self, tokens: Tensor, sigma: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """What the transformer says of each frame [B, 8, frame_channels, grid, grid] and of each hypothesis."""
        times = sigma[:, None].expand(-1, LATENT_SIDE**2) * 1000
        cells = tokens.unflatten(1, (WHOLE_WINDOW[0], -1)).transpose(1, 2)
        answer = self.transformer(cells, times, actions, return_dict=False)[0].transpose(1, 2).flatten(1, 2)
        spread = F.pixel_shuffle(self.spread(answer), self.config.grid // LATENT_SIDE)
        single = answer.new_zeros(len(answer), 1)
        prior = single if self.prior is None else self.prior(answer.mean((2, 3))).log_softmax(1)
        return spread.unflatten(1, (CHUNK, self.config.frame_channels)), prior


def with_hypotheses(network: PixelNetwork, count: int) -> PixelNetwork:
    """A copy with so many hypotheses, all drawing nearly the same at first; those that are there keep their weights."""
    config = {name: value for name, value in network.config.items() if name != "_use_default_values"}
    changed = PixelNetwork.from_config(config | {"hypotheses": count})
    changed.load_state_dict(network.state_dict(), strict=False)
    if count > 1 and network.hypothesis is None:
        nn.init.normal_(changed.hypothesis.weight, std=APART)
    return changed.train(network.training)
