"""What the side panel shows when it is asked: several futures of a chunk, two branches beside each other.

In: a `Session`. Out: HTML whose films play by themselves.
"""

from __future__ import annotations

from itertools import zip_longest

import numpy as np

from wovr_lab.errors import UserError
from wovr_lab.figures.style import plain
from wovr_lab.inspector.session import Session
from wovr_lab.inspector.sight import film
from wovr_lab.inspector.timeline import Branch, Step
from wovr_lab.measure.hallucination import psnr

WORLDS = ("imagined", "real")
SCALE = 3  # of small films
MARK = np.array([230, 159, 0], np.uint8)  # the border of frames that differ


def futures_html(futures: list[Step]) -> str:
    """Several imaginations of one chunk as small films, then what really happened."""
    spread = np.stack([step.imagined for step in futures]).astype(float).std(0).mean()
    told = [
        _film(
            step.imagined,
            f"future {number}, noise seed {step.switches.noise}",
            f"success probability {step.probability_imagined[-1]:.2f}, {step.psnr:.1f} dB",
        )
        for number, step in enumerate(futures, 1)
    ]
    told.append(_film(futures[0].real, "real", f"success probability {futures[0].probability_real[-1]:.2f}"))
    note = f"The futures differ by {spread:.1f} grey levels (std over seeds, mean over pixels)."
    return f"<div class='films'>{''.join(told)}</div><p>{note}</p>"


def comparison_html(session: Session, other: str) -> str:
    """The current branch and another as synchronised films, from the first frame in which either world differs marked
    by a border. Raises UserError if there is no such branch."""
    if other not in session.branches or other == session.name:
        raise UserError("there is no other branch to compare with; rewind and act, or fork, to make one")
    both = {session.name: session.branch, other: session.branches[other]}
    films = {f"{plain(name)}, {world}": getattr(each, world) for name, each in both.items() for world in WORLDS}
    parted = first_difference(*both.values())
    longest = max(len(frames) for frames in films.values())
    told = [_film(_marked(_held(frames, longest), parted), name, "") for name, frames in films.items()]
    where = f"The first differing frame is {parted}; from there on frames have a border." if parted is not None else ""
    head = "<tr><th></th><td>success imagined</td><td>real</td><td>actions</td><td>PSNR</td></tr>"
    rows = "".join(f"<tr><th scope='row'>{plain(name)}</th>{_summary(branch)}</tr>" for name, branch in both.items())
    same = where or "The two branches show the same frames."
    return f"<div class='films'>{''.join(told)}</div><p>{same}</p><table>{head}{rows}</table>"


def first_difference(first: Branch, second: Branch) -> int | None:
    """The earliest frame that only one of the branches shows so, in either world; None if there is none."""
    found = []
    for world in WORLDS:
        pairs = zip_longest(getattr(first, world), getattr(second, world))
        found += [k for k, (a, b) in enumerate(pairs) if a is None or b is None or not np.array_equal(a, b)][:1]
    return min(found, default=None)


def _held(frames: np.ndarray, length: int) -> np.ndarray:
    """Frames [T, ...] with the last repeated up to `length`."""
    return frames[np.minimum(np.arange(length), len(frames) - 1)]


def _marked(frames: np.ndarray, first: int | None) -> np.ndarray:
    """Frames with a white border of one pixel, which is coloured from frame `first` on."""
    bordered = np.pad(frames, [(0, 0), (1, 1), (1, 1), (0, 0)], constant_values=255)
    if first is not None:
        for edge in (np.s_[first:, :1], np.s_[first:, -1:], np.s_[first:, :, :1], np.s_[first:, :, -1:]):
            bordered[edge] = MARK
    return bordered


def _film(frames: np.ndarray, name: str, note: str) -> str:
    words = f"{name}<br>{note}" if note else name
    return f"<figure><img src='{film(frames, SCALE)}' alt='{name}'><figcaption>{words}</figcaption></figure>"


def _summary(branch: Branch) -> str:
    imagined, real = ("yes" if reached else "no" for reached in branch.state(len(branch.steps)).succeeded)
    quality = f"{psnr(branch.imagined[1:], branch.real[1:]):.1f} dB" if len(branch.actions) else "-"
    return f"<td>{imagined}</td><td>{real}</td><td>{len(branch.actions)}</td><td>{quality}</td>"
