"""The learnt simulator kept up with the policy that is improved in it (not in the paper, whose simulator is fixed
during RL and refined once).

In: the same actions of the current policy in both worlds, paid for by whoever looks at them anyway. Out: world model
and reward, trained in place: the one on what really happened, the other on real and on imagined pictures of it. A
policy that is optimised against a fixed simulator finds where that is wrong in its favour within eight updates
(LOG.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from wovr_lab.reward.refresh import RewardRefresh
from wovr_lab.types import Episode
from wovr_lab.world.refresh import WorldRefresh


@dataclass(frozen=True)
class Executed:
    """Rollouts that were seen in both worlds."""

    real: Sequence[Episode]
    imagined: Sequence[Episode] = field(default_factory=tuple)  # imagined pictures, labelled with what really happened


@dataclass(frozen=True)
class SimulatorRefresh:
    """Either part may stay as it was trained; with neither this is the paper's fixed simulator."""

    world: WorldRefresh | None = None
    reward: RewardRefresh | None = None

    @property
    def learns(self) -> bool:
        """Whether anything does."""
        return self.world is not None or self.reward is not None

    def update(self, updates: int, executed: Executed) -> None:
        """Both parts learn from what the policy did after so many updates."""
        if self.world:
            self.world.update(updates, executed.real)
        if self.reward:
            self.reward.update(updates, executed.real, executed.imagined)

    def restore(self, updates: int, executed: Executed) -> None:
        """Both parts take back what they learnt then, where they had."""
        if self.world:
            self.world.restore(updates, executed.real)
        if self.reward:
            self.reward.restore(updates, executed.real, executed.imagined)
