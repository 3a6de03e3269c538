"""A robot's body as a world model sees it: where its points are in the picture, its state as features.

In: states float32 [..., D] as `Robot` describes them. Out: features, image coordinates, the controller's targets. The
paper's world model is told actions alone and has to guess where the hand is; proprioception says so.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wovr_lab.errors import UserError
from wovr_lab.robot import HAND, TARGET, Robot

LEAD = 0.025  # metres between hand and target, scaled to one
BUMP = 0.12  # width of the bump at a point, in half pictures
NEAR = 0.5  # half pictures beyond which relative coordinates are cut


class Body(nn.Module):
    """Fixed formulas from a `Robot`: `size` entries a state, `features_size` features of it. No checkpoint holds their
    numbers, which half precision would round to those of another robot. Raises UserError if the robot's camera or
    controller is not known.
    """

    def __init__(self, robot: Robot):
        super().__init__()
        camera, controller = robot.camera, robot.controller
        if camera is None or controller is None:
            raise UserError("a world model is told a robot's state only if its camera and its controller are described")
        self.size, self.count = len(robot.entries), len(robot.points)
        self.hand, self.target = robot.columns(*HAND), robot.columns(*TARGET)
        self.features_size = 2 * self.count + self.size + 3
        buffers = {
            "centre": [entry.centre for entry in robot.entries],
            "scale": [entry.scale for entry in robot.entries],
            "points": robot.points,
            "eye": camera.position,
            "axes": (camera.right, camera.down, camera.forward),
            "half_view": camera.half_view,
            "unit": [*[controller.move] * 3, controller.turn],
            "low": controller.low,
            "high": controller.high,
        }
        for name, value in buffers.items():
            self.register_buffer(name, torch.tensor(value, dtype=torch.float32), persistent=False)

    def project(self, points: Tensor) -> Tensor:
        """Points [..., 3] in metres -> image coordinates [..., 2], right and down, the picture's edges at -1 and 1."""
        seen = (points - self.eye) @ self.axes.T
        return seen[..., :2] / seen[..., 2:].clamp(min=1e-3) / self.half_view

    def image_points(self, states: Tensor) -> Tensor:
        """Where the robot's points are in the picture: states [..., D] -> [..., P, 2]."""
        return self.project(states[..., None, self.hand] + self.points)

    def normalised(self, states: Tensor) -> Tensor:
        """[..., D], about in [-1, 1]."""
        return (states - self.centre) / self.scale

    def features(self, states: Tensor) -> Tensor:
        """[..., features_size]: image coordinates, the state normalised, how far the target leads the hand."""
        lead = (states[..., self.target[:3]] - states[..., self.hand]) / LEAD
        return torch.cat([self.image_points(states).flatten(-2), self.normalised(states), lead], -1)

    def targets(self, state: Tensor, actions: Tensor) -> Tensor:
        """What the controller will be sent to, by its own rule: state [B, D], actions [B, K, 7] -> [B, K, 4]."""
        moves = torch.cat([actions[..., :3], actions[..., 5:6]], -1) * self.unit
        target, found = state[:, self.target], []
        for move in moves.unbind(1):
            target = torch.minimum(torch.maximum(target + move, self.low), self.high)
            found.append(target)
        return torch.stack(found, 1)


def picture_grid(height: int, width: int) -> Tensor:
    """Image coordinates [2, h, w] of cells' centres, right and down, the edges at -1 and 1."""
    down, right = torch.meshgrid(
        (torch.arange(height) + 0.5) / height * 2 - 1, (torch.arange(width) + 0.5) / width * 2 - 1, indexing="ij"
    )
    return torch.stack([right, down])


def relative_maps(grid: Tensor, points: Tensor) -> Tensor:
    """How far each cell of `grid` [2, h, w] is from points [..., 2], cut where it is far, and a bump at the point:
    [..., 3, h, w]."""
    away = grid - points[..., None, None]
    bump = torch.exp(-(away**2).sum(-3, keepdim=True) / (2 * BUMP**2))
    return torch.cat([away.clamp(-NEAR, NEAR) / (NEAR / 2), bump], -3)
