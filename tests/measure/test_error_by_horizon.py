"""What is switched off in a world model's context changes what it imagines, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from wovr_lab.measure.error_by_horizon import NoisyMemory, error_by_horizon, horizons, with_context
from wovr_lab.real.chunk_env import start_of_seed
from wovr_lab.real.tabletop.env import TabletopEnv
from wovr_lab.world.context import Context, ContextBuilder
from wovr_lab.world.protocol import load_world_model

DATA = Path(__file__).parents[2] / "data"


def test_drift_is_the_mean_psnr_of_each_chunk():
    real = np.zeros((2, 17, 4, 4, 3), np.uint8)
    imagined = real.copy()
    imagined[0, 9:] = 255  # as wrong as can be: 0 dB
    imagined[1, 1] = 255
    found = error_by_horizon(real, imagined)
    assert found.shape == (2, 2)
    assert found[0].tolist() == pytest.approx([99, 0]) and found[1].tolist() == pytest.approx([99 * 7 / 8, 99])
    assert horizons(found).tolist() == [8, 16]


def test_the_memory_is_disturbed_before_every_chunk_but_the_first_and_the_anchor_never():
    latent, chunk = torch.ones(3, 2, 4, 4), torch.zeros(3, 8, 7)
    context = Context(latent, latent, chunk[:, :4])
    future, frames = torch.ones(3, 2, 2, 4, 4), np.zeros((3, 8, 8, 8, 3), np.uint8)
    clean = ContextBuilder().advance(None, context, future, chunk, frames)
    once = NoisyMemory(noise=0.5).advance(None, context, future, chunk, frames)
    again = NoisyMemory(noise=0.5).advance(None, context, future, chunk, frames)
    assert torch.equal(once.anchor, clean.anchor) and torch.equal(once.memory, again.memory)
    assert (once.memory - 0.5 * clean.memory).std().item() == pytest.approx(0.5, rel=0.2)
    silent = NoisyMemory(noise=0.0).advance(None, context, future, chunk, frames)
    assert torch.equal(silent.memory, clean.memory)


@pytest.mark.parametrize("kind", ["backbone", "pixel_backbone"])
def test_whatever_is_changed_in_the_context_changes_the_second_chunk_of_either_kind_of_world_model(kind):
    world = load_world_model(DATA / kind)
    starts = [start_of_seed(TabletopEnv(resolution=32), "push_red", 1)]
    chunk = np.tile(np.float32([0.3, 0, -0.3, 0, 0, 0, -1]), (1, 8, 1))

    def two_chunks(context: ContextBuilder) -> np.ndarray:
        changed = with_context(world, context)
        generators = [torch.Generator().manual_seed(0)]
        following = changed.imagine(changed.initial_context(starts), chunk, generators).context
        return changed.imagine(following, chunk, generators).frames

    usual = two_chunks(ContextBuilder())
    assert np.array_equal(two_chunks(NoisyMemory(noise=0.0)), usual)
    for changed in (ContextBuilder(anchor=False), ContextBuilder(memory=1), NoisyMemory(noise=0.5)):
        assert not np.array_equal(two_chunks(changed), usual), changed
