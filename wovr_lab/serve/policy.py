"""A policy for other programs, and one that is elsewhere as an actor here.

The server takes openpi's requests, {"observation/image": uint8 [H, W, 3], "prompt": text}, and answers {"actions":
float32 [K, 7], "server_timing": {"infer_ms": ...}}, so that its unchanged client drives a robot. Ours come in rows:
{"frame": uint8 [N, H, W, 3], "instructions": N texts, "temperature", "seed"}, and tokens and log-probabilities go back.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import torch

from wovr_lab.borders import as_frames, as_texts
from wovr_lab.contracts import Actor, Observation
from wovr_lab.errors import UserError
from wovr_lab.fields import Natural, NonNegative, check
from wovr_lab.serve.sockets import Connection
from wovr_lab.types import ActionChunk

KIND = "policy"
IMAGE, PROMPT = "observation/image", "prompt"
MOST_ROWS = 256


class PolicyService:
    """Serves an actor that sees pictures of one size; `temperature` holds for openpi's requests (0 is greedy)."""

    def __init__(self, policy: Actor, resolution: int, temperature: float = 0.0):
        self.policy, self.resolution = policy, resolution
        self.temperature = check("temperature", temperature, NonNegative)
        self._lock = threading.Lock()

    @property
    def metadata(self) -> dict[str, Any]:
        """What a client is told first."""
        return {"kind": KIND, "resolution": self.resolution}

    def converse(self) -> PolicyConversation:
        """With its own stream of noise."""
        return PolicyConversation(self)

    def act(
        self, frames: np.ndarray, instructions: tuple[str, ...], generator: torch.Generator, temperature: float
    ) -> ActionChunk:
        """One chunk a row. Raises UserError if the pictures are of another size, or too many."""
        size = (self.resolution, self.resolution, 3)
        if frames.ndim != 4 or frames.shape[1:] != size or not 0 < len(frames) <= MOST_ROWS:
            raise UserError(f"pictures are {frames.shape}; 1 to {MOST_ROWS} of {size} are needed")
        with self._lock, torch.no_grad():
            return self.policy.act({"frame": frames}, instructions, generator, temperature)


class PolicyConversation:
    """With one client."""

    def __init__(self, service: PolicyService):
        self.service = service
        self._generator = torch.Generator().manual_seed(0)

    def answer(self, request: Any) -> dict[str, Any]:
        """See the module. Raises UserError on any other request."""
        if isinstance(request, dict) and {IMAGE, PROMPT} <= request.keys():
            return self._single(request)
        if isinstance(request, dict) and {"frame", "instructions", "temperature", "seed"} <= request.keys():
            return self._rows(request)
        raise UserError(f"a request needs {IMAGE!r} and {PROMPT!r}, or frame, instructions, temperature and seed")

    def close(self) -> None:
        """Nothing is kept of a client."""

    def _single(self, request: dict[str, Any]) -> dict[str, Any]:
        begin = time.monotonic()
        frames = as_frames(request[IMAGE], IMAGE)[None]
        words = as_texts([request[PROMPT]], PROMPT, 1)
        chunk = self.service.act(frames, words, self._generator, temperature=self.service.temperature)
        return {"actions": chunk.actions[0], "server_timing": {"infer_ms": 1000 * (time.monotonic() - begin)}}

    def _rows(self, request: dict[str, Any]) -> dict[str, Any]:
        frames = as_frames(request["frame"], "frame")
        words = as_texts(request["instructions"], "instructions", len(frames))
        generator = torch.Generator().manual_seed(check("seed", request["seed"], Natural) % 2**63)
        temperature = check("temperature", request["temperature"], NonNegative)
        chunk = self.service.act(frames, words, generator, temperature=temperature)
        further = {"tokens": chunk.tokens, "log_probs": chunk.log_probs}
        known = {name: value.cpu().numpy() for name, value in further.items() if value is not None}
        return {"actions": chunk.actions, **known}


class RemotePolicy:
    """An `Actor` whose decisions are made by a server. Raises UserError if none serves a policy there."""

    def __init__(self, address: str, token: str = ""):
        self._connection = Connection(address, token)
        if self._connection.metadata.get("kind") != KIND:
            raise UserError(f"{address} serves a {self._connection.metadata.get('kind')}, not a {KIND}")
        self.resolution: int = self._connection.metadata["resolution"]

    def act(
        self, observation: Observation, instructions: tuple[str, ...], generator: torch.Generator, temperature: float
    ) -> ActionChunk:
        """One chunk a row; its noise follows from a seed that `generator` gives."""
        seed = int(torch.randint(2**62, (), generator=generator))
        request = {"frame": observation["frame"], "instructions": list(instructions)}
        answer = self._connection.ask({**request, "temperature": float(temperature), "seed": seed})
        tokens, log_probs = (answer.get(name) for name in ("tokens", "log_probs"))
        return ActionChunk(
            answer["actions"],
            None if tokens is None else torch.tensor(tokens),
            None if log_probs is None else torch.tensor(log_probs),
        )

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()
