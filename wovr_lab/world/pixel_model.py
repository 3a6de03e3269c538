"""The pixel world model as one object: network, state head, sampler and context (beside `WorldModel`, the latent one).

In: starts, action chunks, one noise generator a row. Out: imagined frames, imagined states of the robot, the context to
go on from. The hand is imagined first, from the latest frame; the pictures are then drawn round a known hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from wovr_lab.borders import as_path
from wovr_lab.errors import UserError
from wovr_lab.hub import REVISION, Pushable
from wovr_lab.outputs import replacing
from wovr_lab.pixels import to_float, to_uint8
from wovr_lab.robot import Robot
from wovr_lab.runs import read_object, write_json
from wovr_lab.shipped import folder_of
from wovr_lab.types import CHUNK, MEMORY, Start
from wovr_lab.world.context import ChunkContext, ContextBuilder, Imagined
from wovr_lab.world.pixel_network import Heard, PixelNetwork
from wovr_lab.world.sampler import FlowSampler
from wovr_lab.world.state_head import StateHead
from wovr_lab.world.transformer import ActionWanTransformer

KIND = "pixels"
OUT_OF_SIGHT = 2.0  # half pictures from the middle, at which nothing of a hand is in the picture
NOISE = 0.1  # largest sigma of the noise put on memory pictures in training


@dataclass(frozen=True)
class PixelContext(ChunkContext):
    """Pictures: anchor float32 [B, 3, H, W], o_0, memory float32 [B, 4, 3, H, W], o_{t-3..t}; and states."""

    states: Tensor  # float32 [B, 4, D], the robot's at the memory frames; D = 0 without a robot


class PixelWorldModel(Pushable, nn.Module):
    """Imagines chunks of 8 frames, autoregressively, in pixels. Raises UserError if only one of its parts knows a robot
    or they know different ones."""

    folder_kind = "world model in pixels"  # what `save` marks a folder as

    def __init__(
        self,
        network: PixelNetwork,
        state_head: StateHead | None = None,
        context: ContextBuilder | None = None,
        sampler: FlowSampler | None = None,
    ):
        super().__init__()
        robots = [network.config.robot, state_head.config.robot if state_head else None]
        described = [Robot.from_dict(robot) if robot else None for robot in robots]
        if described[0] != described[1]:
            raise UserError("network and state head were made for different robots; train them together")
        self.robot = described[0]
        self.network, self.state_head = network, state_head
        self.context = context or ContextBuilder(noise=NOISE)
        self.sampler = sampler or FlowSampler(1)

    @property
    def device(self) -> torch.device:
        return self.network.device

    @property
    def resolution(self) -> int:
        """Pixels a side of its frames."""
        return self.network.config.resolution

    @property
    def transformer(self) -> ActionWanTransformer:
        return self.network.transformer

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """Shape of the noise that a row's chunk is imagined from."""
        return CHUNK, 3, self.resolution, self.resolution

    def with_settings(self, context: ContextBuilder, sampler: FlowSampler) -> PixelWorldModel:
        """A world model that shares the weights, with another context or sampler."""
        return PixelWorldModel(self.network, self.state_head, context, sampler).eval()

    def initial_context(self, starts: Sequence[Start]) -> PixelContext:
        """The context of real frames at these starts. Raises UserError if their frames are of another size, if their
        robot's states are missing or not this robot's, or if its camera does not see the hand."""
        side = self.resolution
        for start in starts:
            if start.anchor.shape != (side, side, 3):
                raise UserError(f"a start of {start.anchor.shape} for a world model of {side} x {side} pixels")
        states = torch.as_tensor(np.stack([self._states_of(start) for start in starts]), device=self.device)
        if self.robot is not None:
            farthest = float(self.network.body.image_points(states).abs().max())
            if farthest > OUT_OF_SIGHT:
                raise UserError(
                    f"this world model's camera sees the hand {farthest:.1f} half pictures from the middle; "
                    "give the camera that drew the frames, or states in its world's coordinates"
                )
        return PixelContext(
            anchor=to_float(np.stack([start.anchor for start in starts]), self.device),
            memory=self.shortened(to_float(np.stack([start.memory for start in starts]), self.device)),
            memory_actions=torch.as_tensor(np.stack([start.memory_actions for start in starts]), device=self.device),
            states=states,
        )

    def shortened(self, memory: Tensor) -> Tensor:
        """Memory pictures [B, 4, 3, H, W] as the context keeps them: the latest alone where it is one frame long."""
        return memory if self.context.memory == MEMORY else memory[:, -1:].expand(-1, MEMORY, -1, -1, -1)

    def _states_of(self, start: Start) -> np.ndarray:
        """float32 [4, D]"""
        if self.robot is None:
            return np.zeros((MEMORY, 0), np.float32)
        if start.proprio is None:
            raise UserError(
                f"a start of {start.task!r} has no state of the robot, which this world model needs; use episodes "
                "that recorded it, or a world model without states"
            )
        return self.robot.check(start.proprio, f"a start of {start.task!r}")

    def imagine_states(self, context: PixelContext, chunk: Tensor) -> Tensor:
        """[B, 8, D]: the robot's states after each action of the chunk [B, 8, 7]."""
        if self.state_head is None:
            return context.states.new_zeros(*chunk.shape[:2], 0)
        return self.state_head(context.states[:, -2:], chunk, context.memory[:, -1], context.anchor)

    def hear(self, context: PixelContext, noisy: Tensor, sigma: Tensor, chunk: Tensor, states: Tensor) -> Heard:
        """What the network says of `noisy` frames [B, 8, 3, H, W] at `sigma` [B], told the robot's states [B, 8, D]."""
        told = torch.cat([context.states[:, -1:], states], 1) if self.robot else None
        anchor = context.anchor if self.context.anchor else context.memory[:, -1]
        return self.network.hear(anchor, context.memory, noisy, sigma, context.actions(chunk), told)

    def sample(
        self, context: PixelContext, chunk: Tensor, states: Tensor, noise: Tensor, sampler: FlowSampler
    ) -> Tensor:
        """Future frames float [B, 8, 3, H, W] in [-1, 1] from noise of that shape, which draws the hypothesis."""
        uniform = uniform_of(noise)

        def velocity(noisy: Tensor, sigma: Tensor) -> Tensor:
            heard = self.hear(context, noisy, sigma, chunk, states)
            clean = self.network.draw(heard, drawn_by(heard.prior, uniform))
            return (noisy - clean) / sigma.view(-1, 1, 1, 1, 1)

        return sampler.sample(velocity, noise).clamp(-1, 1)

    def advance(self, context: PixelContext, future: Tensor, chunk: Tensor, states: Tensor) -> PixelContext:
        """The context after a chunk of frames [B, 8, 3, H, W] and states [B, 8, D]."""
        memory = self.context.passed_on(self.shortened(future[:, -MEMORY:]))
        return PixelContext(context.anchor, memory, chunk[:, -MEMORY:], states[:, -MEMORY:])

    @torch.no_grad()
    def answer(self, context: PixelContext, chunk: Tensor, noise: Tensor) -> Tensor:
        """What is imagined before it becomes frames, from noise [B, *noise_shape], so that answers can be compared."""
        return self.sample(context, chunk, self.imagine_states(context, chunk), noise, self.sampler)

    @torch.no_grad()
    def imagine(
        self, context: PixelContext, actions: np.ndarray | Tensor, generators: Sequence[torch.Generator]
    ) -> Imagined:
        """The frames and states of the robot that these actions [B, 8, 7] lead to, and the context after them.

        `generators[row]` gives the noise of its row, so that a row's future does not depend on its neighbours.
        """
        chunk = torch.as_tensor(actions, dtype=torch.float32, device=self.device)
        noise = [torch.randn(self.noise_shape, generator=generator) for generator in generators]
        states = self.imagine_states(context, chunk)
        future = self.sample(context, chunk, states, torch.stack(noise).to(self.device), self.sampler)
        return Imagined(to_uint8(future), states.cpu().numpy(), self.advance(context, future, chunk, states))

    def save(self, folder: Path) -> None:
        """Parts and settings as diffusers folders of safetensors; atomic."""
        settings = {
            "kind": KIND,
            "context": vars(self.context),
            "sampler": {"steps": self.sampler.steps, "shift": self.sampler.shift},
            "states": self.state_head is not None,
        }
        with replacing(folder, self.folder_kind) as partial:
            self.network.save_pretrained(partial / "network")
            if self.state_head is not None:
                self.state_head.save_pretrained(partial / "state_head")
            write_json(partial / "world.json", settings)

    def save_pretrained(self, folder: Path | str) -> None:
        """Saves the model like `save`; this is the name that transformers and diffusers give it."""
        self.save(Path(folder))

    @classmethod
    def from_pretrained(cls, name: Path | str, revision: str = REVISION) -> PixelWorldModel:
        """Loads the model like `load`: from a folder, from what is shipped, or from OWNER/NAME on the hub."""
        return cls.load(folder_of(name, revision))

    @classmethod
    def load(cls, folder: Path) -> PixelWorldModel:
        """Raises UserError if the folder holds no whole world model of this kind."""
        folder = as_path(folder)
        settings = read_object(folder / "world.json")
        if settings.get("kind") != KIND:
            raise UserError(f"{folder} holds a latent world model, not one of pixels; use load_world_model")
        network = PixelNetwork.load(folder / "network")
        try:
            head = StateHead.load(folder / "state_head") if settings["states"] else None
            context, sampler = ContextBuilder(**settings["context"]), FlowSampler(**settings["sampler"])
        except (KeyError, TypeError) as error:
            raise UserError(f"{folder}/world.json is of another version ({error}); train the model again") from error
        return cls(network, head, context, sampler).eval()


def uniform_of(noise: Tensor) -> Tensor:
    """A uniform number [B] that normal noise [B, ...] decides: the CDF of its scaled sum."""
    flat = noise.flatten(1)
    return torch.special.ndtr(flat.sum(1) / flat.shape[1] ** 0.5)


def drawn_by(prior: Tensor, uniform: Tensor) -> Tensor:
    """int64 [B]: the hypotheses that uniform numbers [B] draw from log-probabilities [B, K] by the inverse CDF."""
    below = (prior.exp().cumsum(1) < uniform[:, None]).sum(1)
    return below.clamp(max=prior.shape[1] - 1)
