"""Writes down what happens in one real environment, frame by frame, as an `Episode`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from wovr_lab.real.env import RealEnv
from wovr_lab.types import ACTION_DIM, Episode


class Recorder:
    """Resets `env` to the initial state of `seed` (of its present task unless told) and records from there."""

    def __init__(self, env: RealEnv, seed: int, task: str | None = None):
        self.env, self.seed = env, seed
        observation, _ = env.reset(seed=seed, options={"task": task or env.task})
        self.frames, self.states, self.proprio = [observation["frame"]], [env.get_state()], [env.proprio()]
        self.actions: list[np.ndarray] = []
        self.labels: list[np.ndarray] = []
        self.success: list[bool] = []

    def step(self, action: np.ndarray, label: np.ndarray | None = None) -> None:
        """Executes `action` float32 [7]; `label` is the clean action to learn from instead, where there is one."""
        observation, *_ = self.env.step(action)
        self.frames.append(observation["frame"])
        self.states.append(self.env.get_state())
        self.proprio.append(self.env.proprio())
        self.actions.append(action)
        self.success.append(self.env.success)
        if label is not None:
            self.labels.append(label)

    def episode(self) -> Episode:
        """What was recorded; labels only if every action had one."""
        labelled = len(self.labels) == len(self.actions)
        return Episode(
            task=self.env.task,
            instruction=self.env.instruction,
            seed=self.seed,
            frames=np.stack(self.frames),
            actions=np.stack(self.actions).astype(np.float32),
            success=np.array(self.success),
            states=np.stack(self.states),
            proprio=None if self.env.robot is None else np.stack(self.proprio),
            expert_actions=np.stack(self.labels).astype(np.float32) if labelled else None,
        )


def noisy_attempt(
    recorder: Recorder,
    act: Callable[[], np.ndarray],
    noise: float,
    hold_after_success: int,
    generator: np.random.Generator,
) -> Episode:
    """An expert's demonstration, successful or not: `act` gives its clean actions, `noise` is the standard deviation on
    executed x, y, z. Success must come within the environment's limit; then `hold_after_success` more actions are
    recorded."""
    env, held = recorder.env, 0
    while held < hold_after_success if env.success else env.steps < env.max_steps:
        held += env.success
        clean = act()
        executed = clean.copy()
        executed[:3] += generator.normal(0.0, noise, 3)
        recorder.step(np.clip(executed, -1.0, 1.0), clean)
    return recorder.episode()


def as_play(episode: Episode) -> Episode:
    """What was recorded as play: no task, no success."""
    return replace(episode, task="play", instruction="play", success=np.zeros(len(episode), bool))


def truncated_before_success(env: RealEnv, episode: Episode, ahead: int, noops: int = 4) -> Episode:
    """An attempt stopped `ahead` >= 1 actions before the one that brought success, then `noops` actions of
    standing still, the gripper as it was: what nearly done looks like. Success can still come by momentum. Raises
    ValueError where there is nothing to stop."""
    stop = episode.first_success - ahead
    if ahead < 1 or stop < 1:
        raise ValueError(f"cannot stop {ahead} actions before success at {episode.first_success}")
    recorder = Recorder(env, episode.seed, episode.task)
    still = np.zeros(ACTION_DIM, np.float32)
    still[6] = episode.actions[stop - 1, 6]
    for action in [*episode.actions[:stop], *[still] * noops]:
        recorder.step(action)
    return recorder.episode()
