"""Sessions of imagination: each is one rollout that can go on, be copied, and be taken back.

In: starts, chunks of actions for any number of sessions, which are imagined in one forward pass. Out: frames, success
and its probability, the robot's imagined states. Every session has its own noise and ends when its client closes it,
goes away, or lets it lie.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from wovr_lab.errors import UserError
from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.reward.detector import SuccessDetector
from wovr_lab.seeding import torch_stream
from wovr_lab.start_checks import check_start
from wovr_lab.types import Start
from wovr_lab.world.protocol import ImaginingModel, WorldContext

MOST_SESSIONS = 256
IDLE = 600.0  # seconds, after which a session ends
MOST_MOMENTS = 32  # chunks that a session can be taken back


@dataclass(frozen=True)
class Moment:
    """All that what comes next depends on."""

    context: WorldContext  # of one row
    noise: torch.Tensor  # state of the session's generator
    recent: np.ndarray  # float32 [consecutive - 1], the reward's latest answers


@dataclass(frozen=True)
class Session:
    """One rollout."""

    instruction: str
    moments: tuple[Moment, ...]  # the latest last
    used: float  # seconds, of the clock


@dataclass
class Sessions:
    """All rollouts of one world model. Without a reward nothing is a success. Raises UserError where sizes differ."""

    world: ImaginingModel
    reward: SuccessClassifier | None = None
    clock: Callable[[], float] = time.monotonic
    open: dict[str, Session] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.reward is not None and self.reward.config.resolution != self.world.resolution:
            raise UserError(f"the reward sees {self.reward.config.resolution} pixels, not {self.world.resolution}")

    def begin(self, starts: Sequence[Start], seed: int, rows: Sequence[int]) -> list[str]:
        """A session at each start; its noise is that of the row of that number in an `ImaginedEnv` with that seed.

        Raises UserError on starts of other sizes, or if too many sessions are open.
        """
        self._expire()
        if not starts or len(rows) != len(starts):
            raise UserError(f"{len(starts)} starts and {len(rows)} rows; give one row a start, at least one")
        self._require_room(len(starts))
        side = self.world.resolution
        for start in starts:
            check_start(start, (side, side, 3))
        context = self.world.initial_context(starts)
        recent = np.zeros(self.reward.config.consecutive - 1 if self.reward else 0, np.float32)
        begun = []
        for number, (start, row) in enumerate(zip(starts, rows, strict=True)):
            noise = torch_stream(seed, "imagine", row).get_state()
            moment = Moment(context.select(torch.tensor([number])), noise, recent)
            begun.append(self._add(Session(start.instruction, (moment,), self.clock())))
        return begun

    def step(self, names: Sequence[str], actions: np.ndarray) -> dict[str, Any]:
        """Imagines the chunks float32 [n, K, 7] of these sessions: "frames" uint8 [n, K, H, W, 3], "success" bool
        [n, K], and where they are known "success_probability" float32 [n, K] and "proprio" float32 [n, K, D]."""
        chosen = [self._session(name) for name in names]
        if not names or len(set(names)) != len(names) or len(actions) != len(names):
            raise UserError(f"{len(actions)} chunks for {len(names)} sessions; give one each, and none twice")
        latest = [session.moments[-1] for session in chosen]
        generators = [torch.Generator() for _ in latest]
        for generator, moment in zip(generators, latest, strict=True):
            generator.set_state(moment.noise)
        imagined = self.world.imagine(_joined([moment.context for moment in latest]), actions, generators)
        told, recent = self._judge(imagined.frames, [session.instruction for session in chosen], latest)
        for row, (name, session) in enumerate(zip(names, chosen, strict=True)):
            context = imagined.context.select(torch.tensor([row]))
            moment = Moment(context, generators[row].get_state(), recent[row])
            moments = (*session.moments, moment)[-MOST_MOMENTS - 1 :]
            self.open[name] = replace(session, moments=moments, used=self.clock())
        return {"frames": imagined.frames, **told} | ({} if self.world.robot is None else {"proprio": imagined.states})

    def fork(self, name: str, seed: int | None = None) -> str:
        """A copy that goes on by itself, with the same noise, or with that of a seed."""
        self._expire()
        self._require_room(1)
        session = self._session(name)
        latest = session.moments[-1]
        if seed is not None:
            latest = replace(latest, noise=torch_stream(seed, "fork").get_state())
        return self._add(replace(session, moments=(*session.moments[:-1], latest), used=self.clock()))

    def rewind(self, name: str, chunks: int) -> None:
        """Takes the last `chunks` back, noise and all. Raises UserError if it has not made, or not kept, so many."""
        session = self._session(name)
        if not 0 < chunks < len(session.moments):
            raise UserError(f"{chunks} chunks cannot be taken back; 1 to {len(session.moments) - 1} can")
        self.open[name] = replace(session, moments=session.moments[:-chunks], used=self.clock())

    def close(self, names: Sequence[str]) -> None:
        """Ends sessions; those that have ended already are no error."""
        for name in names:
            self.open.pop(name, None)

    def _judge(
        self, frames: np.ndarray, instructions: list[str], latest: list[Moment]
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """What the reward says of the frames, and its latest answers of each row."""
        if self.reward is None:
            return {"success": np.zeros(frames.shape[:2], bool)}, np.stack([moment.recent for moment in latest])
        detector = SuccessDetector(self.reward, len(frames))
        detector.recent = np.stack([moment.recent for moment in latest])
        detected = detector.detect(np.arange(len(frames)), frames, instructions)
        return {"success": detected.success, **detected.extra}, detector.recent

    def _session(self, name: str) -> Session:
        if name not in self.open:
            raise UserError(f"there is no session {name!r}; it was closed, or lay idle for {IDLE:.0f} s: begin again")
        return self.open[name]

    def _add(self, session: Session) -> str:
        name = secrets.token_hex(8)  # nobody else's can be guessed
        self.open[name] = session
        return name

    def _require_room(self, count: int) -> None:
        if len(self.open) + count > MOST_SESSIONS:
            raise UserError(
                f"{len(self.open)} of {MOST_SESSIONS} sessions are open, {count} more do not fit; close some"
            )

    def _expire(self) -> None:
        now = self.clock()
        self.open = {name: session for name, session in self.open.items() if now - session.used < IDLE}


def _joined(contexts: list[WorldContext]) -> WorldContext:
    """Contexts of one row each as one of many rows."""
    joined = contexts[0].select(torch.zeros(len(contexts), dtype=torch.int64))
    for row, context in enumerate(contexts[1:], start=1):
        joined = joined.put(torch.tensor([row]), context)
    return joined
