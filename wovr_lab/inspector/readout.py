"""The numbers beside the pictures, as HTML. In: a `Session`. Out: tables and sentences."""

from __future__ import annotations

import numpy as np

from wovr_lab.figures.style import plain
from wovr_lab.inspector.session import Session
from wovr_lab.inspector.timeline import Step
from wovr_lab.measure.hallucination import psnr
from wovr_lab.measure.tabletop.probes import COLUMNS, object_columns
from wovr_lab.real.tabletop.proprioception import tabletop_robot
from wovr_lab.robot import HAND, OPENING

Row = tuple[str, str, str]  # name, imagined, real


def readout(session: Session) -> str:
    """The numbers where the session stands. Raises UserError before it has started."""
    state, last = session.state, next((s for s in reversed(session.steps) if len(s.actions)), None)
    told = [*_beliefs(session, last), *_places(session), *_robot(session)]
    rows = "".join(f"<tr><th scope='row'>{name}</th><td>{i}</td><td>{r}</td></tr>" for name, i, r in told[1:])
    head = "".join(f"<th scope='col'>{name}</th>" for name in told[0])
    where = f"{plain(session.name)}, step {session.position} of {len(session.branch.steps)}"
    notes = "".join(f"<p>{note}</p>" for note in _notes(session, last))
    return (
        f"<p><b>{plain(state.real.instruction)}</b> · {where} · gripper {'closed' if state.gripper > 0 else 'open'}</p>"
        f"<table><tr>{head}</tr>{rows}</table><p>Horizon: {_horizon(session, last)}</p>{notes}"
    )


def _beliefs(session: Session, last: Step | None) -> list[Row]:
    words = ["yes" if reached else "no" for reached in session.state.succeeded]
    now, highest = ("-", "-"), ("-", "-")
    if last is not None:
        believed = (last.probability_imagined, last.probability_real)
        now = tuple(f"{probability[-1]:.2f}" for probability in believed)
        highest = tuple(f"{probability.max():.2f}" for probability in believed)
    return [
        ("", "imagined", "real"),
        ("success so far", *words),
        (f"success probability (reward, threshold {session.switches.threshold:.2f})", *now),
        ("maximum in this chunk", *highest),
    ]


def _places(session: Session) -> list[Row]:
    """Positions by the state probe and by the simulator, in centimetres; none without a probe."""
    places = session.simulator.positions(session.state)
    if places is None:
        return []
    imagined, real = (100 * place for place in places)
    columns = {"cube of the task": object_columns([session.state.real.task])[0], "hand": COLUMNS["hand"]}
    rows = [_place(name, imagined[part], real[part]) for name, part in columns.items()]
    opening = (f"{place[COLUMNS['opening']][0]:.1f}" for place in (imagined, real))
    return [*rows, ("gripper opening (cm)", *opening)]


def _robot(session: Session) -> list[Row]:
    """The robot's state as imagination believes it beside the real one; none where the world model imagines none."""
    robot, sides = tabletop_robot(), (session.state.imagined.proprio, session.state.real.proprio)
    if sides[0] is None or sides[1] is None or not session.state.horizon:
        return []
    imagined, real = (100 * side[-1] for side in sides)
    hand, opening = robot.columns(*HAND), robot.columns(OPENING)
    openings = (f"{side[opening][0]:.1f}" for side in (imagined, real))
    return [
        _place("imagined state: hand", imagined[hand], real[hand]),
        ("imagined state: opening (cm)", *openings),
    ]


def _place(name: str, imagined: np.ndarray, real: np.ndarray) -> Row:
    told = (", ".join(f"{number:.1f}" for number in place) for place in (imagined, real))
    return (f"{name}: x, y, z (cm; error {np.linalg.norm(imagined - real):.1f}&nbsp;cm)", *told)


def _horizon(session: Session, last: Step | None) -> str:
    if last is None:
        return "no imagined frame yet"
    path = session.branch.cut(session.position)
    so_far = psnr(path.imagined[1:], path.real[1:])
    frames = f"{session.state.horizon} imagined frames since the last real one"
    return f"{frames}; PSNR {last.psnr:.1f} dB, so far {so_far:.1f}"


def _notes(session: Session, last: Step | None) -> list[str]:
    notes = []
    if last is not None and last.kind != "recorded":
        notes.append(f"Uncertainty {last.uncertainty:.3f} (std over noise seeds; 0: always the same answer).")
    if session.models.probe is not None:
        notes.append("Positions: imagined, as the state probe reads the frame; real, as the simulator knows them.")
    if session.recording is not None and not session.position:
        notes.append('A recorded episode begins here: the autopilot "recorded actions" acts as it did then.')
    if session.pending is not None:
        notes.append("Preview: Enter makes it happen, Z drops it.")
    kind = session.steps[-1].kind if session.steps else ""
    if kind == "action":
        notes.append("A single action is off the trained protocol: imagined as a chunk padded with standing still.")
    if kind == "re-anchor":
        notes.append("Re-anchored: imagination goes on from the real frames.")
    return notes
