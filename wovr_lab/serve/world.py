"""A world model for other programs, and one that is elsewhere as a chunk environment here.

Requests name an "op": `begin` ("starts", "seed", "rows") gives "sessions"; `step` ("sessions", "actions" float32
[n, 8, 7]) gives "frames", "success" and what else is known; `fork` ("session", "seed" or none) gives a "session";
`rewind` ("session", "chunks"); `close` ("sessions"); `judge` ("frames" uint8 [n, T, H, W, 3], "instructions") gives the
reward's "success_probability" float32 [n, T]. A client's sessions end with its connection.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from wovr_lab.borders import as_array, as_floats, as_frames, as_texts
from wovr_lab.contracts import ChunkEnv, ChunkFrames
from wovr_lab.errors import UserError
from wovr_lab.fields import Natural, check
from wovr_lab.robot import Robot
from wovr_lab.seeding import stream
from wovr_lab.serve.sessions import Sessions
from wovr_lab.serve.sockets import Connection
from wovr_lab.starts import Starts
from wovr_lab.types import ACTION_DIM, CHUNK, Start

KIND = "world"
ARRAYS, OPTIONAL = ("anchor", "memory", "memory_actions"), ("state", "proprio")  # of a start
Work = Callable[[dict[str, Any]], dict[str, Any]]


class WorldService:
    """Serves sessions of one world model."""

    def __init__(self, sessions: Sessions):
        self.sessions = sessions
        self.lock = threading.Lock()

    @property
    def metadata(self) -> dict[str, Any]:
        """What a client is told first."""
        world = self.sessions.world
        robot = None if world.robot is None else world.robot.to_dict()
        return {
            "kind": KIND,
            "resolution": world.resolution,
            "robot": robot,
            "judges": self.sessions.reward is not None,
        }

    def converse(self) -> WorldConversation:
        """With sessions of its own."""
        return WorldConversation(self)


class WorldConversation:
    """With one client, which reaches its own sessions only."""

    def __init__(self, service: WorldService):
        self.service = service
        self._own: set[str] = set()
        self._works: dict[Any, tuple[Work, tuple[str, ...]]] = {  # and what a request must have
            "begin": (self._begin, ("starts", "seed", "rows")),
            "step": (self._step, ("sessions", "actions")),
            "fork": (self._fork, ("session",)),
            "rewind": (self._rewind, ("session", "chunks")),
            "close": (self._close, ("sessions",)),
            "judge": (self._judge, ("frames", "instructions")),
        }

    def answer(self, request: Any) -> dict[str, Any]:
        """See the module. Raises UserError on any other request."""
        wanted = request.get("op") if isinstance(request, dict) else None
        if not isinstance(wanted, str) or wanted not in self._works:
            raise UserError(f"a request needs an 'op', one of {', '.join(self._works)}")
        work, needed = self._works[wanted]
        _require(request, needed, f"a request to {wanted}")
        with self.service.lock:
            return work(request)

    def close(self) -> None:
        """Ends the client's sessions."""
        with self.service.lock:
            self.service.sessions.close(sorted(self._own))

    def _begin(self, request: dict[str, Any]) -> dict[str, Any]:
        starts, rows = (_list(request[name], name) for name in ("starts", "rows"))
        numbers = [check("a row", row, Natural) for row in rows]
        begun = self.service.sessions.begin([_start(each) for each in starts], _seed(request), numbers)
        self._own |= set(begun)
        return {"sessions": begun}

    def _step(self, request: dict[str, Any]) -> dict[str, Any]:
        names = [self._named(name) for name in _list(request["sessions"], "sessions")]
        actions = as_floats(request["actions"], "actions", (len(names), CHUNK, ACTION_DIM))
        if np.abs(actions).max(initial=0) > 1 + 1e-6:
            raise UserError("actions leave [-1, 1]; clip or rescale them")
        return self.service.sessions.step(names, actions)

    def _fork(self, request: dict[str, Any]) -> dict[str, Any]:
        seed = None if request.get("seed") is None else _seed(request)
        copy = self.service.sessions.fork(self._named(request["session"]), seed)
        self._own.add(copy)
        return {"session": copy}

    def _rewind(self, request: dict[str, Any]) -> dict[str, Any]:
        self.service.sessions.rewind(self._named(request["session"]), check("chunks", request["chunks"], Natural))
        return {}

    def _close(self, request: dict[str, Any]) -> dict[str, Any]:
        names = {self._named(name) for name in _list(request["sessions"], "sessions")}
        self.service.sessions.close(sorted(names))
        self._own -= names
        return {}

    def _judge(self, request: dict[str, Any]) -> dict[str, Any]:
        reward, side = self.service.sessions.reward, self.service.sessions.world.resolution
        if reward is None:
            raise UserError("this server has no reward; serve a run that has one")
        frames = as_frames(request["frames"])
        if frames.ndim != 5 or frames.shape[2:] != (side, side, 3) or not frames.size:
            raise UserError(f"frames are {frames.shape}; [n, T, {side}, {side}, 3] is needed")
        words = as_texts(request["instructions"], "instructions", len(frames))
        return {"success_probability": reward.probability(frames, list(words))}

    def _named(self, name: Any) -> str:
        if not isinstance(name, str) or name not in self._own:
            raise UserError(f"{str(name)[:40]!r} is no session of this connection; begin one")
        return name


