"""A world model kept up with the policy that learns in it (not in the paper, which refines it once, by PACE).

In: real rollouts of the current policy, paid for by whoever looks at it anyway. Out: the same world model after it has
learnt from them. A policy that is optimised in a fixed simulator drifts to where that has seen least and is wrong in
its favour: within eight updates what it imagines tells little about which of its rollouts would succeed (LOG.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wovr_lab.runs import Metrics, Snapshots
from wovr_lab.seeding import seed_of
from wovr_lab.types import Episode
from wovr_lab.world.learning import learn_world
from wovr_lab.world.model import WorldModel
from wovr_lab.world.pixel_model import PixelWorldModel
from wovr_lab.world.pixel_training import PixelTrainingConfig
from wovr_lab.world.training import WorldTrainingConfig
from wovr_lab.world.windows import FrameTable

NEWEST = 0.5  # share of the windows that begin in the newest rollouts


class WorldRefresh:
    """Trains `world` in place on what was known before and on the newest rollouts; with a folder resumable: what it
    learnt at each number of updates is kept there, and `restore` goes back to it.

    `known` are episodes with their weights; a rollout gets `weight` once it is no longer the newest.
    """

    def __init__(
        self,
        world: WorldModel | PixelWorldModel,
        known: Sequence[tuple[Episode, float]],
        weight: float,
        training: WorldTrainingConfig | PixelTrainingConfig,
        run_seed: int,
        name: str = "refresh",
        folder: Path | None = None,
        metrics: Metrics | None = None,
    ):
        self.world, self.known, self.weight, self.training = world, list(known), weight, training
        self.run_seed, self.name, self.metrics = run_seed, name, metrics
        self.snapshots = Snapshots(world, folder, "world")

    def update(self, updates: int, newest: Sequence[Episode]) -> None:
        """Learns from the rollouts of the policy after so many updates; they are known from then on."""
        name = f"{self.name}/{updates}"
        table = with_newest(self.known, newest)
        learn_world(self.world, table, self.training, seed_of(self.run_seed, name), metrics=self.metrics, name=name)
        self._remember(newest)
        self.snapshots.save(updates)

    def restore(self, updates: int, newest: Sequence[Episode]) -> bool:
        """Takes back what was learnt at so many updates from these rollouts; False if that was never done."""
        is_known = self.snapshots.restore(updates)
        if is_known:
            self._remember(newest)
        return is_known

    def _remember(self, episodes: Sequence[Episode]) -> None:
        self.known += [(episode, self.weight) for episode in episodes]


def with_newest(known: Sequence[tuple[Episode, float]], newest: Sequence[Episode]) -> FrameTable:
    """Known episodes by their weights, and the newest such that they have their share of all windows together."""
    total = sum(weight * len(episode) for episode, weight in known)
    actions = sum(len(episode) for episode in newest)
    weight = NEWEST / (1 - NEWEST) * total / actions if total else 1.0
    episodes = [*(episode for episode, _ in known), *newest]
    return FrameTable.of(episodes, [*(weight for _, weight in known), *[weight] * len(newest)])
