"""What the page shows of a session: frames enlarged without smoothing, a film of a chunk, read-outs, branches.

In: a `Session`. Out: pictures uint8 [H, W, 3], figures and HTML. Presentation only.
"""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import plotly.graph_objects as go
from gradio.components.plot import PlotData
from gradio.data_classes import ImageData
from PIL import Image

from wovr_lab.errors import UserError
from wovr_lab.figures.pictures import enlarge, strip
from wovr_lab.figures.style import plain
from wovr_lab.inspector.figure import timeline_figure
from wovr_lab.inspector.session import Session
from wovr_lab.inspector.timeline import SAME, Branch, Step
from wovr_lab.measure.hallucination import psnr
from wovr_lab.measure.tabletop.probes import COLUMNS, object_columns

SHOWN = 160  # pixels a side, about; the page enlarges them further, and one key sends five pictures
FILM_SCALE = 2
COMPARED = 2  # every second frame of compared branches

# imagined, difference, real, the real world for people, the step's film, read-outs, timeline
Picture = dict[str, Any]
View = tuple[Picture, Picture, Picture, Picture, Picture, str, dict[str, Any]]


def enlarged(frame: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3] with every pixel repeated, so that it comes near `SHOWN` pixels."""
    return enlarge(frame[None], max(1, SHOWN // frame.shape[1]))[0]


def sent(picture: np.ndarray) -> Picture:
    """uint8 [H, W, 3] as the page's images take it, inside the answer: five files to fetch would come 0.1 s later."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="PNG", compress_level=1)
    return ImageData(url=f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}").model_dump()


def view(session: Session, gain: float = 1) -> View:
    """Everything about the moment; a preview shows what is imagined, while reality waits. `gain`
    multiplies the difference. Raises UserError before the session has started."""
    state, pending = session.state, session.pending
    real = state.real.memory[-1]
    step = next((step for step in reversed(session.steps) if len(step.actions)), None)
    if pending is not None:
        films = (pending.imagined, real[None])
        imagined, difference = pending.imagined[-1], np.zeros_like(real)
    else:
        films = (step.imagined, step.real, _gained(step.difference, gain)) if step else (real[None],) * 2
        imagined = state.imagined.memory[-1]
        difference = _gained(np.abs(imagined.astype(np.int16) - real), gain)
    frames = (enlarged(imagined), enlarged(difference), enlarged(real), session.picture)
    drawn = PlotData(type="plotly", plot=timeline_figure(session.branch, session.position).to_json()).model_dump()
    return *map(sent, frames), sent(strip(films, scale=FILM_SCALE)), readout(session), drawn


def _gained(difference: np.ndarray, gain: float) -> np.ndarray:
    return np.clip(difference * gain, 0, 255).astype(np.uint8)


def readout(session: Session) -> str:
    """The numbers, as HTML. Raises UserError before the session has started."""
    state, last = session.state, next((s for s in reversed(session.steps) if len(s.actions)), None)
    told = [*_comparison(session, last), *_places(session)]
    rows = "".join(f"<tr><th>{n}</th><td>{i}</td><td>{r}</td></tr>" for n, i, r in told)
    if last is None:
        horizon = "no imagined frame yet"
    else:
        path = session.branch.cut(session.position)
        so_far = psnr(path.imagined[1:], path.real[1:])
        horizon = (
            f"{state.horizon} imagined frames since the last real one; PSNR {last.psnr:.1f} dB, so far {so_far:.1f}"
        )
    notes = []
    if session.simulator.models.probe is not None:
        notes.append("Positions: imagined, as the state probe reads the frame; real, as the simulator knows them.")
    if last is not None:
        notes.insert(0, f"uncertainty {last.uncertainty:.2f} (latent std over seeds)")
    if session.recording is not None and not session.position:
        notes.append('A recorded episode begins here: the autopilot "recorded actions" acts as it did then.')
    if session.pending is not None:
        notes.append("Preview: Enter makes it happen, Z drops it.")
    if session.steps and session.steps[-1].kind == "action":
        notes.append("A single action is off the trained protocol: imagined as a chunk padded with standing still.")
    if session.steps and session.steps[-1].kind == "re-anchor":
        notes.append("Re-anchored: imagination goes on from the real frames.")
    verdict = session.steps[-1].verdict if session.steps else SAME
    where = f"{plain(session.name)}, step {session.position} of {len(session.branch.steps)}"
    return (
        f"<div class='readout'><p><b>{plain(state.real.instruction)}</b> · {where} · gripper "
        f"{'closed' if state.gripper > 0 else 'open'} · <span class='{verdict.replace(' ', '-')}'>{verdict}</span></p>"
        f"<table>{rows}</table><p>Horizon: {horizon}</p>{''.join(f'<p>{note}</p>' for note in notes)}</div>"
    )


