"""A small vision-language-action policy: a picture and an instruction in, a chunk of discrete actions out.

In: observation {"frame": uint8 [N, H, W, 3]} and N instructions. Out: logits [N, K, 7, bins], action chunks, and
log-probabilities float32 [N, K, 7]. Paper section 1: a chunked policy with parallel decoding (OpenVLA-OFT's head: all
K x 7 tokens from one bidirectional pass). The encoder is SigLIP's from transformers; only sizes differ from its users.
"""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    SiglipVisionConfig,
)
from transformers import initialization as init
from transformers.models.siglip.modeling_siglip import SiglipEncoder

from wovr_lab.borders import as_frames, as_texts
from wovr_lab.contracts import Observation
from wovr_lab.errors import UserError
from wovr_lab.fields import Range, Size, check_fields
from wovr_lab.hub import REVISION, Pushable
from wovr_lab.pixels import to_float
from wovr_lab.policy.exploration import IndependentNoise, Noise, choose_tokens, log_prob_of
from wovr_lab.policy.language import Instructions, load_tokenizer
from wovr_lab.policy.tokens import ActionTokens
from wovr_lab.seeding import seed_of
from wovr_lab.shipped import folder_of
from wovr_lab.types import ACTION_DIM, CHUNK, ActionChunk

SIZES = (
    "resolution", "view", "pixels_per_token", "vocab_size", "max_words", "chunk", "bins", "stem_width", "hidden_size",
    "num_hidden_layers", "num_attention_heads",
)  # fmt: skip


class VLAConfig(PreTrainedConfig):
    """Sizes of a `VLAPolicy`. Raises UserError if they do not fit together."""

    model_type = "wovr_vla"
    resolution: Annotated[int, Range(8, 4096)] = 32
    view: str = "whole"  # what it is shown of the camera's picture, where the world has several views
    pixels_per_token: Size = 8  # 32 x 32 pictures become 16 image tokens, and 64 x 64 ones with 16 here
    vocab_size: Size = 32
    max_words: Size = 24
    chunk: Size = CHUNK
    bins: Annotated[int, Range(2, 2**16)] = 21
    stem_width: Size = 32
    hidden_size: Size = 128
    num_hidden_layers: Size = 4
    num_attention_heads: Size = 4

    def __post_init__(self, **kwargs) -> None:  # the library's signature
        super().__post_init__(**kwargs)
        check_fields(self, SIZES)
        patch = self.pixels_per_token
        if patch < 8 or patch & (patch - 1) or self.resolution % patch or self.hidden_size % self.num_attention_heads:
            raise UserError(
                f"a policy cannot have resolution {self.resolution}, {patch} pixels a token, width {self.hidden_size} "
                f"and {self.num_attention_heads} heads: pixels_per_token is a power of two >= 8 that divides the "
                "resolution, and the heads divide the width"
            )


