"""What the inspector's page shows of a session: frames enlarged without smoothing, a film of a chunk, read-outs.

In: a `Session`. Out: pictures uint8 [H, W, 3] and HTML, in the order of `View`. Presentation only.
"""

from __future__ import annotations

import numpy as np

from wovr_lab.inspector.session import Session, Step
from wovr_lab.show.pictures import enlarge, strip

SHOWN = 320  # pixels a side, about
FILM_SCALE = 4

# imagined, difference, real, the real world for people, the chunk's film, read-outs
View = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, str]


def enlarged(frame: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3] with every pixel repeated, so that it comes near `SHOWN` pixels."""
    return enlarge(frame[None], max(1, SHOWN // frame.shape[1]))[0]


def view(session: Session) -> View:
    """Everything the page shows. Raises UserError before the session has started."""
    imagined, real = session.imagined_frame, session.real_frame
    if session.steps:
        step = session.steps[-1]
        films = (step.imagined, step.real, step.difference)
    else:
        films = (imagined[None], real[None], np.zeros_like(real)[None])
    film = strip(films, scale=FILM_SCALE)
    return enlarged(imagined), enlarged(films[2][-1]), enlarged(real), session.picture, film, readout(session)


def readout(session: Session) -> str:
    """The numbers, as HTML. Raises UserError before the session has started."""
    rows = [("", "imagined", "real"), *_comparison(session.steps)]
    table = "".join(f"<tr><th>{name}</th><td>{first}</td><td>{second}</td></tr>" for name, first, second in rows)
    last = session.steps[-1] if session.steps else None
    depth = (
        f"{last.depth} imagined frames since the last real one, {last.psnr:.1f} dB" if last else "no imagined frame yet"
    )
    gripper = "closed" if session.gripper > 0 else "open"
    marks = "".join(
        f'<li class="{step.verdict.replace(" ", "-")}">{step.depth - 7}-{step.depth}: {step.verdict}</li>'
        for step in session.steps
    )
    return (
        f"<div class='readout'><p><b>{session.instruction}</b> · gripper {gripper}</p><table>{table}</table>"
        f"<p>Error depth: {depth}</p><ol aria-label='verdict by chunk'>{marks}</ol></div>"
    )


def _comparison(steps: tuple[Step, ...]) -> list[tuple[str, str, str]]:
    """(name, imagined, real) of each read-out."""
    if not steps:
        return [("success so far", "no", "no"), ("success probability (reward)", "-", "-")]
    step = steps[-1]
    successes = (step.success_imagined, step.success_real)
    probabilities = (step.probability_imagined, step.probability_real)
    return [
        ("success so far", *("yes" if success[-1] else "no" for success in successes)),
        ("success probability (reward)", *(f"{probability[-1]:.2f}" for probability in probabilities)),
        ("its highest in this chunk", *(f"{probability.max():.2f}" for probability in probabilities)),
    ]
