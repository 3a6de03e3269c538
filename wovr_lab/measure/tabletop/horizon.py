"""Error against horizon (imagined frames since the last real one), and how deep imagination can be trusted.

In: `PairedRollouts`. Out: curves with 95 % bands; the reliability horizon: the greatest horizon up to which a stated
share of outcomes agrees and the median error of the cube that the task is about stays within a stated distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from wovr_lab.measure.intervals import bootstrapped, percentile_bounds, rate_of
from wovr_lab.measure.paired import PairedRollouts
from wovr_lab.measure.tabletop.probes import error_cm, object_error_cm
from wovr_lab.seeding import stream
from wovr_lab.types import Interval

STEP = 4  # frames between the points of a curve
AGREEMENT, WITHIN_CM = 0.9, 2.0


def agreement(pairs: PairedRollouts) -> np.ndarray:
    """bool [N, T]: whether both worlds have, or both have not, seen a success up to each horizon."""
    return pairs.imagined_success == pairs.real_success


def object_error(pairs: PairedRollouts) -> np.ndarray:
    """float [N, T] in cm at horizons 1..T: the probe's cube in the imagined frame against the simulator's."""
    return object_error_cm(pairs.found, pairs.truth, pairs.tasks)[:, 1:]


def horizon_curves(pairs: PairedRollouts) -> dict[str, list[dict[str, float]]]:
    """Points {horizon, rate, n, low, high} of medians, and of the rate of disagreement. "probe" is what the probe errs
    by on the real frames at the same horizon: below it nothing can be seen. "state" is the imagined proprioception's
    error, where the world model imagines one."""
    medians = {
        "psnr_db": pairs.psnr,
        "object_cm": object_error(pairs),
        "hand_cm": error_cm(pairs.found, pairs.truth)["hand"][:, 1:],
        "probe_object_cm": object_error_cm(pairs.seen, pairs.truth, pairs.tasks)[:, 1:],
    }
    if pairs.state_error is not None:
        medians |= {"state_hand_cm": pairs.state_error[..., 0], "state_opening_cm": pairs.state_error[..., 1]}
    horizons = range(STEP, pairs.psnr.shape[1] + 1, STEP)
    curves = {name: _median_curve(values, horizons) for name, values in medians.items()}
    curves["disagreement"] = [{"depth": d, **asdict(rate_of(~agreement(pairs)[:, d - 1]))} for d in horizons]
    return curves


def _median_curve(values: np.ndarray, horizons: Sequence[int]) -> list[dict[str, float]]:
    """Medians over rollouts of values [N, T] at these horizons."""
    chosen = values[:, np.array(horizons) - 1]
    low, high = percentile_bounds(lambda rows: np.median(rows, 0), chosen)
    return [
        {"depth": horizon, **asdict(Interval(float(middle), len(values), float(down), float(up)))}
        for horizon, middle, down, up in zip(horizons, np.median(chosen, 0), low, high, strict=True)
    ]


def reliability_horizon(
    agree: np.ndarray, error: np.ndarray, share: float = AGREEMENT, within: float = WITHIN_CM
) -> int:
    """The greatest horizon up to which at every horizon `share` of the rollouts agree and the median error is `within`:
    0 to T, from bool [N, T] and float [N, T] at horizons 1..T."""
    holds = (agree.mean(0) >= share) & (np.median(error, 0) <= within)
    return holds.size if holds.all() else int(holds.argmin())


def calibrated_horizon(pairs: PairedRollouts, run_seed: int) -> dict[str, Any]:
    """The horizon of one half of the rollouts with its bootstrap interval, and what the other half does at that
    horizon.

    Raises ValueError with fewer than two rollouts.
    """
    agree, error = agreement(pairs), object_error(pairs)
    order = stream(run_seed, "horizon").permutation(len(pairs))
    half, other = order[: len(order) // 2], order[len(order) // 2 :]
    horizon = bootstrapped(lambda rows: reliability_horizon(agree[rows], error[rows]), half)
    found = {"frames": asdict(horizon), "longest_seen": agree.shape[1]}
    frames = int(horizon.rate)
    if frames:
        found["held_out"] = {
            "agreement": asdict(rate_of(agree[other, frames - 1])),
            "object_cm": asdict(bootstrapped(np.median, error[other, frames - 1])),
        }
    return found
