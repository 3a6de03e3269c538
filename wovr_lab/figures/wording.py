"""Rates, differences, settings and keys in words, for figures, tables and sentences alike.

In: rows of result files, intervals, keys. Out: `Interval`s and text.
"""

from __future__ import annotations

from typing import Any

from wovr_lab.errors import UserError
from wovr_lab.types import Interval

SETTINGS = {
    "base": "base policy",
    "wovr": "improved by WoVR",
    "online_grpo": "online GRPO",
    "wmpo": "WMPO-like imagination",
    "without_kir": "without keyframe starts",
    "without_mask": "without the mask",
    "without_pace": "without co-evolution",
}
SAMPLED = "_sampled"


def interval(row: dict[str, Any] | None) -> Interval | None:
    """A rate as report.json holds it; None where it is absent or empty. Raises UserError if a part is missing."""
    if not row:
        return None
    try:
        return Interval(float(row["rate"]), int(row["n"]), float(row["low"]), float(row["high"]))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{row} is not a rate with n, low and high; evaluate the run again") from error


def setting_name(setting: str) -> str:
    """A method's name for people, e.g. "base policy"."""
    return SETTINGS.get(setting, spaced(setting))


def spaced(name: str) -> str:
    """A key for people: `push_red` -> "push red"."""
    return name.replace("_", " ")


def settings(success: dict[str, Any]) -> list[str]:
    """The methods in a success table, base first, then WoVR, then the others as they come."""
    names = [name for name in success if not name.endswith(SAMPLED) and interval(success[name])]
    return sorted(names, key=lambda name: ("base", "wovr").index(name) if name in ("base", "wovr") else 2)


def sentence_case(text: str) -> str:
    """A text with a capital first letter."""
    return text[:1].upper() + text[1:]


def percent(rate: Interval | None, digits: int = 1) -> str:
    """E.g. "41.5 % [34.9, 48.4]", or "not measured"."""
    if rate is None or rate.n == 0:
        return "not measured"
    return f"{100 * rate.rate:.{digits}f} % [{100 * rate.low:.{digits}f}, {100 * rate.high:.{digits}f}]"


def points(difference: Interval) -> str:
    """A difference of rates, e.g. "+24.0 points [17.1, 31.2]"."""
    return f"{100 * difference.rate:+.1f} points [{100 * difference.low:+.1f}, {100 * difference.high:+.1f}]"


def number(value: Interval, digits: int) -> str:
    """A number with its interval, e.g. "0.62 [0.41, 0.78]"."""
    return f"{value.rate:.{digits}f} [{value.low:.{digits}f}, {value.high:.{digits}f}]"
