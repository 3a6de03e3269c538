"""The world model as one object: codec, transformer, sampler and context, each swappable alone (paper section 2).

In: starts, action chunks, one noise generator a row. Out: imagined frames and the context to go on from.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from wovr_lab.borders import as_path
from wovr_lab.errors import UserError
from wovr_lab.hub import REVISION, Pushable
from wovr_lab.networks import load_model
from wovr_lab.outputs import replacing
from wovr_lab.runs import read_object, write_json
from wovr_lab.shipped import folder_of
from wovr_lab.types import Start
from wovr_lab.world.codec import FrameGroupCodec
from wovr_lab.world.context import Context, ContextBuilder, Imagined
from wovr_lab.world.sampler import FlowSampler, Prediction, ResidualPrediction, VelocityPrediction
from wovr_lab.world.transformer import ActionWanTransformer

PREDICTIONS: dict[str, type] = {"residual": ResidualPrediction, "velocity": VelocityPrediction}
FUTURE = 2  # latents in a chunk of 8 frames


class WorldModel(Pushable, nn.Module):
    """Imagines chunks of 8 frames, autoregressively, in latent space."""

    folder_kind = "world model"  # what `save` marks a folder as

    def __init__(
        self,
        codec: FrameGroupCodec,
        transformer: ActionWanTransformer,
        context: ContextBuilder | None = None,
        sampler: FlowSampler | None = None,
        prediction: Prediction | None = None,
    ):
        super().__init__()
        self.codec, self.transformer = codec, transformer
        self.context = context or ContextBuilder()
        self.sampler = sampler or FlowSampler()
        self.prediction = prediction or ResidualPrediction()

    @property
    def device(self) -> torch.device:
        return self.transformer.device

    @property
    def resolution(self) -> int:
        """Pixels a side of its frames."""
        return self.codec.config.resolution

    @property
    def robot(self) -> None:
        """It knows none: actions alone tell it where the hand goes."""
        return None

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """Shape of the noise that a row's chunk is imagined from."""
        return self.codec.latent_shape[0], FUTURE, *self.codec.latent_shape[1:]

    def with_settings(self, context: ContextBuilder, sampler: FlowSampler) -> WorldModel:
        """A world model that shares the weights, with another context or sampler."""
        return WorldModel(self.codec, self.transformer, context, sampler, self.prediction).eval()

    def velocity(self, context: Context, noisy: Tensor, sigma: Tensor, chunk: Tensor) -> Tensor:
        """Velocity of the future latents `noisy` [B, C, 2, h, w] at `sigma` [B]; tokens of context alone get time 0."""
        latents = torch.cat([self.context.latents(context), noisy], 2)
        span, patch, _ = self.transformer.config.patch_size
        tokens = latents.shape[-1] * latents.shape[-2] // patch**2
        times = torch.stack([torch.zeros_like(sigma)] * 2 + [sigma] * FUTURE, 1)
        times = times[:, span - 1 :: span].repeat_interleave(tokens, 1)  # a token's time is that of its latest latent
        answer = self.transformer(latents, times * 1000, context.actions(chunk), return_dict=False)[0]
        return self.prediction.velocity(answer[:, :, -FUTURE:], noisy, context.memory, sigma)

    def initial_context(self, starts: Sequence[Start]) -> Context:
        """The context of real frames at these starts."""
        return self.context.initial_context(self.codec, list(starts))

    def answer(self, context: Context, chunk: Tensor, noise: Tensor) -> Tensor:
        """What is imagined before it becomes frames, from noise [B, *noise_shape], so that answers can be compared."""
        return self.imagine_latents(context, chunk, noise)

    @torch.no_grad()
    def imagine_latents(self, context: Context, chunk: Tensor, noise: Tensor) -> Tensor:
        """Future latents [B, C, 2, h, w] of the chunk's actions [B, 8, 7] from noise of that shape."""
        return self.sampler.sample(lambda noisy, sigma: self.velocity(context, noisy, sigma, chunk), noise)

    @torch.no_grad()
    def imagine(
        self, context: Context, actions: np.ndarray | Tensor, generators: Sequence[torch.Generator]
    ) -> Imagined:
        """The frames that these actions [B, 8, 7] lead to, and the context after them; no states.

        `generators[row]` gives the noise of its row, so that a row's future does not depend on its neighbours.
        """
        chunk = torch.as_tensor(actions, dtype=torch.float32, device=self.device)
        noise = torch.stack([torch.randn(self.noise_shape, generator=generator) for generator in generators])
        future = self.imagine_latents(context, chunk, noise.to(self.device))
        groups = self.codec.decode(future.transpose(1, 2).flatten(0, 1))
        frames = groups.reshape(len(chunk), -1, *groups.shape[2:])
        following = self.context.advance(self.codec, context, future, chunk, frames)
        return Imagined(frames, np.zeros((*frames.shape[:2], 0), np.float32), following)

    def save(self, folder: Path) -> None:
        """Codec, transformer and settings as diffusers folders of safetensors; atomic."""
        names = {kind: name for name, kind in PREDICTIONS.items()}
        settings = {
            "context": vars(self.context),
            "sampler": {"steps": self.sampler.steps, "shift": self.sampler.shift},
            "prediction": names[type(self.prediction)],
        }
        with replacing(folder, self.folder_kind) as partial:
            self.codec.save_pretrained(partial / "codec")
            self.transformer.save_pretrained(partial / "transformer")
            write_json(partial / "world.json", settings)

    def save_pretrained(self, folder: Path | str) -> None:
        """Saves the model like `save`; this is the name that transformers and diffusers give it."""
        self.save(Path(folder))

    @classmethod
    def from_pretrained(cls, name: Path | str, revision: str = REVISION) -> WorldModel:
        """Loads the model like `load`: from a folder, from what is shipped, or from OWNER/NAME on the hub."""
        return cls.load(folder_of(name, revision))

    @classmethod
    def load(cls, folder: Path) -> WorldModel:
        """Raises UserError if the folder holds no whole world model."""
        folder = as_path(folder)
        settings = read_object(folder / "world.json")
        if "kind" in settings:
            raise UserError(
                f"{folder} holds a world model of {settings['kind']}, not a latent one; use load_world_model"
            )
        codec = FrameGroupCodec.load(folder / "codec")
        transformer = load_model(ActionWanTransformer, folder / "transformer")
        try:
            context = ContextBuilder(**settings["context"])
            sampler = FlowSampler(**settings["sampler"])
            prediction = PREDICTIONS[settings["prediction"]]()
        except (KeyError, TypeError) as error:
            raise UserError(f"{folder}/world.json is of another version ({error}); train the model again") from error
        return cls(codec, transformer, context, sampler, prediction).eval()
