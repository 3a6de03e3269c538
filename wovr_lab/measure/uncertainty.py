"""Uncertainty: does the simulator know when not to be believed? (beyond the paper)

In: a world model, and others that were trained differently where there are any. Out: imagined rollouts with how far
several answers to the same chunk lie apart, and how well that tells wrong outcomes from right ones (AUROC).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from wovr_lab.contracts import ChunkFrames
from wovr_lab.imagined.environment import ImaginedEnv
from wovr_lab.measure.intervals import bootstrapped
from wovr_lab.measure.paired import PairedRollouts
from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.seeding import torch_stream
from wovr_lab.types import CHUNK, Start
from wovr_lab.world.model import WorldModel
from wovr_lab.world.protocol import ImaginingModel, WorldContext

SAMPLES = 3  # further noises a chunk


class UncertaintyEnv(ImaginedEnv):
    """Imagines as `ImaginedEnv` does and notes how far other answers to each chunk lie apart in latent space: those to
    `samples` further noises, and those of `others`, world models with the same codec, to one and the same noise."""

    def __init__(
        self, world: ImaginingModel, reward: SuccessClassifier, num_envs: int, max_steps: int,
        hold_after_success: int = 0, keyframe_steps: int | None = None,
        samples: int = SAMPLES, others: Sequence[ImaginingModel] = (),
    ):  # fmt: skip
        super().__init__(world, reward, num_envs, max_steps, hold_after_success, keyframe_steps)
        self.samples, self.others = samples, tuple(others)
        self._noise = torch.Generator()
        self._noted: list[list[np.ndarray]] = []  # by group of rollouts, by chunk: float32 [num_envs, kinds]

    def reset_rows(self, rows: np.ndarray, starts: Sequence[Start], seed: int) -> dict[str, np.ndarray]:
        """Begins imagined rollouts and opens a new group of notes."""
        self._noise = torch_stream(seed, "doubt")
        self._noted.append([])
        return super().reset_rows(rows, starts, seed)

    def step_rows(self, rows: np.ndarray, actions: np.ndarray) -> ChunkFrames:
        """Imagines a chunk and notes how far further answers lie apart; they leave its own noise and context alone."""
        chunk = torch.as_tensor(actions, dtype=torch.float32, device=self.world.device)
        noted = np.zeros((self.num_envs, 1 + bool(self.others)), np.float32)
        noted[rows] = self._uncertainty(self.context.select(torch.as_tensor(rows)), chunk)
        self._noted[-1].append(noted)
        return super().step_rows(rows, actions)

    def _uncertainty(self, context: WorldContext, chunk: Tensor) -> np.ndarray:
        """float32 [n, kinds]"""
        noises = noises_for(self.world, len(chunk), self._noise, self.samples)
        kinds = [disagreement(self.world, context, chunk, noises)]
        if self.others:
            worlds = (self.world, *self.others)
            kinds.append(sample_std([world.answer(context, chunk, noises[0]) for world in worlds]))
        return np.stack(kinds, 1)

    def uncertainties(self, count: int) -> dict[str, np.ndarray]:
        """What was noted since the environment was made, of the first `count` rollouts: float32 [count, C] by kind.
        Only for rollouts of one length, which is what holding after success to the end gives."""
        noted = np.concatenate([np.stack(group, 1) for group in self._noted])[:count]
        return dict(zip(("noise", "models"), np.moveaxis(noted, 2, 0), strict=False))


def noises_for(world: ImaginingModel, rows: int, generator: torch.Generator, samples: int = SAMPLES) -> Tensor:
    """float32 [samples, rows, *noise_shape]: so many noises to answer one chunk from."""
    return torch.randn((samples, rows, *world.noise_shape), generator=generator).to(world.device)


def is_comparable(world: ImaginingModel, other: ImaginingModel) -> bool:
    """Whether answers of both are in the same space: in pixels, or in latents of the same codec."""
    if not (isinstance(world, WorldModel) and isinstance(other, WorldModel)):
        return type(world) is type(other)
    own, theirs = world.codec.state_dict(), other.codec.state_dict()
    return own.keys() == theirs.keys() and all(torch.equal(own[name], theirs[name]) for name in own)


def disagreement(world: ImaginingModel, context: WorldContext, chunk: Tensor, noises: Tensor) -> np.ndarray:
    """float32 [n]: how far the answers to these noises [S, n, ...] for actions [n, 8, 7] lie apart, in the model's own
    latents or pixels."""
    samples, rows = noises.shape[:2]
    every = torch.arange(rows, device=chunk.device).repeat(samples)
    answers = world.answer(context.select(every), chunk[every], noises.flatten(0, 1))
    return sample_std(answers.unflatten(0, (samples, rows)))


def sample_std(answers: Tensor | Sequence[Tensor]) -> np.ndarray:
    """Standard deviation over several answers [S, n, C, 2, h, w], averaged over all but the rows: float32 [n]."""
    return torch.stack(tuple(answers)).std(0).flatten(1).mean(1).cpu().numpy()


def auroc(positives: np.ndarray, negatives: np.ndarray) -> float:
    """P(score of a positive > score of a negative), ties counting half, from scores [p] and [n]."""
    ranks = rankdata(np.concatenate([positives, negatives]))[: len(positives)].sum()
    return float((ranks - len(positives) * (len(positives) + 1) / 2) / (len(positives) * len(negatives)))


def error_auroc(pairs: PairedRollouts, uncertainties: dict[str, np.ndarray], threshold: float) -> list[dict[str, Any]]:
    """AUROC of telling rollouts with a wrong outcome from the others, by score and by whom it is asked of; None where
    there are no wrong or no right ones. Scores: the mean uncertainty [N, C] up to the rollout's end, and how near the
    reward came to its threshold, which costs nothing."""
    outcomes, ends = pairs.outcomes, pairs.ends
    wrong = outcomes.imagined != outcomes.real
    until = np.arange(pairs.psnr.shape[1]) < ends[:, None]
    scores = {
        name: (uncertainty * until[:, ::CHUNK]).sum(1) / until[:, ::CHUNK].sum(1)
        for name, uncertainty in uncertainties.items()
    }
    scores["reward_margin"] = -np.abs((pairs.probability * until).max(1) - threshold)
    rows = []
    for asked, chosen in (("all", np.ones(len(pairs), bool)), ("imagined_successes", outcomes.imagined)):
        for name, score in scores.items():
            positives, negatives = score[chosen & wrong], score[chosen & ~wrong]
            known = len(positives) and len(negatives)
            area = asdict(bootstrapped(auroc, positives, negatives)) if known else None
            counts = {"n": int(chosen.sum()), "wrong": len(positives)}
            rows.append({"score": name, "rollouts": asked} | counts | {"auroc": area})
    return rows
