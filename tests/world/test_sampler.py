"""Rectified flow: the paper's times, exact Euler steps, what the network's answer means."""

from itertools import pairwise

import pytest
import torch

from wovr_lab.errors import UserError
from wovr_lab.world.sampler import FlowSampler, ResidualPrediction, VelocityPrediction, add_noise, shifted


def latents(seed: int) -> torch.Tensor:
    return torch.randn(3, 4, 2, 5, 5, generator=torch.Generator().manual_seed(seed))


def test_five_steps_visit_the_times_of_the_paper():
    assert FlowSampler(5).sigmas() == pytest.approx([1, 0.9524, 0.8824, 0.7692, 0.5556], abs=5e-5)
    assert FlowSampler(1).sigmas() == [1.0]
    assert FlowSampler(2).sigmas() == pytest.approx([1, 5 * 0.5 / (1 + 4 * 0.5)])
    assert FlowSampler(4, shift=1.0).sigmas() == pytest.approx([1, 0.75, 0.5, 0.25])


def test_without_a_step_there_is_one_clear_error():
    with pytest.raises(UserError, match="sampler steps is 0"):
        FlowSampler(0).sample(lambda noisy, sigma: noisy, latents(0))


def test_training_times_are_shifted_as_sampling_times_are():
    assert shifted(torch.tensor([0.0, 0.2, 0.5, 1.0])).tolist() == pytest.approx([0, 1 / 1.8, 2.5 / 3, 1])
    assert shifted(torch.linspace(1, 1 / 5, 5)).tolist() == pytest.approx(FlowSampler(5).sigmas())


def test_noise_is_mixed_in_by_hand():
    clean, noise = torch.tensor([[2.0, 4.0], [2.0, 4.0]]), torch.tensor([[-2.0, 0.0], [-2.0, 0.0]])
    mixed = add_noise(clean, noise, torch.tensor([0.25, 1.0]))
    assert mixed.tolist() == [[1.0, 3.0], [-2.0, 0.0]]


@pytest.mark.parametrize("steps", [1, 2, 5, 20])
def test_the_exact_velocity_leads_to_the_clean_latents_in_any_number_of_steps(steps):
    clean, noise = latents(0), latents(1)
    sampled = FlowSampler(steps).sample(lambda noisy, sigma: noise - clean, noise)
    torch.testing.assert_close(sampled, clean, atol=1e-5, rtol=1e-5)


def test_euler_steps_on_a_linear_field_by_hand():
    noise = latents(2)
    sampler = FlowSampler(3)
    times, factor = [*sampler.sigmas(), 0.0], 1.0
    for now, following in pairwise(times):
        factor *= 1 + 0.5 * (following - now)  # dx / ds = x / 2
    torch.testing.assert_close(sampler.sample(lambda noisy, sigma: 0.5 * noisy, noise), factor * noise)


def test_every_row_is_told_the_times_in_turn():
    told = []

    def velocity(noisy: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        told.append(sigma.tolist())
        return torch.zeros_like(noisy)

    sampler = FlowSampler(2)
    sampler.steps = 4  # chosen at call time
    assert torch.equal(sampler.sample(velocity, latents(3)), latents(3))
    assert told == [[pytest.approx(time)] * 3 for time in FlowSampler(4).sigmas()]


def test_both_predictions_mean_the_true_velocity_when_their_answer_is_right():
    clean, noise, memory = latents(4), latents(5), latents(6)[:, :, 0]
    sigma = torch.tensor([1.0, 0.5556, 0.06])
    noisy = add_noise(clean, noise, sigma)
    for prediction, right in (
        (VelocityPrediction(), noise - clean),
        (ResidualPrediction(), clean - memory[:, :, None]),
    ):
        velocity = prediction.velocity(right, noisy, memory, sigma)
        torch.testing.assert_close(velocity, noise - clean, atol=1e-4, rtol=1e-4)


def test_a_residual_of_zero_means_that_nothing_moves():
    memory, noise = latents(7)[:, :, 0], latents(8)
    for steps in (1, 5):
        sampled = FlowSampler(steps).sample(
            lambda noisy, sigma: ResidualPrediction().velocity(torch.zeros_like(noisy), noisy, memory, sigma), noise
        )
        torch.testing.assert_close(sampled, memory[:, :, None].expand_as(noise), atol=1e-5, rtol=1e-5)