class ConvolutionalStem(nn.Module):
    """Pictures [N, 3, H, W] to image tokens [N, tokens, width]: halve, widen, then halve until a token is a patch."""

    def __init__(self, config: VLAConfig):
        super().__init__()
        width = config.stem_width
        halvings = int(math.log2(config.pixels_per_token)) - 1
        channels = [2 * width] * halvings + [4 * width]
        blocks = [_convolution(3, width, 2, 2), _convolution(width, 2 * width, 3, 1)]
        blocks += [_convolution(before, after, 3, 2) for before, after in pairwise(channels)]
        self.blocks = nn.Sequential(*blocks)
        self.out = nn.Conv2d(4 * width, config.hidden_size, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.out(self.blocks(pictures)).flatten(2).transpose(1, 2)


def _convolution(before: int, after: int, size: int, stride: int) -> nn.Sequential:
    padding = size // 2 if size % 2 else 0
    return nn.Sequential(nn.Conv2d(before, after, size, stride, padding), nn.GroupNorm(8, after), nn.SiLU())


class VLAPolicy(Pushable, PreTrainedModel):
    """A `TrainablePolicy` that saves and loads with its tokenizer. No dropout: training and acting agree."""

    config_class = VLAConfig
    main_input_name = "pictures"
    _supports_sdpa = True

    def __init__(self, config: VLAConfig, tokenizer: PreTrainedTokenizerFast):
        super().__init__(config)
        width = config.hidden_size
        self.instructions = Instructions(tokenizer, config.max_words)
        self.action_tokens = ActionTokens(config.bins)
        self.stem = ConvolutionalStem(config)
        self.image_positions = nn.Parameter(torch.empty(1, (config.resolution // config.pixels_per_token) ** 2, width))
        self.word_embedding = nn.Embedding(config.vocab_size, width)
        self.word_positions = nn.Parameter(torch.empty(1, config.max_words, width))
        self.queries = nn.Parameter(torch.empty(1, config.chunk, width))
        self.encoder = SiglipEncoder(_encoder_config(config))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, ACTION_DIM * config.bins)
        self.register_buffer("bin_centres", self.action_tokens.centres)  # persistent: others come back as garbage
        self.post_init()

    @classmethod
    def create(cls, config: VLAConfig, tokenizer: PreTrainedTokenizerFast, run_seed: int) -> VLAPolicy:
        """A new policy whose weights depend on `run_seed` alone. Raises UserError if the vocabulary does not fit."""
        if len(tokenizer) > config.vocab_size:
            raise UserError(f"the tokenizer has {len(tokenizer)} words, not {config.vocab_size}: raise vocab_size")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(run_seed, "policy"))
            return cls(config, tokenizer).eval()

    def _init_weights(self, module: nn.Module) -> None:
        """Weights uniform with variance 1 / (3 fan-in), positions small; called by the library."""
        if isinstance(module, nn.Linear | nn.Conv2d):
            bound = module.weight[0].numel() ** -0.5
            init.uniform_(module.weight, -bound, bound)
            init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm | nn.GroupNorm):
            init.ones_(module.weight)
            init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            init.normal_(module.weight, std=0.3)  # words must tell tasks apart from the first step
        elif module is self:
            for table in (self.image_positions, self.word_positions, self.queries):
                init.normal_(table, std=0.02)
            init.copy_(self.bin_centres, self.action_tokens.centres)

    def forward(self, pictures: Tensor, words: Tensor, word_mask: Tensor) -> Tensor:
        """Logits float32 [N, K, 7, bins] for pictures float [N, 3, H, W], words int64 and word_mask bool [N, L]."""
        image = self.stem(pictures) + self.image_positions
        text = self.word_embedding(words) + self.word_positions[:, : words.shape[1]]
        queries = self.queries.expand(len(image), -1, -1)
        visible = None
        if not word_mask.all():
            ahead, behind = word_mask.new_ones(image.shape[:2]), word_mask.new_ones(queries.shape[:2])
            visible = torch.cat([ahead, word_mask, behind], 1)[:, None, None]
        hidden = self.encoder(torch.cat([image, text, queries], 1), attention_mask=visible).last_hidden_state
        logits = self.head(self.norm(hidden[:, -self.config.chunk :]))
        return logits.unflatten(-1, (ACTION_DIM, self.config.bins)).float()

    def logits(self, observation: Observation, instructions: tuple[str, ...]) -> Tensor:
        """float32 [N, K, 7, bins]. Raises UserError on frames of another shape or dtype, or a too long instruction."""
        if not isinstance(observation, dict) or "frame" not in observation:
            raise UserError(f"a policy sees a dictionary with 'frame', not {type(observation).__name__}")
        given = observation["frame"]
        frames = given if isinstance(given, Tensor) else as_frames(given)
        instructions = as_texts(instructions, "instructions", len(frames))
        expected = (len(instructions), self.config.resolution, self.config.resolution, 3)
        if tuple(frames.shape) != expected:
            raise UserError(
                f"the policy was given frames of shape {tuple(frames.shape)}, it sees {expected}; "
                "render at its resolution or train one for yours"
            )
        words, word_mask = self.instructions.batch(instructions)
        return self(to_float(frames, self.device), words.to(self.device), word_mask.to(self.device))

    @torch.no_grad()
    def act(
        self,
        observation: Observation,
        instructions: tuple[str, ...],
        generator: torch.Generator,
        temperature: float,
        noise: Noise = IndependentNoise(),  # noqa: B008 (frozen)
    ) -> ActionChunk:
        """A chunk a row: the likeliest tokens at temperature 0 (no log-probabilities then), else a sample.

        Only `generator` decides the sample, and `noise` how its tokens go together. Raises UserError as `logits` does,
        or on a negative temperature.
        """
        tokens, log_probs = choose_tokens(self.logits(observation, instructions), generator, temperature, noise)
        actions = self.bin_centres[tokens].cpu().numpy()
        return ActionChunk(actions, tokens.cpu(), None if log_probs is None else log_probs.cpu())

    def log_prob(
        self, observation: Observation, instructions: tuple[str, ...], tokens: Tensor, temperature: float
    ) -> Tensor:
        """Log-probabilities float32 [N, K, 7] of `tokens` int64 [N, K, 7], differentiable; as `act` reported them.

        Raises UserError as `logits` does, or if the temperature is not positive.
        """
        return log_prob_of(self.logits(observation, instructions), tokens.to(self.device), temperature)

    def save_pretrained(self, folder: str | Path, **options: Any) -> None:
        """Writes weights, configuration and tokenizer into a folder; `checkpoints.save_policy` does it atomically.
        Options, such as `max_shard_size`, are the library's."""
        super().save_pretrained(folder, **options)
        self.instructions.tokenizer.save_pretrained(folder)

    @classmethod
    def from_pretrained(cls, name: str | Path, *, revision: str = REVISION, **options: Any) -> VLAPolicy:
        """The policy that `save_pretrained` wrote, in eval mode: of a folder, of what is shipped under that name, or of
        a repository OWNER/NAME of the hub. Options, such as `dtype`, are the library's."""
        folder = folder_of(name, revision)
        config = options.pop("config", None) or VLAConfig.from_pretrained(folder, local_files_only=True)
        tokenizer = load_tokenizer(folder, config.vocab_size)
        options |= {"config": config, "local_files_only": True, "use_safetensors": True}
        return super().from_pretrained(folder, tokenizer, **options)


def _encoder_config(config: VLAConfig) -> SiglipVisionConfig:
    encoder = SiglipVisionConfig(
        hidden_size=config.hidden_size,
        intermediate_size=4 * config.hidden_size,
        num_hidden_layers=config.num_hidden_layers,
        num_attention_heads=config.num_attention_heads,
    )
    encoder._attn_implementation = "sdpa"  # set by PreTrainedModel usually; this encoder stands alone
    return encoder


AutoConfig.register(VLAConfig.model_type, VLAConfig)
AutoModel.register(VLAConfig, VLAPolicy)
