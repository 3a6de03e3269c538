"""Object permanence and contact: does imagination keep every cube, once, and move it only by touching it?

In: frames (cubes by colour) and read-outs (cubes by probe). Out: which rollouts break which rule. The same rules are
held against real videos: what they find there is their own rate of false alarms.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from wovr_lab.measure.tabletop.probes import COLUMNS
from wovr_lab.real.tabletop.render import BACKGROUND, COLOURS, TABLE, ZONE
from wovr_lab.real.tabletop.tasks import CUBES, get_task
from wovr_lab.types import CHUNK

VIOLATIONS = ("vanished", "duplicated", "moved_without_contact")
FEWEST = 3  # pixels of its colour that make a cube visible
PART = 4  # pixels that make a second cube of that colour
APART = 0.28  # of the picture's side between two cubes of one colour: 1.5 cubes, more than a finger can part one
REACH = 0.10  # metres from the hand's centre to a cube's within which they may touch
MOVED = 0.03  # metres in one chunk that are no error of the probe
NAMES = (*COLOURS, "table", "zone", "background")
PALETTE = np.array([*COLOURS.values(), TABLE, ZONE, BACKGROUND], np.float32)
DIRECTIONS = PALETTE / np.linalg.norm(PALETTE, axis=1, keepdims=True)  # light and shadow change only the length


def coloured(frames: np.ndarray, *colours: str) -> list[np.ndarray]:
    """bool [..., H, W] for each colour: pixels of uint8 [..., H, W, 3] that come nearer to it than to the scene's other
    colours."""
    nearest = (frames.astype(np.float32) @ DIRECTIONS.T).argmax(-1)
    return [nearest == NAMES.index(colour) for colour in colours]


def has_vanished(pixels: np.ndarray) -> bool:
    """Whether fewer than 3 pixels of a cube's colour, bool [T, H, W], are left for a whole chunk of frames."""
    return longest_run(pixels.sum((1, 2)) < FEWEST) >= CHUNK


def is_duplicated(pixels: np.ndarray) -> bool:
    """Whether bool [T, H, W] holds two separate things of one colour, 4 pixels or more each, too far apart to be one
    cube behind a finger, in two frames running."""
    limit = APART * pixels.shape[-1]
    return longest_run(np.array([_extent(frame) > limit and _separation(frame) > limit for frame in pixels])) >= 2


def _extent(frame: np.ndarray) -> float:
    """Diagonal in pixels of the rectangle around bool [H, W], quickly found; parts cannot be further apart."""
    places = np.argwhere(frame)
    return float(np.linalg.norm(np.ptp(places, axis=0))) if len(places) else 0.0


def _separation(frame: np.ndarray) -> float:
    """Pixels between the centres of the two parts of bool [H, W] that are furthest apart; 0 for a single part."""
    parts, count = ndimage.label(frame, np.ones((3, 3)))
    sizes = np.bincount(parts.ravel())[1:]
    centres = np.array([ndimage.center_of_mass(parts == part + 1) for part in range(count) if sizes[part] >= PART])
    return float(np.linalg.norm(centres[:, None] - centres[None], axis=-1).max(initial=0.0))


def has_moved_without_contact(cube: np.ndarray, hand: np.ndarray, other: np.ndarray) -> bool:
    """Whether a cube moves by more than 3 cm within a chunk in which neither the hand nor the other cube is within 10
    cm of it; positions [T, 3] in metres. Movement is across the table: what was let go of falls by itself."""
    near = np.minimum(np.linalg.norm(cube - hand, axis=-1), np.linalg.norm(cube - other, axis=-1)) < REACH
    moved = np.linalg.norm(cube[CHUNK:, :2] - cube[:-CHUNK, :2], axis=-1) > MOVED
    touched = np.array([near[first : first + CHUNK + 1].any() for first in range(len(moved))], bool)
    return bool((moved & ~touched).any())


def longest_run(flags: np.ndarray) -> int:
    """The most True entries of bool [T] in a row."""
    ends = np.flatnonzero(np.diff(np.concatenate([[0], flags, [0]])))
    return int((ends[1::2] - ends[::2]).max(initial=0))


def violations(frames: np.ndarray, readouts: np.ndarray, tasks: Sequence[str]) -> np.ndarray:
    """bool [N, 3], by `VIOLATIONS`: whether either cube breaks a rule in videos uint8 [N, T, H, W, 3] with their
    read-outs [N, T, 10]."""
    found = np.zeros((len(tasks), len(VIOLATIONS)), bool)
    for row, task in enumerate(tasks):
        hand, *cubes = (readouts[row, :, COLUMNS[name]] for name in ("hand", "front", "back"))
        for index, pixels in enumerate(coloured(frames[row], *CUBES[get_task(task).scene])):
            contact = has_moved_without_contact(cubes[index], hand, cubes[1 - index])
            found[row] |= [has_vanished(pixels), is_duplicated(pixels), contact]
    return found
