"""What a domain says of its robot, as data: what its state holds and, where it is known, how actions and the camera do.

In: nothing. Out: named entries with their units and scales, the controller's rule, a camera. A world model is given
this and imports no domain. A state float32 [..., D] is proprioception, which every robot has; the simulator's is
another one.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from wovr_lab.errors import UserError

BEYOND = 10.0  # scales from its centre at which an entry is in other units, or another robot's
HAND, TARGET = ("hand_x", "hand_y", "hand_z"), ("target_x", "target_y", "target_z", "target_yaw")
OPENING = "opening"


@dataclass(frozen=True)
class Entry:
    """One number of the state; (value - centre) / scale is about in [-1, 1]."""

    name: str
    unit: str
    centre: float
    scale: float
    step: float  # a usual change in one action, in which errors are counted
    is_rate: bool = False  # a velocity, in units a step
    gate: int = -1  # which kind of contact keeps it where it is: 0 below the hand, 1 between the fingers; -1 none


@dataclass(frozen=True)
class Camera:
    """A pinhole that looks along `forward` and sees a square."""

    position: tuple[float, ...]  # metres
    right: tuple[float, ...]
    down: tuple[float, ...]
    forward: tuple[float, ...]
    half_view: float  # tangent of half the angle of view


@dataclass(frozen=True)
class Controller:
    """An action moves the commanded target: t' = clip(t + [move * (dx, dy, dz), turn * dyaw], low, high)."""

    move: float  # metres a unit of action
    turn: float  # radians a unit of action
    low: tuple[float, ...]  # x, y, z, yaw
    high: tuple[float, ...]


@dataclass(frozen=True)
class Robot:
    """A robot without camera or controller has a state that is stored and given, and that no world model imagines yet.
    Raises UserError if the hand's position is missing among the entries, or the target that a controller commands."""

    entries: tuple[Entry, ...]
    camera: Camera | None = None
    controller: Controller | None = None
    points: tuple[tuple[float, ...], ...] = ((0.0, 0.0, 0.0),)  # metres from the hand: where to look in the picture

    def __post_init__(self) -> None:
        needed = (*HAND, *TARGET) if self.controller else HAND
        missing = [name for name in needed if name not in self.names]
        if missing:
            raise UserError(f"a robot's state needs {', '.join(missing)} among its entries: {', '.join(self.names)}")

    @property
    def names(self) -> tuple[str, ...]:
        """What a state holds, in order."""
        return tuple(entry.name for entry in self.entries)

    @property
    def space(self) -> gym.spaces.Box:
        """The space of a state float32 [D]: all that `check` lets pass."""
        reach = BEYOND * self._column("scale")
        return gym.spaces.Box(self._column("centre") - reach, self._column("centre") + reach, dtype=np.float32)

    def columns(self, *names: str) -> list[int]:
        """Where these entries stand in a state."""
        return [self.names.index(name) for name in names]

    def check(self, states: np.ndarray, whose: str) -> np.ndarray:
        """`states` as float32 [..., D]. Raises UserError if they are not finite, of another length, or beyond anything
        that this robot can be in, which is what other units look like."""
        states = np.asarray(states, np.float32)
        if states.shape[-1:] != (len(self.entries),):
            raise UserError(
                f"{whose} has a state of {states.shape[-1:]} entries, {len(self.entries)} are needed: "
                f"{', '.join(f'{entry.name} ({entry.unit})' for entry in self.entries)}"
            )
        if not np.isfinite(states).all():
            raise UserError(f"{whose} has a state with NaN or infinity; read it from the robot again")
        far = np.abs((states - self._column("centre")) / self._column("scale")).reshape(-1, len(self.entries)).max(0)
        if (far > BEYOND).any():
            entry = self.entries[int(far.argmax())]
            raise UserError(
                f"{whose} has a state whose {entry.name} is {far.max():.0f} times beyond its range of "
                f"{entry.centre:g} ± {entry.scale:g} {entry.unit}; convert its units, or use this robot's own model"
            )
        return states

    def _column(self, name: str) -> np.ndarray:
        return np.array([getattr(entry, name) for entry in self.entries], np.float32)

    def to_dict(self) -> dict[str, Any]:
        """The fields, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> Robot:
        """The inverse of `to_dict`, lists for tuples allowed. Raises UserError if parts are missing or unknown."""
        try:
            camera, controller = (
                made(**{name: _plain(value) for name, value in found[part].items()}) if found[part] else None
                for part, made in (("camera", Camera), ("controller", Controller))
            )
            entries = tuple(Entry(**entry) for entry in found["entries"])
            return cls(entries, camera, controller, _plain(found["points"]))
        except (KeyError, TypeError) as error:
            raise UserError(
                f"this description of a robot is of another version ({error}); train its model again"
            ) from error


def _plain(value: Any) -> Any:
    """Lists as tuples, all the way down."""
    return tuple(_plain(entry) for entry in value) if isinstance(value, list | tuple) else value
