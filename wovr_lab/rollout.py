"""Roll out an actor in any chunk environment, real or imagined: starts in, `Rollouts` out (paper section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
import torch
from tqdm import tqdm

from wovr_lab.contracts import Actor, ChunkEnv, Observation
from wovr_lab.seeding import seed_of, torch_stream
from wovr_lab.types import ActionChunk, Rollouts, Start


def roll_out(
    env: ChunkEnv,
    actor: Actor,
    starts: Sequence[Start],
    run_seed: int,
    name: str,
    temperature: float,
    video: bool = False,
    progress: bool = False,
) -> Rollouts:
    """One trajectory from each start, `env.num_envs` at a time; the last group is filled up with copies and cut.

    The streams (run_seed, name, group) decide the actor's and the environment's randomness. With `video` every frame is
    kept, and the simulator's and the robot's states where the environment has them. Raises ValueError without starts.
    """
    if not starts:
        raise ValueError("nothing to roll out: no starts were given")
    groups = range(0, len(starts), env.num_envs)
    parts = []
    for first in tqdm(groups, desc=name, disable=not progress, mininterval=1.0, dynamic_ncols=True):
        group = list(starts[first : first + env.num_envs])
        filled = group + [group[-1]] * (env.num_envs - len(group))
        names = (name, first)
        part = _roll_out_group(env, actor, filled, (run_seed, *names), temperature, video)
        parts.append(_rows(part, len(group)))
    return join(parts)


class Recorded:
    """An actor that repeats recorded chunks float32 [N, C, K, 7], then stands still with the gripper as it was."""

    def __init__(self, actions: np.ndarray):
        still = np.zeros_like(actions[:, -1])
        still[..., 6] = actions[:, -1, -1:, 6]
        self.chunks = [*np.moveaxis(actions, 1, 0), still]
        self.next = 0

    def act(
        self, observation: Observation, instructions: tuple[str, ...], generator: torch.Generator, temperature: float
    ) -> ActionChunk:
        """The next chunk."""
        chunk = self.chunks[min(self.next, len(self.chunks) - 1)]
        self.next += 1
        return ActionChunk(chunk)


def replay(
    env: ChunkEnv, starts: Sequence[Start], actions: np.ndarray, run_seed: int, name: str, video: bool = False
) -> Rollouts:
    """Recorded actions float32 [N, C, K, 7] from these starts, in either world. Raises ValueError without starts."""
    if not starts:
        raise ValueError("nothing to replay: no starts were given")
    parts = []
    for first in range(0, len(starts), env.num_envs):
        rows = np.arange(first, first + env.num_envs).clip(max=len(starts) - 1)
        group = [starts[row] for row in rows]
        part = _roll_out_group(env, Recorded(actions[rows]), group, (run_seed, name, first), 0.0, video)
        parts.append(_rows(part, min(env.num_envs, len(starts) - first)))
    return join(parts)


def _roll_out_group(
    env: ChunkEnv, actor: Actor, starts: list[Start], stream: tuple, temperature: float, video: bool
) -> Rollouts:
    generator = torch_stream(*stream, "actor")
    observation, info = env.reset(seed=seed_of(*stream, "env") % 2**31, options={"starts": starts})
    frames, actions, executed, success, tokens, log_probs = [], [], [], [], [], []
    movie = [observation["frame"][:, None]] if video else []
    states = [info["states"][:, None]] if video and "states" in info else []
    proprio = [info["proprio"][:, None]] if video and "proprio" in info else []
    alive = np.ones(env.num_envs, bool)
    while alive.any():
        chunk = actor.act(observation, env.instructions, generator, temperature)
        frames.append(observation["frame"])
        actions.append(chunk.actions)
        tokens.append(chunk.tokens)
        log_probs.append(chunk.log_probs)
        observation, _, terminated, truncated, info = env.step(chunk.actions)
        executed.append(info["executed"])
        success.append(info["success"])
        if video:
            movie.append(info["frames"])
        if states:
            states.append(info["states"])
        if proprio:
            proprio.append(info["proprio"])
        alive = ~(terminated | truncated)
    return Rollouts(
        starts=tuple(starts),
        frames=np.stack(frames, 1),
        actions=np.stack(actions, 1),
        executed=np.stack(executed, 1),
        success=np.concatenate(success, 1),
        tokens=None if tokens[0] is None else torch.stack(tokens, 1),
        log_probs=None if log_probs[0] is None else torch.stack(log_probs, 1),
        video=np.concatenate(movie, 1) if movie else None,
        states=np.concatenate(states, 1) if states else None,
        proprio=np.concatenate(proprio, 1) if proprio else None,
    )


def _rows(rollouts: Rollouts, count: int) -> Rollouts:
    """The first `count` rows."""
    values = {field.name: getattr(rollouts, field.name) for field in fields(Rollouts)}
    return Rollouts(**{name: None if value is None else value[:count] for name, value in values.items()})


def join(parts: Sequence[Rollouts]) -> Rollouts:
    """Rollouts of several groups as one; shorter ones are padded at the end, where `executed` is False."""
    chunks = max(part.executed.shape[1] for part in parts)
    keep = parts[0].actions.shape[2]
    columns = {"frames": chunks, "actions": chunks, "executed": chunks, "tokens": chunks, "log_probs": chunks,
               "success": chunks * keep, "video": chunks * keep + 1, "states": chunks * keep + 1,
               "proprio": chunks * keep + 1}  # fmt: skip
    joined = {}
    for name, width in columns.items():
        values = [getattr(part, name) for part in parts]
        if values[0] is None:
            continue
        if isinstance(values[0], torch.Tensor):
            joined[name] = torch.cat([_pad_tensor(value, width) for value in values])
        else:
            joined[name] = np.concatenate([_pad(value, width, hold=name != "executed") for value in values])
    return Rollouts(starts=tuple(start for part in parts for start in part.starts), **joined)


def _pad(value: np.ndarray, width: int, hold: bool) -> np.ndarray:
    missing = width - value.shape[1]
    last = value[:, -1:] if hold else np.zeros_like(value[:, -1:])
    return np.concatenate([value, np.repeat(last, missing, 1)], 1) if missing else value


def _pad_tensor(value: torch.Tensor, width: int) -> torch.Tensor:
    missing = width - value.shape[1]
    return torch.cat([value, value[:, -1:].expand(-1, missing, *value.shape[2:])], 1) if missing else value
