"""Where to take hold of a thing with two fingers from above. In: points on it, boxes around it. Out: a `Grasp`.

Things that fit between the fingers are taken across their middle, others (bowls, plates, mugs) by their rim.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

WIDEST = 0.070  # metres between open fingers, less a margin
FINGER = 0.052  # from the middle of the open hand to the middle of a finger
FINGERTIP = 0.012  # the hand's centre must stay so far above what a thing stands on
PALM = 0.030  # and the palm above it must not come down on what reaches higher
RIM_DEPTH, BAND = 0.016, 0.012
FREE, PALM_FREE = 0.018, 0.034  # metres to keep between the middle of a finger, or of the palm, and other things
MARGIN = 0.02  # metres from an end of a long thing to where it is taken
PALM_HEIGHT, PALM_HALF = 0.05, 0.10  # of the palm above the hand's centre, and of its width along the fingers' line
EXACT = 0.010  # metres that the hand may be off sideways; twice as much at a rim, which is thin
DIRECTIONS = np.arange(0, np.pi, np.pi / 12)  # of the line through both fingers


@dataclass(frozen=True)
class Obstacles:
    """Boxes in the world."""

    centres: np.ndarray  # float64 [m, 3]
    axes: np.ndarray  # float64 [m, 3, 3], columns are the boxes' own axes
    halves: np.ndarray  # float64 [m, 3], half sizes

    def distance(self, points: np.ndarray) -> np.ndarray:
        """float64 [n], metres from points [n, 3] to the nearest box; 0 inside, 1 if there is none."""
        local = np.abs(np.einsum("mij,nmi->nmj", self.axes, points[:, None] - self.centres))
        return np.linalg.norm(np.maximum(local - self.halves, 0), axis=2).min(1, initial=1.0)

    def top_along(self, start: np.ndarray, end: np.ndarray, width: float) -> float:
        """Height of the highest box within `width` of the straight way, seen from above; -1 if there is none."""
        reach = np.einsum("mij,mj->mi", np.abs(self.axes), self.halves)  # half sizes along the world's axes
        way = start[:2] + np.linspace(0, 1, 12)[:, None] * (end[:2] - start[:2])
        distance = np.linalg.norm(np.maximum(np.abs(way[:, None] - self.centres[:, :2]) - reach[:, :2], 0), axis=2)
        return float((self.centres[:, 2] + reach[:, 2])[distance.min(0) < width].max(initial=-1.0))


@dataclass(frozen=True)
class Grasp:
    """A place for the hand's centre, and the direction (radians, modulo pi) of the line through its fingers."""

    point: np.ndarray  # float64 [3]
    direction: float
    tolerance: float  # metres sideways that the hand may be off
    effort: float = 0.0  # what speaks against it, in radians of turning


def best_grasp(thing: np.ndarray, others: Obstacles, hand: np.ndarray, hand_direction: float) -> Grasp:
    """The grasp of a thing (points float64 [n, 3]) that moves and turns the hand [3] least and touches others least.

    What is nearest stays best while the hand goes there.
    """
    candidates = _across(thing) or _rim(thing)
    return min(candidates, key=lambda grasp: _cost(grasp, others, hand, hand_direction))


def turn_to(direction: float, hand_direction: float) -> float:
    """The smallest turn that brings the fingers' line to `direction`, in [-pi/2, pi/2)."""
    return (direction - hand_direction + np.pi / 2) % np.pi - np.pi / 2


def _across(points: np.ndarray) -> list[Grasp]:
    """Fingers on both sides, at the middle or towards the ends, in every direction in which it is narrow enough."""
    bottom, top = points[:, 2].min(), points[:, 2].max()
    height = max(bottom + FINGERTIP, top - PALM, min((bottom + top) / 2 + 0.01, top - 0.008))
    band = points[np.abs(points[:, 2] - height) < max(BAND, (top - bottom) / 4)][:, :2]
    found = []
    for direction in DIRECTIONS:
        axes = np.array([[np.cos(direction), np.sin(direction)], [-np.sin(direction), np.cos(direction)]])
        low, high = (band @ axes.T).min(0), (band @ axes.T).max(0)
        width, length = high - low
        for shift in (0.0, -1.0, 1.0) if width < WIDEST else ():
            offset = shift * max(0.0, length / 2 - MARGIN)
            point = np.array([*((low + high) / 2 + [0.0, offset]) @ axes, height])
            found.append(Grasp(point, float(direction), EXACT, effort=20 * width + 10 * abs(offset)))
    return found


def _rim(points: np.ndarray) -> list[Grasp]:
    """One finger inside, one outside of the upper edge, all round."""
    top = points[:, 2].max()
    ring = points[points[:, 2] > top - BAND][:, :2]
    centre = (ring.min(0) + ring.max(0)) / 2
    found = []
    for direction in np.concatenate([DIRECTIONS, DIRECTIONS + np.pi]):
        outward = np.array([np.cos(direction), np.sin(direction)])
        along = (ring - centre) @ outward
        distance = np.abs((ring - centre) @ [-outward[1], outward[0]])
        near = along[(distance < 0.012) & (along > 0)]
        if len(near):
            edge = centre + outward * (near.max() - 0.004)
            height = max(top - RIM_DEPTH, points[:, 2].min() + FINGERTIP)
            found.append(Grasp(np.array([*edge, height]), float(direction % np.pi), 2 * EXACT))
    return found


def _cost(grasp: Grasp, others: Obstacles, hand: np.ndarray, hand_direction: float) -> float:
    """Its effort, radians to turn, five a metre to go, and a lot for fingers or palm that would touch something."""
    outward = np.array([np.cos(grasp.direction), np.sin(grasp.direction), 0.0])
    up = np.array([0.0, 0.0, 1.0])
    sides = outward * np.array([-1.0, 1.0])[:, None, None]
    fingers = sides * FINGER + np.linspace(0.0, PALM_HEIGHT, 4)[:, None] * up
    palm = sides * np.linspace(0.03, PALM_HALF, 3)[:, None] + PALM_HEIGHT * up
    blocked = 0.0
    for points, free in ((fingers, FREE), (palm, PALM_FREE)):
        blocked += 100 * np.maximum(0.0, free - others.distance((grasp.point + points).reshape(-1, 3))).sum()
    way = 5.0 * np.linalg.norm(grasp.point[:2] - hand[:2])
    return float(grasp.effort + abs(turn_to(grasp.direction, hand_direction)) + way + blocked)
