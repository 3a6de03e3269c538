"""The loss of masked GRPO (paper section 3), to be minimised over the policy pi:

    L = -1/N sum_i 1/T_i sum_{t <= T_i} mean_k min(r_itk A_i, clip(r_itk, 1 - low, 1 + high) A_i) + beta KL(pi || ref)

with r_itk = pi(token) / pi_old(token) of each of the 7 numbers k of action t of trajectory i, and T_i (T_valid) the
actions up to and including its first success. In: a `PolicyBatch`. Out: L and what it did, per action token.

Deviations: the ratio is of tokens, not of whole actions (`formulas`); low 0.2, high 0.28 and the dual clip are the
public implementation's; beta is 0, the paper's, unless a run asks for a penalty.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from wovr_lab.contracts import TrainablePolicy
from wovr_lab.fields import Positive, configuration
from wovr_lab.grpo.batch import PolicyBatch
from wovr_lab.grpo.formulas import DualClip, NoDualClip, approx_kl, clip_fraction, clipped_objective
from wovr_lab.policy.vla import VLAPolicy


class Penalty(Protocol):
    """What holds the policy back, to be added to the loss."""

    def __call__(self, batch: PolicyBatch, log_probs: Tensor, weights: Tensor, temperature: float) -> Tensor:
        """A penalty float32 [] from the policy's log-probabilities float32 [M, K, 7] and weights [M, K]."""
        ...


@dataclass(frozen=True)
class NoPenalty:
    """Nothing does (the paper's choice)."""

    def __call__(self, batch: PolicyBatch, log_probs: Tensor, weights: Tensor, temperature: float) -> Tensor:
        return log_probs.new_zeros(())


@configuration
class KLPenalty:
    """kl_coef * KL(policy || reference) a token: the mean of rho - 1 - log rho, rho = reference / policy."""

    reference: TrainablePolicy
    kl_coef: Positive  # 0 is NoPenalty()

    def __call__(self, batch: PolicyBatch, log_probs: Tensor, weights: Tensor, temperature: float) -> Tensor:
        observation = {"frame": batch.frames}
        with torch.no_grad():
            reference = self.reference.log_prob(observation, batch.instructions, batch.tokens, temperature)
        return self.kl_coef * approx_kl(reference - log_probs, weights)


def penalty_to(policy: VLAPolicy, kl_coef: float) -> Penalty:
    """What holds a policy to what it is now; nothing where the coefficient is 0."""
    return KLPenalty(deepcopy(policy).requires_grad_(False).eval(), kl_coef) if kl_coef else NoPenalty()


class GRPOLoss(nn.Module):
    """Minus the clipped objective of its policy, plus the penalty."""

    def __init__(
        self,
        policy: TrainablePolicy,
        temperature: float,
        clip_low: float,
        clip_high: float,
        dual_clip: DualClip | NoDualClip,
        penalty: Penalty,
    ):
        super().__init__()
        self.policy, self.temperature = policy, temperature
        self.clip_low, self.clip_high, self.dual_clip, self.penalty = clip_low, clip_high, dual_clip, penalty

    def forward(self, batch: PolicyBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """L float32 [] and `clip_fraction`, `approx_kl` (from the policy that sampled) and `penalty`."""
        log_probs = self.policy.log_prob({"frame": batch.frames}, batch.instructions, batch.tokens, self.temperature)
        device = log_probs.device
        log_ratio, weights = log_probs - batch.old_log_probs.to(device), batch.weights.to(device)
        objective = clipped_objective(
            log_ratio, batch.advantages.to(device), weights, self.clip_low, self.clip_high, self.dual_clip
        )
        penalty = self.penalty(batch, log_probs, weights, self.temperature)
        with torch.no_grad():
            clipped = clip_fraction(log_ratio, weights, self.clip_low, self.clip_high)
            moved = approx_kl(log_ratio, weights)
        return penalty - objective, {"clip_fraction": clipped, "approx_kl": moved, "penalty": penalty.detach()}
