"""Imagined proprioception: where the hand and the fingers will be after each action of a chunk.

In: the memory's last two states, the chunk's actions, the latest frame and the anchor. Out: states [B, 8, D]. The
commanded target follows the controller's own rule. Free motion is linear in the last moves and the commands to a
millimetre; a small network adds what is not. Contact cannot be reckoned: a hand is stopped by what it presses on and
fingers by what they hold, so gates that see crops of the picture, where the hand is sent, keep height and fingers where
they are. Not in the paper, which is told actions alone.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from wovr_lab.networks import Network
from wovr_lab.robot import Robot
from wovr_lab.types import ACTION_DIM
from wovr_lab.world.body import Body

CROP = 16  # samples a side of a crop
VIEW = 0.5  # of the picture's side that a crop spans
GATES = 2  # below the hand, between the fingers
SHUT = 2.5  # logit below which gates begin: free motion
FARTHER = 10.0  # features are scaled up by it where they count a chunk's way, in metres
NUDGE = 0.3  # of an entry's usual step that contact may add directly, a unit of output


class StateHead(Network):
    """Next states of a `Robot` (`Robot.to_dict`). `sees=False` reckons without looking: its gates know states alone."""

    @register_to_config
    def __init__(self, robot: dict, width: int = 128, free_width: int = 64, seen: int = 24, sees: bool = True):
        super().__init__()
        described = Robot.from_dict(robot)
        self.body = Body(described)
        entries, size = described.entries, self.body.size
        self.register_buffer("step", torch.tensor([entry.step for entry in entries]), persistent=False)
        self.register_buffer("is_rate", torch.tensor([float(entry.is_rate) for entry in entries]), persistent=False)
        held = [[float(entry.gate == gate) for entry in entries] for gate in range(GATES)]
        self.register_buffer("held", torch.tensor(held), persistent=False)  # which gate keeps which entry
        inputs = 2 * size + 4 + 3 + ACTION_DIM + 1
        self.eye = nn.Sequential(
            nn.Conv2d(6, 24, 4, 2, 1), nn.SiLU(), nn.Conv2d(24, 32, 4, 2, 1), nn.SiLU(), nn.Flatten(),
            nn.Linear(32 * (CROP // 4) ** 2, seen),
        )  # fmt: skip
        self.linear = nn.Linear(inputs, size)
        self.free = nn.Sequential(nn.Linear(inputs, free_width), nn.SiLU(), nn.Linear(free_width, size))
        self.contact = nn.Sequential(
            nn.Linear(inputs + seen, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(),
            nn.Linear(width, GATES + size),
        )  # fmt: skip
        for last in (self.linear, self.free[-1], self.contact[-1]):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        grid = ((torch.arange(CROP) + 0.5) / CROP * 2 - 1) * VIEW
        down, right = torch.meshgrid(grid, grid, indexing="ij")
        self.register_buffer("crop", torch.stack([right, down], -1), persistent=False)

    def forward(self, states: Tensor, actions: Tensor, frame: Tensor, anchor: Tensor) -> Tensor:
        """states [B, 2, D] before `frame` and at it, actions [B, K, 7], pictures [B, 3, H, W] -> [B, K, D]."""
        before, state = states.unbind(1)
        origin, targets, found = state[:, self.body.hand], self.body.targets(state, actions), []
        seen = self._look(frame, anchor, targets[..., :3])
        for action, target, view in zip(actions.unbind(1), targets.unbind(1), seen.unbind(1), strict=True):
            before, state = state, self._next(before, state, action, target, view, origin)
            found.append(state)
        return torch.stack(found, 1)

    def _look(self, frame: Tensor, anchor: Tensor, places: Tensor) -> Tensor:
        """Crops of frame and anchor around places [B, K, 3] in the world, as features [B, K, seen]."""
        rows, count = places.shape[:2]
        if not self.config.sees:
            return frame.new_zeros(rows, count, self.config.seen)
        grid = self.crop + self.body.project(places)[:, :, None, None]
        both = torch.cat([frame, anchor], 1)
        crops = F.grid_sample(both, grid.flatten(1, 2), padding_mode="border", align_corners=False)
        crops = crops.unflatten(2, (count, CROP)).transpose(1, 2).flatten(0, 1)
        return self.eye(crops).unflatten(0, (rows, count))

    def _next(
        self, before: Tensor, state: Tensor, action: Tensor, target: Tensor, seen: Tensor, origin: Tensor
    ) -> Tensor:  # fmt: skip
        """The state after one action; the entries of the target are those of the rule."""
        body = self.body
        commanded = state.index_copy(1, torch.tensor(body.target, device=state.device), target)
        hand = state[:, body.hand]
        lead = (target[:, :3] - hand) / body.unit[:3]
        turn = (target[:, 3:] - state[:, body.target[3:]]) / body.unit[3:]
        closes = (action[:, 6:] > 0).float() * 2 - 1
        told = torch.cat(
            [body.normalised(commanded), (state - before) / self.step, lead, turn, (hand - origin) * FARTHER, action,
             closes], 1,
        )  # fmt: skip
        contact = self.contact(torch.cat([told, seen], 1))
        free = self.linear(told) + self.free(told)
        stays = torch.sigmoid(contact[:, :GATES] - SHUT) @ self.held  # [B, D], 0 where no gate acts
        moved = (free * (1 - stays) + contact[:, GATES:] * NUDGE) * self.step
        following = state * (1 - self.is_rate) + moved
        return following.index_copy(1, torch.tensor(body.target, device=state.device), target)