def _comparison(session: Session, last: Step | None) -> list[tuple[str, str, str]]:
    """(name, imagined, real) of each read-out."""
    words = ["yes" if reached else "no" for reached in session.state.succeeded]
    now, highest = ("-", "-"), ("-", "-")
    if last is not None:
        believed = (last.probability_imagined, last.probability_real)
        now = tuple(f"{probability[-1]:.2f}" for probability in believed)
        highest = tuple(f"{probability.max():.2f}" for probability in believed)
    return [
        ("", "imagined", "real"),
        ("success so far", *words),
        ("success probability (reward)", *now),
        ("maximum in this chunk", *highest),
    ]


def _places(session: Session) -> list[tuple[str, str, str]]:
    """(name, imagined by the state probe, real) of positions, in centimetres; none without a probe."""
    places = session.simulator.positions(session.state)
    if places is None:
        return []
    imagined, real = (100 * place for place in places)
    columns = {"cube of the task": object_columns([session.state.real.task])[0], "hand": COLUMNS["hand"]}
    rows = []
    for name, part in columns.items():
        told = (", ".join(f"{number:.1f}" for number in place[part]) for place in (imagined, real))
        off = np.linalg.norm(imagined[part] - real[part])
        rows.append((f"{name}: x, y, z (cm; error {off:.1f}&nbsp;cm)", *told))
    opening = (f"{place[COLUMNS['opening']][0]:.1f}" for place in (imagined, real))
    return [*rows, ("gripper opening (cm)", *opening)]


def futures_view(futures: list[Step]) -> tuple[np.ndarray, str]:
    """Four imaginations of one chunk above what happened, and what each believes."""
    rows = [*(step.imagined for step in futures), futures[0].real]
    spread = np.stack([step.imagined for step in futures]).astype(float).std(0).mean()
    believed = "".join(
        f"<li>Future {number}, noise seed {step.switches.noise}: success probability "
        f"{step.probability_imagined[-1]:.2f}, PSNR {step.psnr:.1f} dB</li>"
        for number, step in enumerate(futures, 1)
    )
    note = f"Last row: real. The futures differ by {spread:.1f} grey levels (standard deviation, mean over pixels)."
    return strip(rows, scale=FILM_SCALE), f"<div class='readout'><ol>{believed}</ol><p>{note}</p></div>"


def compared(session: Session, other: str) -> tuple[np.ndarray, go.Figure, str]:
    """The current branch and another: frames (imagined, real of each), curves, numbers. Raises UserError if there is no
    such branch."""
    if other not in session.branches:
        raise UserError("there is no other branch to compare with; rewind and act, or fork, to make one")
    both = {session.name: session.branch, other: session.branches[other]}
    rows = [frames[::COMPARED] for branch in both.values() for frames in (branch.imagined, branch.real)]
    figure = timeline_figure(session.branch, session.position, both[other], other)
    lines = "".join(f"<tr><th>{plain(name)}</th>{_summary(branch)}</tr>" for name, branch in both.items())
    head = "<tr><th></th><td>success imagined</td><td>real</td><td>actions</td><td>PSNR</td></tr>"
    return strip(rows, scale=2), figure, f"<div class='readout'><table>{head}{lines}</table></div>"


def _summary(branch: Branch) -> str:
    imagined, real = ("yes" if reached else "no" for reached in branch.state(len(branch.steps)).succeeded)
    quality = f"{psnr(branch.imagined[1:], branch.real[1:]):.1f} dB" if len(branch.actions) else "-"
    return f"<td>{imagined}</td><td>{real}</td><td>{len(branch.actions)}</td><td>{quality}</td>"