def _require(found: dict[Any, Any], needed: Sequence[str], what: str) -> None:
    missing = [name for name in needed if name not in found]
    if missing:
        raise UserError(f"{what} needs {', '.join(missing)}")


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise UserError(f"{what} must be a list, not {type(value).__name__}")
    return value


def _seed(request: dict[str, Any]) -> int:
    return int(check("seed", request["seed"], Natural))


def _start(found: Any) -> Start:
    """A start from its entries. Raises UserError naming one that is missing or unknown."""
    known = {each.name for each in fields(Start)}
    if not isinstance(found, dict) or not found.keys() <= known:
        raise UserError(f"a start must be a dictionary with entries among {', '.join(sorted(known))}")
    _require(found, ARRAYS, "a start")
    arrays = {name: as_array(found[name], name) for name in ARRAYS}
    further = {name: as_array(found[name], name) for name in OPTIONAL if found.get(name) is not None}
    told = {name: found[name] for name in ("task", "instruction", "step", "seed") if name in found}
    return Start(**{"task": "", "instruction": "", **told, **arrays, **further})


def _entries(start: Start) -> dict[str, Any]:
    found = {each.name: getattr(start, each.name) for each in fields(Start)}
    return {name: value for name, value in found.items() if value is not None}


class RemoteWorldEnv(ChunkEnv):
    """Imagination on a server, one session a row, with the same frames as an `ImaginedEnv` of the same model gives.

    Raises UserError if no world model is served there.
    """

    def __init__(
        self,
        connection: Connection,
        num_envs: int,
        max_steps: int,
        hold_after_success: int = 0,
        keyframe_steps: int | None = None,
        starts: Starts | None = None,
    ):
        told = connection.metadata
        if told.get("kind") != KIND:
            raise UserError(f"{connection.address} serves a {told.get('kind')}, not a {KIND}")
        super().__init__(
            num_envs,
            told["resolution"],
            max_steps,
            hold_after_success=hold_after_success,
            keyframe_steps=keyframe_steps,
            robot=None if told["robot"] is None else Robot.from_dict(told["robot"]),
        )
        self._connection, self._source = connection, starts
        self._sessions: dict[int, str] = {}

    def draw_starts(self, count: int, seed: int) -> list[Start]:
        """Raises UserError if the environment was built without a source of starts."""
        if self._source is None:
            raise UserError("an imagined environment needs real frames to begin from: pass starts to reset or to it")
        return self._source.draw(count, stream(seed, "starts"))

    def reset_rows(self, rows: np.ndarray, starts: Sequence[Start], seed: int) -> dict[str, np.ndarray]:
        """Closes the rows' sessions and begins others."""
        if not len(rows):
            return {}
        old = [self._sessions.pop(row) for row in rows.tolist() if row in self._sessions]
        self._connection.ask({"op": "close", "sessions": old})
        request = {"starts": [_entries(start) for start in starts], "seed": seed, "rows": rows.tolist()}
        begun = self._connection.ask({"op": "begin", **request})["sessions"]
        self._sessions |= dict(zip(rows.tolist(), begun, strict=True))
        return {} if self.robot is None else {"proprio": np.stack([start.proprio[-1] for start in starts])}

    def step_rows(self, rows: np.ndarray, actions: np.ndarray) -> ChunkFrames:
        """Has a chunk imagined in these rows."""
        names = [self._sessions[row] for row in rows.tolist()]
        told = self._connection.ask({"op": "step", "sessions": names, "actions": actions})
        frames, success = told.pop("frames"), told.pop("success")
        return ChunkFrames(frames, success, told)

    def close_extras(self, **_: Any) -> None:
        """Ends its sessions; the connection is whoever's it is."""
        self._connection.ask({"op": "close", "sessions": list(self._sessions.values())})
        self._sessions = {}
