"""The Wan video transformer with actions in both channels (paper section 2).

In: noisy latents [B, C, 4, h, w], per-token times [B, seq] (0 for context alone), actions [B, 13, 7] where actions[t]
produced frame t. Out: the network's answer for every latent, same shape. Only the condition embedder differs from
diffusers' class, swapped in `__init__` so that saving and loading give this class back.

Where tokens lie is `patch_size`. Wan's (1, 2, 2) makes 64 tokens of a window: 16 a latent, of 2 x 2 cells each.
`WHOLE_WINDOW`, the tabletop's, makes as many, each a single cell through all four latents: at the same price things
move on a grid twice as fine, and every token is told all actions.
"""

from __future__ import annotations

import torch
from diffusers import WanTransformer3DModel
from diffusers.configuration_utils import register_to_config
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from torch import Tensor, nn

from wovr_lab.types import ACTION_DIM
from wovr_lab.world.codec import FRAMES_PER_LATENT

WHOLE_WINDOW = (4, 1, 1)


class DualChannelActionEmbedding(nn.Module):
    """Channel A adds the four actions of each latent to its diffusion time, before the AdaLN projection; channel B
    makes one cross-attention token of each frame's action, in place of text. Either can be cut (`channels`). Where a
    token spans several `latents`, it is told the actions of all of them."""

    def __init__(self, dim: int, frequencies: int, channels: str = "both", latents: int = 1):
        super().__init__()
        if channels not in ("both", "modulation", "attention"):
            raise ValueError(f"channels must be both, modulation or attention, not {channels!r}")
        self.channels, self.latents = channels, latents
        self.timesteps_proj = Timesteps(frequencies, flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time_embedder = TimestepEmbedding(in_channels=frequencies, time_embed_dim=dim)
        self.time_proj = nn.Linear(dim, 6 * dim)
        self.modulation = nn.Sequential(
            nn.Linear(latents * FRAMES_PER_LATENT * ACTION_DIM, dim), nn.SiLU(), nn.Linear(dim, dim)
        )
        self.attention = nn.Sequential(nn.Linear(ACTION_DIM, dim), nn.SiLU(), nn.Linear(dim, dim))
        # Channel A starts silent, so that a pretrained backbone is unchanged before the first step; channel B needs
        # a live start, since the blocks that read it have no other input.
        nn.init.zeros_(self.modulation[-1].weight)
        nn.init.zeros_(self.modulation[-1].bias)

    def forward(
        self, timestep: Tensor, actions: Tensor, image: None = None, timestep_seq_len: int | None = None
    ) -> tuple[Tensor, Tensor, Tensor, None]:
        """timestep [B * seq], actions [B, 1 + 4 (L - 1), 7] -> time [B, seq, d], modulation [B, seq, 6 d], tokens."""
        batch, frames, _ = actions.shape
        spans = ((frames - 1) // FRAMES_PER_LATENT + 1) // self.latents
        tokens = timestep_seq_len // spans
        shared = timestep.view(batch, spans, tokens)[:, :, 0]  # by all tokens of the same latents
        time = self.time_embedder(self.timesteps_proj(shared.flatten()).to(actions.dtype)).view(batch, spans, -1)
        if self.channels != "attention":
            grouped = torch.cat([actions[:, :1].expand(-1, FRAMES_PER_LATENT - 1, -1), actions], 1)
            time = time + self.modulation(grouped.reshape(batch, spans, -1))
        projected = self.time_proj(nn.functional.silu(time))
        words = self.attention(actions if self.channels != "modulation" else torch.zeros_like(actions))
        return time.repeat_interleave(tokens, 1), projected.repeat_interleave(tokens, 1), words, None


class ActionWanTransformer(WanTransformer3DModel):
    """diffusers' Wan transformer conditioned on actions. The defaults are the CPU scale; only `patch_size` is Wan's."""

    @register_to_config
    def __init__(
        self,
        patch_size: tuple[int, int, int] = (1, 2, 2),
        num_attention_heads: int = 6,
        attention_head_dim: int = 32,
        in_channels: int = 32,
        out_channels: int = 32,
        freq_dim: int = 128,
        ffn_dim: int = 768,
        num_layers: int = 6,
        cross_attn_norm: bool = True,
        qk_norm: str = "rms_norm_across_heads",
        eps: float = 1e-6,
        rope_max_seq_len: int = 64,
        action_channels: str = "both",
    ):
        # unwrapped, since the parent's decorator would register its other arguments as ours
        WanTransformer3DModel.__init__.__wrapped__(
            self,
            patch_size=patch_size,
            num_attention_heads=num_attention_heads,
            attention_head_dim=attention_head_dim,
            in_channels=in_channels,
            out_channels=out_channels,
            text_dim=ACTION_DIM,
            freq_dim=freq_dim,
            ffn_dim=ffn_dim,
            num_layers=num_layers,
            cross_attn_norm=cross_attn_norm,
            qk_norm=qk_norm,
            eps=eps,
            rope_max_seq_len=rope_max_seq_len,
        )
        dim = num_attention_heads * attention_head_dim
        self.rope.float()  # float64 tables would make every rotation a float64 one
        self.condition_embedder = DualChannelActionEmbedding(dim, freq_dim, action_channels, patch_size[0])
        nn.init.zeros_(self.proj_out.weight)  # with a residual prediction: starts as "nothing moves"
        nn.init.zeros_(self.proj_out.bias)
