"""Muon: torch's own steps, in float32, many matrices at once."""

import pytest
import torch

from wovr_lab.muon import Muon, orthogonal


def test_newton_schulz_gives_the_polar_factor_of_wide_and_tall_matrices():
    for shape in ((3, 6), (6, 3)):
        matrices = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
        for matrix, found in zip(matrices, orthogonal(matrices), strict=True):
            left, _, right = torch.linalg.svd(matrix, full_matrices=False)
            singular = torch.linalg.svdvals(left.T @ found @ right.T)
            assert ((singular > 0.65) & (singular < 1.25)).all()


def test_it_steps_as_torchs_muon_does_up_to_its_rounding():
    start = torch.randn(3, 16, 24, generator=torch.Generator().manual_seed(1))
    ours, theirs = ([torch.nn.Parameter(matrix.clone()) for matrix in start] for _ in range(2))
    optimizers = (Muon(ours, 0.02, 0.1), torch.optim.Muon(theirs, 0.02, 0.1, adjust_lr_fn="match_rms_adamw"))
    for seed in range(4):
        gradients = torch.randn(3, 16, 24, generator=torch.Generator().manual_seed(seed))
        for weights, optimizer in zip((ours, theirs), optimizers, strict=True):
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.grad = gradient.clone()
            optimizer.step()
    for one, two, before in zip(ours, theirs, start, strict=True):
        assert (one - two).norm() < 0.05 * (two - before).norm()


def test_a_matrix_moves_as_it_would_alone():
    gradients = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(2))
    together = [torch.nn.Parameter(torch.zeros(5, 7)) for _ in range(2)]
    alone = torch.nn.Parameter(torch.zeros(5, 7))
    for weight, gradient in [*zip(together, gradients, strict=True), (alone, gradients[1])]:
        weight.grad = gradient.clone()
    Muon(together, 0.1, 0.0).step()
    Muon([alone], 0.1, 0.0).step()
    torch.testing.assert_close(together[1], alone)


def test_what_is_no_matrix_is_refused():
    with pytest.raises(ValueError, match="matrices"):
        Muon([torch.nn.Parameter(torch.zeros(3))], 0.1, 0.0)
