"""Who else can act: policies, the scripted expert, a recorded episode. In: a session. Out: a chunk float32 [8, 7]."""

from __future__ import annotations

import numpy as np

from wovr_lab.errors import UserError
from wovr_lab.inspector.keys import noop_action
from wovr_lab.inspector.models import POLICIES
from wovr_lab.inspector.session import Session
from wovr_lab.real.tabletop.expert import expert_action
from wovr_lab.seeding import torch_stream
from wovr_lab.types import CHUNK

MOST_CANDIDATES, TEMPERATURE = 16, 1.0  # chunks that are imagined for one decision; what further ones are drawn at
EXPERT, RECORDING = "scripted expert", "recorded actions"


def pilots(session: Session) -> list[str]:
    """Those that can act in this session."""
    recorded = [RECORDING] if session.recording is not None else []
    return [*session.models.policies, EXPERT, *recorded]


def propose(session: Session, pilot: str, sees: str = "imagined", candidates: int = 1) -> np.ndarray:
    """What a pilot does now. A policy sees the "imagined" or the "real" frame; it takes its likeliest chunk, or the
    best of so many that are imagined first. The expert knows the real simulator's state. Raises UserError on an unknown
    pilot, at the end of a recording, and where there can be no such choice."""
    if not 1 <= candidates <= MOST_CANDIDATES:
        raise UserError(f"a choice among {candidates} chunks is not possible; choose 1 to {MOST_CANDIDATES}")
    if pilot in POLICIES:
        return _best_of(session, pilot, sees, candidates)
    if candidates > 1 and pilot in pilots(session):
        raise UserError(f"the {pilot} has one chunk to offer; choose best of 1, or a policy")
    if pilot == EXPERT:
        return _expert(session)
    if pilot == RECORDING:
        return _recorded(session)
    raise UserError(f"there is no pilot {pilot!r}; choose one of {', '.join(pilots(session))}")


def _best_of(session: Session, pilot: str, sees: str, candidates: int) -> np.ndarray:
    """The chunk float32 [8, 7] whose imagined frames the reward likes most, of the policy's likeliest one and samples
    of it. Raises UserError if the run has no such policy."""
    start = session.state.imagined if sees == "imagined" else session.state.real
    policy, frame, instruction = session.models.policy(pilot), start.memory[-1:], (start.instruction,)
    generator = torch_stream(session.switches.noise, "autopilot", session.position)
    likeliest = policy.act({"frame": frame}, instruction, generator, 0.0).actions
    if candidates == 1:
        return likeliest[0]
    others = candidates - 1
    drawn = policy.act({"frame": frame.repeat(others, 0)}, instruction * others, generator, TEMPERATURE).actions
    chunks = np.concatenate([likeliest, drawn])
    liked = session.simulator.imagined_success(session.state, chunks, session.switches, session.position)
    return chunks[liked.argmax()]


def _expert(session: Session) -> np.ndarray:
    """Looks at reality before every action, as it always does."""
    session.simulator.restore(session.state.real)
    env, actions = session.simulator.env, []
    for _ in range(CHUNK):
        actions.append(np.clip(expert_action(env.readout(), env.definition), -1, 1))
        env.step(actions[-1])
    return np.stack(actions)


def _recorded(session: Session) -> np.ndarray:
    """The actions that follow in the episode; it stands still where that ends within the chunk."""
    if session.recording is None:
        raise UserError("nothing was recorded here; begin in an episode to repeat its actions")
    following = session.recording.actions[session.state.real.step :][:CHUNK]
    if not len(following):
        raise UserError("the recorded episode ends here; act yourself or let another pilot act")
    padding = np.tile(noop_action(float(following[-1, -1])), (CHUNK - len(following), 1))
    return np.concatenate([following, padding])
