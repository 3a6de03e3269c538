"""Both worlds as functions: a moment and actions in, what they lead to out, in imagination and in reality.

In: a `State`, actions, switches. Out: a `Step`. One row at a time, noise from a named stream, the simulator put back
into its stored state: the same in, the same out, to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from wovr_lab.borders import as_actions
from wovr_lab.errors import UserError
from wovr_lab.inspector.fidelity import Fidelity, fidelity_of
from wovr_lab.inspector.keys import noop_action
from wovr_lab.inspector.models import RunModels
from wovr_lab.inspector.timeline import State, Step, Switches
from wovr_lab.measure.tabletop.probes import read_env
from wovr_lab.measure.uncertainty import disagreement, noises_for
from wovr_lab.real.chunk_env import start_of_seed
from wovr_lab.real.env import DISPLAY_RESOLUTION
from wovr_lab.real.tabletop.env import TabletopEnv
from wovr_lab.real.tabletop.proprioception import proprioception_of
from wovr_lab.reward.classifier import consecutive_hits
from wovr_lab.seeding import torch_stream
from wovr_lab.starts import start_at
from wovr_lab.types import ACTION_DIM, CHUNK, MEMORY, Episode, Start


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch computes in one thread meanwhile: in a server's handlers two take twice as long as one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class PairedSimulator:
    """The models of a run, and a simulator of one's own."""

    def __init__(self, models: RunModels):
        self.models = models
        self.env = TabletopEnv(resolution=models.resolution)

    def initial_state(self, start: Start, switches: Switches) -> State:
        """Both worlds at a start. Raises UserError on a task that the reward was not trained on, a foreign state."""
        self.models.reward(switches.checkpoint).columns([start.instruction])
        success = self.restore(start)
        return State(start, start, switches, None, self.recent(start, switches), (success, success))

    def initial_start(self, task: str, seed: int) -> Start:
        """The initial state of a seed. Raises UserError on an unknown task or a negative seed."""
        if seed < 0:
            raise UserError(f"seed {seed} is negative; initial states have seeds from 0 on")
        return start_of_seed(self.env, task, seed)

    def start_in(self, episode: Episode, step: int) -> Start:
        """A start that reality can begin at; imagined episodes begin again at their seed. Raises UserError if there is
        no such moment, or reality cannot begin there."""
        size = self.models.resolution
        if episode.frames.shape[1:] != (size, size, 3):
            found = f"{episode.frames.shape[2]} x {episode.frames.shape[1]}"
            raise UserError(f"this episode has frames of {found} pixels, these models see {size} x {size}")
        if episode.proprio is None and episode.states is not None:  # recorded before the robot's state was
            episode = replace(episode, proprio=proprioception_of(episode.states))
        start = start_at(episode, step)
        if start.state is not None and np.isfinite(start.state).all():
            return start
        if step or episode.seed < 0:
            raise UserError("this episode holds no simulator state for that moment, so reality cannot begin there")
        return self.initial_start(episode.task, episode.seed)

    def render(self, state: State) -> np.ndarray:
        """uint8 [256, 256, 3], the real world at that moment, for people."""
        self.restore(state.real)
        return self.env.render_frame(DISPLAY_RESOLUTION)

    @one_thread()
    def simulate(self, before: State, actions: np.ndarray, switches: Switches, number: int) -> Step:
        """Both worlds from `before`, which stays as it is; `number` names the noise stream. Raises UserError as `step`
        does."""
        actions = checked(actions)
        kept, (real, states, success_real, truth) = len(actions), self.execute(before.real, actions)
        padding = np.tile(noop_action(float(actions[-1, -1])), (CHUNK - kept, 1))
        world, reward = self.models.world(switches), self.models.reward(switches.checkpoint)
        chunk = np.concatenate([actions, padding])[None]
        context = self._context(before, switches)
        noise = torch_stream(switches.noise, "inspect", number)
        answer = world.imagine(context, chunk, [noise])
        others = noises_for(world, 1, torch_stream(switches.noise, "inspect doubt", number))
        uncertainty = float(disagreement(world, context, torch.as_tensor(chunk, device=world.device), others)[0])
        imagined = answer.frames[0, :kept]
        instruction = (before.imagined.instruction,)
        believed, judged = (reward.probability(seen[None], instruction)[0] for seen in (imagined, real))
        joined = np.concatenate([before.recent, believed])
        hits = consecutive_hits((joined >= switches.threshold)[None], reward.config.consecutive)[0]
        success = np.logical_or.accumulate(hits[len(before.recent) :]) | before.succeeded[0]
        after = State(
            imagined=_moved(before.imagined, imagined, actions, None, answer.states[0, :kept]),
            real=_moved(before.real, real, actions, states[-1], proprioception_of(states)),
            switches=switches,
            context=answer.context if kept == CHUNK else None,  # after part of a chunk, encode what was kept
            recent=joined[len(joined) - len(before.recent) :],
            succeeded=(bool(success[-1]), bool(success_real[-1])),
            horizon=before.horizon + kept,
        )
        kind = "chunk" if kept == CHUNK else "action"
        return Step(
            kind, actions, switches, imagined, real, states, believed, judged, success, success_real, after,
            self.fidelity(before.real.task, imagined, real, truth), uncertainty,
        )  # fmt: skip

    @one_thread()
    def imagined_success(self, before: State, chunks: np.ndarray, switches: Switches, number: int) -> np.ndarray:
        """float32 [N]: for each of chunks [N, 8, 7], the highest success probability in the frames that `simulate`
        would imagine. Reality takes no part."""
        world, reward, found = self.models.world(switches), self.models.reward(switches.checkpoint), []
        context, instruction = self._context(before, switches), (before.imagined.instruction,)
        for chunk in chunks:
            noise = torch_stream(switches.noise, "inspect", number)
            frames = world.imagine(context, chunk[None], [noise]).frames
            found.append(reward.probability(frames, instruction).max())
        return np.array(found, np.float32)

    def _context(self, before: State, switches: Switches) -> Any:
        """What the world model goes on from: its own latents, or frames to be encoded where it is another one."""
        same = (switches.checkpoint, switches.memory) == (before.switches.checkpoint, before.switches.memory)
        if same and before.context is not None:
            return before.context
        return self.models.world(switches).initial_context([before.imagined])

    def reanchor(self, before: State, switches: Switches) -> Step:
        """Replaces the imagined frames by the real ones of this moment, as an imagined rollout from a keyframe has it
        (paper section 3). What imagination believed about success is replaced too."""
        after = replace(
            before, imagined=before.real, context=None, switches=switches, horizon=0,
            recent=self.recent(before.real, switches), succeeded=(before.succeeded[1],) * 2,
        )  # fmt: skip
        frames, empty, no = before.real.memory[:0], np.zeros(0, np.float32), np.zeros(0, bool)
        actions, states = np.zeros((0, ACTION_DIM), np.float32), before.real.state[None][:0]
        nothing = Fidelity(empty)
        return Step("re-anchor", actions, switches, frames, frames, states, empty, empty, no, no, after, nothing)

    def fidelity(self, task: str, imagined: np.ndarray, real: np.ndarray, truth: np.ndarray) -> Fidelity:
        """How near frames uint8 [n, H, W, 3] are to a truth float32 [n, 10] in metres, by the probe if there is one."""
        found = None if self.models.probe is None else self.models.probe.read(imagined)
        return fidelity_of(task, imagined, real, found, truth)

    def positions(self, state: State) -> tuple[np.ndarray, np.ndarray] | None:
        """Read-outs float32 [10] in metres (`probes.COLUMNS`): what the state probe sees in the imagined frame, and the
        truth. None if there is no probe for such frames."""
        if self.models.probe is None:
            return None
        self.restore(state.real)
        return self.models.probe.read(state.imagined.memory[-1]), read_env(self.env)

    def restore(self, start: Start) -> bool:
        """The simulator at that moment; whether success had been reached. Raises UserError on a foreign state."""
        return bool(self.env.reset(options={"task": start.task, "state": start.state})[1]["success"])

    def recent(self, start: Start, switches: Switches) -> np.ndarray:
        """Success probabilities of the real frames before the next one, for the rule of consecutive frames."""
        reward = self.models.reward(switches.checkpoint)
        seen = reward.probability(start.memory[None], (start.instruction,))[0]
        return seen[MEMORY - (reward.config.consecutive - 1) :]

    def execute(self, start: Start, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The real side alone: frames uint8 [n, H, W, 3], simulator states float64 [n, S], success bool [n], read-outs
        float32 [n, 10] in metres."""
        self.restore(start)
        frames, states, success, truth = [], [], [], []
        for action in actions:
            observation, _, reached, _, _ = self.env.step(action)
            frames.append(observation["frame"])
            states.append(self.env.get_state())
            success.append(reached)
            truth.append(read_env(self.env))
        return np.stack(frames), np.stack(states), np.array(success), np.stack(truth)


def checked(actions: np.ndarray) -> np.ndarray:
    """Actions float32 [8, 7] or [1, 7]. Raises UserError on a wrong shape, NaN or a value outside [-1, 1]."""
    one = (1, ACTION_DIM)
    return as_actions(actions, one if np.shape(actions) == one else (CHUNK, ACTION_DIM))


def _moved(
    start: Start, frames: np.ndarray, actions: np.ndarray, state: np.ndarray | None, proprio: np.ndarray
) -> Start:
    """The context after these frames, the actions that produced them and the robot's states, where both are known."""
    is_known = start.proprio is not None and proprio.shape[-1]
    return replace(
        start,
        memory=np.concatenate([start.memory, frames])[-MEMORY:],
        memory_actions=np.concatenate([start.memory_actions, actions])[-MEMORY:],
        step=start.step + len(actions),
        state=state,
        proprio=np.concatenate([start.proprio, proprio])[-MEMORY:] if is_known else None,
    )
