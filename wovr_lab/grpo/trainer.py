"""Masked GRPO, strung together: draw starts, roll out groups, compute advantages, follow the loss (paper section 3).

In: a policy, any chunk environment, a source of starts. Out: the same policy, better at that environment. Nothing here
knows whether the environment is real (the online-GRPO baseline) or imagined (WoVR).

Deviations from the paper: groups are drawn again until enough of them have both outcomes (DAPO's dynamic sampling),
noise is shared over a chunk (`policy.exploration`), advantages may be divided by their deviation (the public
implementation's), the learning rate warms up and falls over a phase.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from wovr_lab.contracts import ChunkEnv
from wovr_lab.fields import Count, Natural, Positive, Range, Share, configuration
from wovr_lab.grpo.batch import PolicyBatch, concat, to_batch
from wovr_lab.grpo.formulas import (
    DualClip,
    Mask,
    MeanBaseline,
    NoDualClip,
    Normaliser,
    SuccessMask,
    group_advantages,
    mixed_groups,
    success_returns,
    trajectory_weights,
)
from wovr_lab.grpo.loss import GRPOLoss, NoPenalty, Penalty
from wovr_lab.policy.exploration import ChunkSharedNoise, ExploringActor, Noise
from wovr_lab.policy.vla import VLAPolicy
from wovr_lab.rollout import roll_out
from wovr_lab.runs import Metrics, load_into, load_tensors, save_tensors
from wovr_lab.seeding import stream
from wovr_lab.starts import Starts
from wovr_lab.training_state import flatten_parts, optimizer_tensors, restore_optimizer, saved_count, split_parts
from wovr_lab.types import Rollouts

OnIteration = Callable[[int, dict[str, float]], bool | None]


@configuration
class GRPOConfig:
    """Counts and rates measured at our scale; the paper's are G = 8, temperature 1.6, learning rate 2e-5 for 7B."""

    groups: Count = 24
    group_size: Annotated[int, Range(2)] = 8
    max_resamples: Count = 1  # of `groups` groups an iteration; drawn until as many have both outcomes (DAPO's filter)
    temperature: Positive = 0.8
    # of the rollouts that it learns from; evaluation draws every token by itself
    noise: Noise = field(default_factory=ChunkSharedNoise)
    learning_rate: Positive = 4e-4
    warmup_iterations: Natural = 5
    final_fraction: Share = 0.0  # of the learning rate, where a phase of known length would end
    epochs: Count = 2
    minibatch: Count = 128  # decisions (chunks)
    clip_low: Annotated[float, Range(0, 1, "()")] = 0.2
    clip_high: Positive = 0.28
    max_gradient_norm: Positive = 1.0
    reward_coefficient: Positive = 1.0
    gamma: Annotated[float, Range(0, 1, "(]")] = 1.0

    def rate(self, iteration: int, iterations: int | None = None) -> float:
        """Learning rate of an iteration: linear warm-up (the first Adam steps are the largest) times a linear fall over
        the phase, since late steps as large as early ones undo what those won; constant where no end is known."""
        done = min(iteration / iterations, 1.0) if iterations else 0.0
        fall = 1 - (1 - self.final_fraction) * done
        return self.learning_rate * min(1.0, (iteration + 1) / max(self.warmup_iterations, 1)) * fall


