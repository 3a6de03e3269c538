"""Supervised fine-tuning: a policy learns the demonstrated chunk at every frame of a few demonstrations.

In: a policy and episodes. Out: the same policy, trained. The base policy of paper section 4 (one-trajectory SFT
there, a few demonstrations here). Labels are the expert's clean actions where an episode has them (DART: noise was
injected into the executed ones). The loss is the cross-entropy of `ActionTokens.targets`, with rotation weighed down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from wovr_lab.errors import UserError
from wovr_lab.fields import Count, Natural, NonNegative, configuration
from wovr_lab.pixels import to_float
from wovr_lab.policy.tokens import GRIPPER, ROTATION, TRANSLATION
from wovr_lab.policy.vla import VLAPolicy
from wovr_lab.runs import Metrics
from wovr_lab.seeding import torch_stream
from wovr_lab.training import FitConfig, fit
from wovr_lab.types import NOOP, Episode

Batch = dict[str, Tensor]


@configuration
class ImitationConfig:
    """How long and how gently to imitate; augmentation strengths."""

    fit: FitConfig = field(default_factory=lambda: FitConfig(steps=600, learning_rate=1e-3, weight_decay=0.05))
    batch: Count = 64
    shift: Natural = 2  # pixels, at most, in either direction
    contrast: NonNegative = 0.1  # standard deviation of the factor
    brightness: NonNegative = 0.05  # standard deviation of what is added to each colour, pictures spanning 2
    rotation_weight: NonNegative = 0.1


@dataclass(frozen=True)
class Demonstrations:
    """Every frame with the chunk that the expert began there."""

    frames: np.ndarray  # uint8 [n, H, W, 3]
    chunks: np.ndarray  # float32 [n, K, 7]
    instructions: tuple[str, ...]  # n

    def __len__(self) -> int:
        return len(self.frames)


def demonstrated_chunks(actions: np.ndarray, chunk: int) -> np.ndarray:
    """The next `chunk` actions from each of float32 [T, 7], [T, K, 7]; past the end stand still, gripper as it was."""
    rest = np.tile(NOOP, (chunk, 1))
    rest[:, GRIPPER] = actions[-1, GRIPPER]
    padded = np.concatenate([actions, rest])
    return np.stack([padded[first : first + chunk] for first in range(len(actions))])


def demonstrations(episodes: Sequence[Episode], chunk: int) -> Demonstrations:
    """All frames but the last of all episodes. Raises UserError if there are none."""
    if not episodes:
        raise UserError("there is nothing to imitate: collect demonstrations first")
    labels = [episode.actions if episode.expert_actions is None else episode.expert_actions for episode in episodes]
    return Demonstrations(
        frames=np.concatenate([episode.frames[: len(episode)] for episode in episodes]),
        chunks=np.concatenate([demonstrated_chunks(actions, chunk) for actions in labels]),
        instructions=tuple(episode.instruction for episode in episodes for _ in range(len(episode))),
    )


def augment(pictures: Tensor, config: ImitationConfig, generator: torch.Generator) -> Tensor:
    """Pictures float [N, 3, H, W], each shifted with its border repeated, and changed in contrast and brightness."""
    count, _, height, width = pictures.shape
    shift = torch.randint(-config.shift, config.shift + 1, (2, count, 1), generator=generator)
    rows = (torch.arange(height) + shift[0]).clamp(0, height - 1)
    columns = (torch.arange(width) + shift[1]).clamp(0, width - 1)
    shifted = pictures[torch.arange(count)[:, None, None], :, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)
    contrast = 1 + config.contrast * torch.randn(count, 1, 1, 1, generator=generator)
    return shifted * contrast + config.brightness * torch.randn(count, 3, 1, 1, generator=generator)


class ImitationLoss(nn.Module):
    """The learner: a batch of pictures, words and demonstrated chunks to the loss of `policy`."""

    def __init__(self, policy: VLAPolicy, rotation_weight: float = ImitationConfig.rotation_weight):
        super().__init__()
        self.policy = policy
        self.rotation_weight = rotation_weight

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy over x, y, z and gripper, plus the weighed one over rotation; means over rows and actions."""
        logits = self.policy(batch["pictures"], batch["words"], batch["word_mask"])
        tokens = self.policy.action_tokens
        entropy = -(tokens.targets(batch["chunks"]) * logits.log_softmax(-1)).sum(-1)
        decisive = torch.cat([entropy[..., TRANSLATION], entropy[..., GRIPPER]], -1).mean()
        rotation = entropy[..., ROTATION].mean()
        right = logits.argmax(-1) == tokens.encode(batch["chunks"])
        metrics = {"rotation_loss": rotation, "gripper_accuracy": right[..., GRIPPER].float().mean()}
        metrics["translation_accuracy"] = right[..., TRANSLATION].float().mean()
        return decisive + self.rotation_weight * rotation, metrics


class _Batches:
    """The batch of a step depends on (run seed, step) alone."""

    def __init__(self, policy: VLAPolicy, data: Demonstrations, config: ImitationConfig, run_seed: int):
        self.data, self.config, self.run_seed = data, config, run_seed
        self.chunks = torch.from_numpy(data.chunks)
        self.words, self.word_mask = policy.instructions.batch(data.instructions)

    def __call__(self, step: int) -> Batch:
        generator = torch_stream(self.run_seed, "sft", step)
        rows = torch.randint(len(self.data), (self.config.batch,), generator=generator)
        pictures = augment(to_float(self.data.frames[rows.numpy()]), self.config, generator)
        return {
            "pictures": pictures,
            "words": self.words[rows],
            "word_mask": self.word_mask[rows],
            "chunks": self.chunks[rows],
        }


def imitate(
    policy: VLAPolicy,
    episodes: Sequence[Episode],
    config: ImitationConfig,
    run_seed: int,
    folder: Path | None = None,
    metrics: Metrics | None = None,
    name: str = "sft",
) -> VLAPolicy:
    """Trains `policy` in place on the episodes and returns it in eval mode; goes on after a kill if given a folder.

    Raises UserError without episodes, or if their pictures are not of the policy's resolution.
    """
    data = demonstrations(episodes, policy.config.chunk)
    if data.frames.shape[1] != policy.config.resolution:
        raise UserError(
            f"the demonstrations have {data.frames.shape[1]} pixel pictures, the policy sees "
            f"{policy.config.resolution}: collect them again at its resolution"
        )
    batches = _Batches(policy, data, config, run_seed)
    fit(ImitationLoss(policy, config.rotation_weight), batches, config.fit, name, folder, metrics)
    return policy.eval()
