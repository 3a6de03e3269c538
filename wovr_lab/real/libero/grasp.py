"""Where to take hold of a thing with two fingers from above. In: points on it and around it. Out: a `Grasp`.

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
DIRECTIONS = np.arange(0, np.pi, np.pi / 12)  # of the line through both fingers


@dataclass(frozen=True)
class Grasp:
    """A place for the hand's centre, and the direction (radians, modulo pi) of the line through its fingers."""

    point: np.ndarray  # float64 [3]
    direction: float


def best_grasp(thing: np.ndarray, others: np.ndarray, hand: np.ndarray, hand_direction: float) -> Grasp:
    """The grasp of a thing that moves and turns the hand [3] least and touches others least.

    Points float64 [n, 3] of the thing, [m, 3] of the others. What is nearest stays best while the hand goes there.
    """
    candidates = _across(thing) or _rim(thing)
    return min(candidates, key=lambda grasp: _cost(grasp, others, hand, hand_direction))


def turn_to(direction: float, hand_direction: float) -> float:
    """The smallest turn that brings the fingers' line to `direction`, in [-pi/2, pi/2)."""
    return (direction - hand_direction + np.pi / 2) % np.pi - np.pi / 2


def _across(points: np.ndarray) -> list[Grasp]:
    """Fingers on both sides of the middle, where it is narrow enough."""
    bottom, top = points[:, 2].min(), points[:, 2].max()
    height = max(bottom + FINGERTIP, top - PALM, min((bottom + top) / 2 + 0.01, top - 0.008))
    band = points[np.abs(points[:, 2] - height) < max(BAND, (top - bottom) / 4)][:, :2]
    found = []
    for direction in DIRECTIONS:
        axes = np.array([[np.cos(direction), np.sin(direction)], [-np.sin(direction), np.cos(direction)]])
        low, high = (band @ axes.T).min(0), (band @ axes.T).max(0)
        if high[0] - low[0] < WIDEST:
            found.append((high[0] - low[0], Grasp(np.array([*((low + high) / 2 @ axes), height]), float(direction))))
    narrowest = min((width for width, _ in found), default=0.0)
    return [grasp for width, grasp in found if width < narrowest + 0.006]


def _rim(points: np.ndarray) -> list[Grasp]:
    """One finger inside, one outside of the upper edge, all round."""
    top = points[:, 2].max()
    ring = points[points[:, 2] > top - BAND][:, :2]
    centre = (ring.min(0) + ring.max(0)) / 2
    found = []
    for direction in np.concatenate([DIRECTIONS, DIRECTIONS + np.pi]):
        outward = np.array([np.cos(direction), np.sin(direction)])
        along = (ring - centre) @ outward
        aside = np.abs((ring - centre) @ [-outward[1], outward[0]])
        near = along[(aside < 0.012) & (along > 0)]
        if len(near):
            edge = centre + outward * (near.max() - 0.004)
            found.append(Grasp(np.array([*edge, top - RIM_DEPTH]), float(direction % np.pi)))
    return found


def _cost(grasp: Grasp, others: np.ndarray, hand: np.ndarray, hand_direction: float) -> float:
    """Radians to turn, five a metre to go, and a lot for every finger that would come down on something."""
    outward = FINGER * np.array([np.cos(grasp.direction), np.sin(grasp.direction)])
    high = others[others[:, 2] > grasp.point[2] - 0.01][:, :2]
    blocked = 0.0
    for finger in (grasp.point[:2] + outward, grasp.point[:2] - outward):
        nearest = np.linalg.norm(high - finger, axis=1).min(initial=1.0)
        blocked += max(0.0, 0.03 - nearest) * 200
    way = 5.0 * np.linalg.norm(grasp.point[:2] - hand[:2])
    return float(abs(turn_to(grasp.direction, hand_direction)) + way + blocked)
