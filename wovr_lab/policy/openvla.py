"""OpenVLA-OFT, the paper's policy: 7.5 B parameters, discrete action tokens, one bidirectional pass a chunk.

In: observation {"frame": uint8 [N, H, W, 3]} and N instructions. Out: action chunks and log-probabilities, as from
`VLAPolicy`. DINOv2 and SigLIP see the picture, an MLP brings their patches to Llama 2, whose last 256 words are the
values of an action. All K x 7 of them are decoded at once from empty places (OpenVLA-OFT, Kim et al. 2025). Built from
transformers' models, since the published code needs timm and forks of 2024; nothing here has met the real weights.
"""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import (
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    SiglipVisionConfig,
    SiglipVisionModel,
)

from wovr_lab.contracts import Observation
from wovr_lab.errors import UserError
from wovr_lab.fields import Range, Size, check, configuration
from wovr_lab.pixels import to_float
from wovr_lab.policy.exploration import IndependentNoise, Noise, choose_tokens, log_prob_of
from wovr_lab.types import ACTION_DIM, CHUNK, ActionChunk

TOKENS = CHUNK * ACTION_DIM
BINS = 256  # words at the end of Llama's 32,000; the 64 after them only fill the table up
PADDING_WORDS = 64
EMPTY, PLACE, STOP = 29871, 1, 2  # word ids: "" after the colon, what stands in an action's place, the end
PROMPT = "In: What action should the robot take to {}?\nOut:"
CROP = 0.9  # of the picture's area is seen, as in the published evaluation
SIDE, PATCH, REGISTERS = 224, 14, 4
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@configuration
class Tower:
    """Sizes of a vision transformer."""

    width: Size
    layers: Size
    heads: Size
    inner: Size  # of its MLPs


@configuration
class OpenVLAConfig:
    """The published sizes; tests build smaller ones. Raises UserError if Llama's do not say how many words it has."""

    dino: Tower = Tower(1024, 24, 16, 4096)
    siglip: Tower = Tower(1152, 27, 16, 4304)
    side: Size = SIDE
    language: dict[str, Any] = field(default_factory=lambda: {"vocab_size": 32064, "pad_token_id": 32000})

    def __post_init__(self) -> None:
        check(
            "language: vocab_size", self.language.get("vocab_size"), Annotated[int, Range(PADDING_WORDS + BINS, 2**24)]
        )

    @property
    def first_action_word(self) -> int:
        """Id of the word that means the largest value; values fall with ids."""
        return self.language["vocab_size"] - PADDING_WORDS - BINS


def values(tokens: Tensor) -> Tensor:
    """Middles of 255 equal parts of [-1, 1], float32; the last token shares its value with the one before it."""
    edges = torch.linspace(-1, 1, BINS, device=tokens.device)
    return ((edges[1:] + edges[:-1]) / 2)[tokens.clamp(max=BINS - 2)]


def seen(pictures: Tensor, side: int) -> Tensor:
    """The middle of pictures [N, 3, H, W], `CROP` of their area, at `side` pixels."""
    scale = CROP**0.5
    crop = torch.tensor([[scale, 0.0, 0.0], [0.0, scale, 0.0]], device=pictures.device)
    grid = F.affine_grid(crop.expand(len(pictures), 2, 3), [len(pictures), 3, side, side], align_corners=True)
    return F.grid_sample(pictures, grid, align_corners=True)


class Projector(nn.Module):
    """Patches of both towers [N, P, dino + siglip] to Llama's width."""

    def __init__(self, vision: int, language: int):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(vision, 4 * vision), nn.Linear(4 * vision, language)
        self.fc3 = nn.Linear(language, language)

    def forward(self, patches: Tensor) -> Tensor:
        return self.fc3(F.gelu(self.fc2(F.gelu(self.fc1(patches)))))


