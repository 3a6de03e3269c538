"""OpenVLA-OFT from its published folder, and the meaning of its actions.

In: config.json, safetensors, a tokenizer, as published. Out: an `OpenVLAPolicy` with those weights, and actions as the
environment takes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from wovr_lab.errors import UserError
from wovr_lab.policy.openvla import BINS, PADDING_WORDS, OpenVLAConfig, OpenVLAPolicy
from wovr_lab.policy.openvla_keys import renamed
from wovr_lab.published import fill
from wovr_lab.runs import read_object

TOWERS = ["vit_large_patch14_reg4_dinov2.lvd142m", "vit_so400m_patch14_siglip_224"]
NEW = ("dino.embeddings.mask_token",)  # of masked training only


def load_openvla(
    folder: Path, config: OpenVLAConfig | None = None, dtype: torch.dtype = torch.bfloat16
) -> OpenVLAPolicy:
    """The policy in a folder, one file of weights in memory at a time; `config` where its sizes are not the published.

    Raises UserError if the folder is of another model or incomplete.
    """
    config = config or load_config(read_object(folder / "config.json"), folder)
    if not (folder / "tokenizer.json").is_file():
        raise UserError(f"{folder} holds no tokenizer.json; save Llama's tokenizer there in the fast format")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    with torch.device("meta"):
        policy = OpenVLAPolicy(config, tokenizer)
    fill(policy, folder, renamed, NEW, dtype)
    make_buffers(policy, dtype)
    return policy.eval()


def make_buffers(policy: OpenVLAPolicy, dtype: torch.dtype) -> None:
    """Gives real storage to what no checkpoint holds."""
    llama, siglip = policy.language.model, policy.siglip.embeddings
    llama.rotary_emb = LlamaRotaryEmbedding(config=llama.config)
    siglip.position_ids = torch.arange(siglip.num_positions)[None]
    policy.dino.embeddings.mask_token = torch.nn.Parameter(torch.zeros(1, policy.config.dino.width, dtype=dtype))


def load_config(described: dict[str, Any], folder: Path) -> OpenVLAConfig:
    """Sizes by the published config.json. Raises UserError if it is of another architecture."""
    wanted = {"timm_model_ids": TOWERS, "use_fused_vision_backbone": True, "n_action_bins": BINS}
    wanted["pad_to_multiple_of"] = PADDING_WORDS
    for name, value in wanted.items():
        if described.get(name) != value:
            raise UserError(f"{folder} is no OpenVLA-OFT that can be loaded here: {name} is {described.get(name)!r}")
    return OpenVLAConfig(side=described["image_sizes"][0], language=described["text_config"])


@dataclass(frozen=True)
class Unnormaliser:
    """From the policy's [-1, 1] to LIBERO's actions, by the statistics of the data that it was trained on."""

    low: np.ndarray  # float64 [7], 1 % quantile
    high: np.ndarray  # float64 [7], 99 % quantile
    mask: np.ndarray  # bool [7], which are scaled at all

    @classmethod
    def of(cls, described: dict[str, Any], dataset: str) -> Unnormaliser:
        """From a config.json's norm_stats. Raises UserError naming those there are."""
        known = described.get("norm_stats", {})
        if dataset not in known:
            raise UserError(f"this checkpoint knows no actions of {dataset!r}; it knows {', '.join(sorted(known))}")
        action = known[dataset]["action"]
        return cls(np.array(action["q01"]), np.array(action["q99"]), np.array(action["mask"], bool))

    def __call__(self, actions: np.ndarray) -> np.ndarray:
        """Actions [..., 7]; the gripper, 1 for open there, becomes -1 for open, closed at less than half."""
        scaled = (actions + 1) / 2 * (self.high - self.low + 1e-8) + self.low
        out = np.where(self.mask, scaled, actions)
        out[..., 6] = np.where(out[..., 6] > 0.5, -1.0, 1.0)
        return np.clip(out, -1.0, 1.0).astype(np.float32)
