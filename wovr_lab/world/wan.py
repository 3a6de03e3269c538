"""The paper's own world model: Wan2.2-TI2V-5B from its diffusers folder, with actions in both channels (section 2).

In: the published folder (Wan-AI/Wan2.2-TI2V-5B-Diffusers): transformer/ and vae/, each a config.json and safetensors.
Out: an `ActionWanTransformer` with those weights, in which only what hears actions is new; and windows of 13 frames as
the causal VAE sees them: 1 anchor, 4 of memory, 8 of future, in 4 latents. Nothing here has met the real weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLWan
from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed
from torch import Tensor, nn

from wovr_lab.errors import UserError
from wovr_lab.networks import load_model
from wovr_lab.pixels import to_float, to_uint8
from wovr_lab.published import fill
from wovr_lab.runs import read_object
from wovr_lab.types import CHUNK, MEMORY
from wovr_lab.world.transformer import ActionWanTransformer, DualChannelActionEmbedding

TI2V_5B: dict[str, Any] = {  # of the transformer
    "patch_size": (1, 2, 2), "num_attention_heads": 24, "attention_head_dim": 128, "in_channels": 48,
    "out_channels": 48, "freq_dim": 256, "ffn_dim": 14336, "num_layers": 30, "cross_attn_norm": True,
    "qk_norm": "rms_norm_across_heads", "eps": 1e-6, "rope_max_seq_len": 1024,
}  # fmt: skip
VAE_2_2: dict[str, Any] = {
    "base_dim": 160, "decoder_base_dim": 256, "z_dim": 48, "is_residual": True, "in_channels": 12, "out_channels": 12,
    "patch_size": 2, "scale_factor_spatial": 16, "scale_factor_temporal": 4,
    "latents_mean": [0.0] * 48, "latents_std": [1.0] * 48,  # the published folder brings its own
}  # fmt: skip
TEXT = "condition_embedder.text_embedder."  # what actions replace
NEW = ("condition_embedder.modulation.", "condition_embedder.attention.")
WINDOW = 1 + MEMORY + CHUNK  # frames


def load_wan(folder: Path, dtype: torch.dtype = torch.bfloat16) -> ActionWanTransformer:
    """The transformer in a folder of diffusers' `WanTransformer3DModel`, one shard in memory at a time.

    Channel A starts silent and channel B random, as in a new model. Raises UserError if a tensor is missing, of another
    shape, or unknown.
    """
    config = read_object(folder / "config.json")
    absent = sorted(TI2V_5B.keys() - config.keys())
    if absent:
        raise UserError(f"{folder}/config.json is not of a Wan transformer ({absent[0]} is missing)")
    with torch.device("meta"):
        model = ActionWanTransformer(**{name: config[name] for name in TI2V_5B})
    _make_new_parts(model)
    fill(model, folder, lambda name, tensor: {} if name.startswith(TEXT) else {name: tensor}, NEW, dtype)
    return model.to(dtype).eval()


def _make_new_parts(model: ActionWanTransformer) -> None:
    """Gives real storage to what no checkpoint holds: the action channels and the rotary tables."""
    config = model.config
    dim = config.num_attention_heads * config.attention_head_dim
    fresh = DualChannelActionEmbedding(dim, config.freq_dim, config.action_channels, config.patch_size[0])
    model.condition_embedder.modulation, model.condition_embedder.attention = fresh.modulation, fresh.attention
    model.condition_embedder.timesteps_proj = fresh.timesteps_proj
    model.rope = WanRotaryPosEmbed(config.attention_head_dim, config.patch_size, config.rope_max_seq_len).float()


class WanWindows(nn.Module):
    """The causal video VAE on whole windows. Its first latent holds one frame, each further one four.

    Deviation from our `FrameGroupCodec`: latents depend on the frames before them, so the memory of the next window has
    to be encoded again, with its anchor ahead of it; `WorldModel` does not do that yet.
    """

    def __init__(self, vae: AutoencoderKLWan):
        super().__init__()
        self.vae = vae
        for name in ("mean", "std"):
            values = torch.tensor(vae.config[f"latents_{name}"]).view(1, -1, 1, 1, 1)
            self.register_buffer(f"latent_{name}", values, persistent=False)

    @classmethod
    def load(cls, folder: Path) -> WanWindows:
        """From the published vae/ folder. Raises UserError if it holds no whole VAE."""
        return cls(load_model(AutoencoderKLWan, folder))

    @torch.no_grad()
    def encode(self, frames: Tensor) -> Tensor:
        """uint8 [B, 13, H, W, 3] -> normalised latents [B, C, 4, H / 16, W / 16]: anchor, memory, two of future.

        Raises UserError on another number of frames or sizes that the VAE's strides do not divide.
        """
        side = self.vae.config.scale_factor_spatial
        if frames.ndim != 5 or frames.shape[1] != WINDOW or frames.shape[2] % side or frames.shape[3] % side:
            raise UserError(f"windows are [B, {WINDOW}, H, W, 3] with sides of n x {side}, not {tuple(frames.shape)}")
        pictures = to_float(frames, self.vae.device).transpose(1, 2).to(self.vae.dtype)
        latents = self.vae.encode(pictures).latent_dist.mode()
        return (latents - self.latent_mean.to(latents)) / self.latent_std.to(latents)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Normalised latents [B, C, 4, h, w] of a window -> its 8 future frames, uint8 [B, 8, H, W, 3]."""
        raw = latents * self.latent_std.to(latents) + self.latent_mean.to(latents)
        pictures = self.vae.decode(raw.to(self.vae.dtype)).sample
        return torch.as_tensor(to_uint8(pictures[:, :, -CHUNK:].transpose(1, 2)))