class OpenVLAPolicy(nn.Module):
    """A `TrainablePolicy`; tokens are 0 (the smallest value) to 255 (the largest)."""

    def __init__(self, config: OpenVLAConfig, tokenizer: PreTrainedTokenizerFast | None = None):
        super().__init__()
        self.config, self.tokenizer = config, tokenizer
        dino, siglip = config.dino, config.siglip
        self.dino = Dinov2WithRegistersModel(
            Dinov2WithRegistersConfig(
                hidden_size=dino.width, num_hidden_layers=dino.layers, num_attention_heads=dino.heads,
                mlp_ratio=dino.inner // dino.width, image_size=config.side, patch_size=PATCH,
                num_register_tokens=REGISTERS,
            )
        )  # fmt: skip
        self.siglip = SiglipVisionModel(
            SiglipVisionConfig(
                hidden_size=siglip.width, num_hidden_layers=siglip.layers, num_attention_heads=siglip.heads,
                intermediate_size=siglip.inner, image_size=config.side, patch_size=PATCH, hidden_act="gelu",
                vision_use_head=False,
            )
        )  # fmt: skip
        self.language = LlamaForCausalLM(LlamaConfig.from_dict(config.language, attn_implementation="sdpa"))
        self.projector = Projector(dino.width + siglip.width, self.language.config.hidden_size)

    @property
    def device(self) -> torch.device:
        return self.projector.fc1.weight.device

    def patches(self, frames: np.ndarray | Tensor) -> Tensor:
        """uint8 [N, H, W, 3] -> Llama's embeddings of the picture [N, P, width]; both towers' last but one layer."""
        pictures = seen(to_float(frames, self.device), self.config.side)
        dtype = self.projector.fc1.weight.dtype
        mean, std = (torch.tensor(values, device=self.device).view(3, 1, 1) for values in IMAGENET)
        colours = (((pictures + 1) / 2 - mean) / std).to(dtype)
        dino = self.dino(colours, output_hidden_states=True).hidden_states[-2][:, 1 + REGISTERS :]
        siglip = self.siglip(pictures.to(dtype), output_hidden_states=True).hidden_states[-2]
        return self.projector(torch.cat([dino, siglip], 2))

    def forward(self, frames: np.ndarray | Tensor, words: Tensor, word_mask: Tensor) -> Tensor:
        """Logits float32 [N, K, 7, 256] for words int64 [N, L], padded on the right where word_mask bool is False."""
        count, longest = words.shape
        embed = self.language.get_input_embeddings()
        patches, text = self.patches(frames), embed(words)
        places = text.new_zeros(count, TOKENS, text.shape[2])
        stop = embed(words.new_full((count, 1), STOP))
        sequence = torch.cat([text[:, :1], patches, text[:, 1:], places, stop], 1)
        before, after = (word_mask.new_ones(count, size) for size in (1 + patches.shape[1], TOKENS + 1))
        visible = torch.cat([before, word_mask[:, 1:], after], 1)
        hidden = self.language.model(
            inputs_embeds=sequence,
            attention_mask=visible[:, None, None].expand(-1, 1, sequence.shape[1], -1),  # nothing is causal
            position_ids=visible.long().cumsum(1) - 1,
        ).last_hidden_state
        last_word = patches.shape[1] + word_mask.sum(1, keepdim=True) - 1
        first_place = patches.shape[1] + longest
        following = first_place + torch.arange(TOKENS - 1, device=words.device).expand(count, -1)
        index = torch.cat([last_word, following], 1)  # each value is read where the place before it stands
        chosen = hidden.gather(1, index[..., None].expand(-1, -1, hidden.shape[2]))
        first = self.config.first_action_word
        logits = self.language.lm_head(chosen)[..., first : first + BINS].flip(-1)
        return logits.unflatten(1, (CHUNK, ACTION_DIM)).float()

    def words(self, instructions: tuple[str, ...]) -> tuple[Tensor, Tensor]:
        """Ids int64 [N, L] of the prompts, padded on the right, and bool [N, L], True at words."""
        if self.tokenizer is None:
            raise UserError("this policy has no tokenizer; load it from a whole checkpoint folder")
        rows = [self.tokenizer(PROMPT.format(text.lower()))["input_ids"] for text in instructions]
        rows = [row if row[-1] == EMPTY else [*row, EMPTY] for row in rows]
        width = max(map(len, rows))
        words = torch.tensor([row + [STOP] * (width - len(row)) for row in rows], device=self.device)
        lengths = torch.tensor([len(row) for row in rows], device=self.device)
        return words, torch.arange(width, device=self.device) < lengths[:, None]

    def logits(self, observation: Observation, instructions: tuple[str, ...]) -> Tensor:
        """float32 [N, K, 7, 256]."""
        return self(observation["frame"], *self.words(instructions))

    @torch.no_grad()
    def act(
        self,
        observation: Observation,
        instructions: tuple[str, ...],
        generator: torch.Generator,
        temperature: float,
        noise: Noise = IndependentNoise(),  # noqa: B008 (frozen)
    ) -> ActionChunk:
        """Actions and tokens of one chunk a row, see `VLAPolicy.act`; actions are normalised ones, see
        `openvla_checkpoint.Unnormaliser`."""
        tokens, log_probs = choose_tokens(self.logits(observation, instructions), generator, temperature, noise)
        return ActionChunk(values(tokens).cpu().numpy(), tokens.cpu(), None if log_probs is None else log_probs.cpu())

    def log_prob(
        self, observation: Observation, instructions: tuple[str, ...], tokens: Tensor, temperature: float
    ) -> Tensor:
        """Log-probabilities float32 [N, K, 7] of `tokens` int64 [N, K, 7], differentiable."""
        return log_prob_of(self.logits(observation, instructions), tokens.to(self.device), temperature)
