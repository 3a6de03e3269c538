"""How near imagined frames are to the real ones, frame by frame, in words that no blur can deceive.

In: imagined and real frames of a step, read-outs of both. Out: errors in centimetres and grey levels, and a level:
faithful, drifting or lost. The state probe can read a right place out of a wrong picture by luck, so that the worst
patch of the picture counts as well: on the recorded cases of the shipped runs, 95 % of the frames with hand and cube
within 2 cm have a worst patch below 36 grey levels, and 95 % of those with more than 5 cm one above 44.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wovr_lab.measure.tabletop.gallery import LOST_CM
from wovr_lab.measure.tabletop.horizon import WITHIN_CM
from wovr_lab.measure.tabletop.probes import error_cm, object_error_cm

LEVELS = ("faithful", "drifting", "lost")
PATCH = 8  # pixels a side
DRIFTING, LOST = 36.0, 50.0  # grey levels of the worst patch from which a picture is called so
LUMINANCE = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class Fidelity:
    """How near n imagined frames of a task are to the real ones."""

    patch: np.ndarray  # float32 [n], mean absolute luminance error of the worst 8 x 8 patch, grey levels
    hand: np.ndarray | None = None  # float32 [n], cm; None where no probe reads such frames
    cube: np.ndarray | None = None  # float32 [n], cm, of the cube that the task is about
    found: np.ndarray | None = None  # float32 [n, 10], metres: what the probe reads in the imagined frames
    truth: np.ndarray | None = None  # float32 [n, 10], metres: where hand and cubes really are

    @property
    def levels(self) -> np.ndarray:
        """int64 [n], indices into `LEVELS`: the worst that picture, hand and cube say."""
        levels = np.digitize(self.patch, (DRIFTING, LOST))
        for error in (self.hand, self.cube):
            if error is not None:
                levels = np.maximum(levels, np.digitize(error, (WITHIN_CM, LOST_CM), right=True))
        return levels


def fidelity_of(
    task: str,
    imagined: np.ndarray,
    real: np.ndarray,
    found: np.ndarray | None,
    truth: np.ndarray | None,
) -> Fidelity:
    """From frames uint8 [n, H, W, 3] and read-outs float32 [n, 10] in metres, None where nothing reads them."""
    patch = worst_patch(imagined, real)
    if found is None or truth is None:
        return Fidelity(patch)
    hand = error_cm(found, truth)["hand"]
    cube = object_error_cm(found[None], truth[None], [task])[0] if len(found) else hand
    return Fidelity(patch, hand, cube, found, truth)


def worst_patch(imagined: np.ndarray, real: np.ndarray) -> np.ndarray:
    """float32 [n]: the greatest mean absolute luminance error of any 8 x 8 patch, from uint8 [n, H, W, 3]."""
    error = np.abs((imagined.astype(np.float32) - real) @ LUMINANCE)
    side = min(PATCH, error.shape[1])
    summed = np.pad(error, ((0, 0), (1, 0), (1, 0))).cumsum(1).cumsum(2)
    upper, lower = summed[:, :-side], summed[:, side:]
    patches = lower[..., side:] - lower[..., :-side] - upper[..., side:] + upper[..., :-side]
    return (patches.max((1, 2)) / side**2).astype(np.float32)