class GRPOTrainer:
    """Improves `policy` in place. With a folder it saves itself after each iteration and goes on from what it finds.

    `name` labels metrics and random streams, so that a second phase of a run draws other starts than the first.
    """

    def __init__(
        self,
        policy: VLAPolicy,
        env: ChunkEnv,
        starts: Starts,
        config: GRPOConfig,
        run_seed: int,
        name: str = "grpo",
        folder: Path | None = None,
        metrics: Metrics | None = None,
        normaliser: Normaliser = MeanBaseline(),  # noqa: B008 (frozen)
        mask: Mask = SuccessMask(),  # noqa: B008
        dual_clip: DualClip | NoDualClip = DualClip(),  # noqa: B008
        penalty: Penalty = NoPenalty(),  # noqa: B008
    ):
        self.policy, self.env, self.starts, self.config = policy, env, starts, config
        self.run_seed, self.name, self.metrics = run_seed, name, metrics
        self.normaliser, self.mask = normaliser, mask
        self.loss = GRPOLoss(policy, config.temperature, config.clip_low, config.clip_high, dual_clip, penalty)
        self.optimizer = torch.optim.AdamW(policy.parameters(), config.learning_rate, betas=(0.9, 0.95), weight_decay=0)
        self.iteration = 0
        self.iterations: int | None = None  # of the phase, once `train` has been told
        self.path = folder / f"{name}.training.safetensors" if folder else None
        if self.path and self.path.exists():
            self._restore(self.path)

    def train(self, iterations: int, on_iteration: OnIteration | None = None) -> None:
        """Goes on until `iterations` have been done in all, or until `on_iteration(iteration, metrics)` returns True.

        The callback runs before the iteration is saved: after a kill it may see one iteration twice, never none.
        """
        self.iterations = iterations
        progress = tqdm(total=iterations, initial=self.iteration, desc=self.name, mininterval=1.0, dynamic_ncols=True)
        while self.iteration < iterations:
            values = self.iterate()
            progress.update()
            progress.set_postfix(reward=f"{values['reward']:.2f}", refresh=False)
            if on_iteration is not None and on_iteration(self.iteration - 1, values):
                break
            if self.path:
                self._save(self.path)
        progress.close()

    def iterate(self) -> dict[str, float]:
        """One iteration. Returns what it logged; `reward` is the success rate of the rollouts."""
        rng = stream(self.run_seed, self.name, self.iteration)
        rollouts, batch, mixed = self.draw(rng)
        values = {
            "reward": float(np.mean([each.succeeded.mean() for each in rollouts])),
            "mixed_groups": float(mixed.float().mean()),
            "trajectories": float(sum(len(each) for each in rollouts)),
            "frames": float(sum(each.steps.sum() for each in rollouts)),
            "learning_rate": self.config.rate(self.iteration, self.iterations),
            **self.update(batch, rng),
        }
        if self.metrics:
            self.metrics.log(self.name, self.iteration, values)
        self.iteration += 1
        return values

    def draw(self, rng: np.random.Generator) -> tuple[list[Rollouts], PolicyBatch, Tensor]:
        """Groups until as many as wanted have both outcomes, or `max_resamples` is reached: their rollouts, what those
        teach, and bool [drawn groups], which groups that comes from."""
        rollouts: list[Rollouts] = []
        batches: list[PolicyBatch] = []
        mixed: list[Tensor] = []
        while len(rollouts) < self.config.max_resamples and sum(map(_count, mixed)) < self.config.groups:
            rollouts.append(self.roll_out(rng, len(rollouts)))
            advantages, weights, is_mixed = self.compute_advantages(rollouts[-1])
            batches.append(to_batch(rollouts[-1], advantages, weights))
            mixed.append(is_mixed)
        return rollouts, concat(batches, list(map(_count, mixed))), torch.cat(mixed)

    def roll_out(self, rng: np.random.Generator, resample: int = 0) -> Rollouts:
        """`group_size` trajectories from each of `groups` starts, one group after another; each `resample` of an
        iteration has its own noise."""
        drawn = self.starts.draw(self.config.groups, rng)
        repeated = [start for start in drawn for _ in range(self.config.group_size)]
        stream_name = f"{self.name}/{self.iteration}" + (f"/{resample}" if resample else "")
        actor = ExploringActor(self.policy, self.config.noise)
        return roll_out(self.env, actor, repeated, self.run_seed, stream_name, self.config.temperature)

    def compute_advantages(self, rollouts: Rollouts) -> tuple[Tensor, Tensor, Tensor]:
        """Advantages float32 [N], weights float32 [N, C, K] (zero outside the mask and in groups with one outcome), and
        bool [groups], which groups have both."""
        first_success = torch.from_numpy(rollouts.first_success)
        returns = success_returns(first_success, self.config.reward_coefficient, self.config.gamma)
        advantages = group_advantages(returns.unflatten(0, (-1, self.config.group_size)), self.normaliser).flatten()
        mixed = mixed_groups((first_success >= 0).unflatten(0, (-1, self.config.group_size)))
        kept = mixed.repeat_interleave(self.config.group_size)
        mask = self.mask(first_success, torch.from_numpy(rollouts.executed), rollouts.actions.shape[2])
        weights = torch.zeros(mask.shape)
        weights[kept] = trajectory_weights(mask[kept])
        return advantages, weights, mixed

    def update(self, batch: PolicyBatch, rng: np.random.Generator) -> dict[str, float]:
        """Epochs of minibatches; the means of what loss and optimizer report."""
        reported: list[dict[str, Tensor]] = []
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.rate(self.iteration, self.iterations)
        count = max(1, round(len(batch) / self.config.minibatch))
        for _ in range(self.config.epochs if len(batch) else 0):
            for rows in np.array_split(rng.permutation(len(batch)), count):
                self.optimizer.zero_grad()
                loss, values = self.loss(batch.select(rows, scale=count))
                loss.backward()
                norm = torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.config.max_gradient_norm)
                self.optimizer.step()
                reported.append({"loss": loss.detach(), "gradient_norm": norm, **values})
        names = ("loss", "clip_fraction", "approx_kl", "penalty", "gradient_norm")
        means = {name: float(sum(float(row[name]) for row in reported) / max(len(reported), 1)) for name in names}
        return means | {"entropy": _entropy(batch)}

    def _save(self, path: Path) -> None:
        parts = {"policy": self.policy.state_dict(), "optimizer": optimizer_tensors(self.optimizer)}
        save_tensors(path, flatten_parts(parts) | {"iteration": torch.tensor(self.iteration)})

    def _restore(self, path: Path) -> None:
        tensors = load_tensors(path)
        self.iteration = saved_count(tensors, "iteration", path)
        parts = {"policy": {}, "optimizer": {}} | split_parts(tensors, path)
        load_into(self.policy, parts["policy"], path)
        restore_optimizer(self.optimizer, parts["optimizer"], path)


def _count(mixed: Tensor) -> int:
    return int(mixed.sum())


def _entropy(batch: PolicyBatch) -> float:
    """Entropy a token in nats of the policy that sampled, estimated by its tokens' surprise."""
    if not len(batch):
        return 0.0
    return float(-(batch.old_log_probs.mean(-1) * batch.weights).sum() / batch.weights.sum())
