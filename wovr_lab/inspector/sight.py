"""Frames as a browser takes them, and points of the scene as shares of the picture.

In: uint8 frames, read-outs in metres, states. Out: data URLs; image coordinates, 0 at the left and upper edge, 1 at the
right and lower one.
"""

from __future__ import annotations

import base64
import io
from functools import cache
from typing import Any

import numpy as np
import torch
from PIL import Image

from wovr_lab.figures.pictures import check_frames
from wovr_lab.inspector.timeline import State
from wovr_lab.measure.tabletop.probes import COLUMNS, object_columns
from wovr_lab.real.tabletop.proprioception import tabletop_robot
from wovr_lab.robot import HAND, OPENING
from wovr_lab.world.body import Body

FRAME_MS = 83  # a frame of a film: 12 a second
QUALITY = 88  # of photographs for people; what models see is sent exactly


def png(frame: np.ndarray) -> str:
    """uint8 [H, W, 3], exactly, as a data URL."""
    return _url(Image.fromarray(frame), "png", compress_level=1)


def photograph(frame: np.ndarray) -> str:
    """uint8 [H, W, 3] for people, as a data URL."""
    return _url(Image.fromarray(frame), "jpeg", quality=QUALITY)


def row_of(frames: np.ndarray) -> str:
    """uint8 [n, H, W, 3] side by side, exactly, as a data URL; "" without frames."""
    return png(np.concatenate(list(frames), 1)) if len(frames) else ""


def film(frames: np.ndarray, scale: int) -> str:
    """uint8 [T, H, W, 3] as a picture that plays by itself, its last frame held for a second, as a data URL."""
    check_frames(frames)
    first, *rest = [Image.fromarray(frame.repeat(scale, 0).repeat(scale, 1)) for frame in frames]
    durations = [FRAME_MS] * len(rest) + [12 * FRAME_MS]
    return _url(first, "webp", save_all=True, append_images=rest, duration=durations, loop=0, lossless=True, method=0)


def _url(picture: Image.Image, kind: str, **options: Any) -> str:
    file = io.BytesIO()
    picture.save(file, format=kind.upper(), **options)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


@cache
def _body() -> Body:
    return Body(tabletop_robot())


def project(points: np.ndarray) -> np.ndarray:
    """Points [..., 3] in metres -> float32 [..., 2], shares of the picture."""
    return (_body().project(torch.as_tensor(points, dtype=torch.float32)).numpy() + 1) / 2


def image_points(readouts: np.ndarray, task: str) -> np.ndarray:
    """Hand, then cube of the task, in the picture: float32 [n, 2, 2] of read-outs [n, 10]."""
    cube = readouts[:, object_columns([task])[0]]
    return project(np.stack([readouts[:, COLUMNS["hand"]], cube], 1))


def ghost_of(state: State) -> dict[str, list[Any]] | None:
    """The two fingers in the picture, by the robot's imagined state and by the real one: [2, 2] each; None where the
    world model imagines no state."""
    if state.imagined.proprio is None or state.real.proprio is None:
        return None
    sides = {"imagined": state.imagined.proprio[-1], "real": state.real.proprio[-1]}
    return {name: np.round(project(fingers(proprio)).astype(float), 3).tolist() for name, proprio in sides.items()}


def fingers(proprio: np.ndarray) -> np.ndarray:
    """Where both fingers' tips are, [2, 3] in metres, of a state [D] of the tabletop's robot."""
    robot = tabletop_robot()
    hand, (yaw, opening) = proprio[robot.columns(*HAND)], proprio[robot.columns("hand_yaw", OPENING)]
    across = np.array([-np.sin(yaw), np.cos(yaw), 0.0]) * opening / 2
    return np.stack([hand - across, hand + across])
