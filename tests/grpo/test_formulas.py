import math

import pytest
import torch

from wovr_lab.errors import UserError
from wovr_lab.grpo.formulas import (
    DualClip,
    MeanAndStd,
    MeanBaseline,
    NoDualClip,
    NoMask,
    SuccessMask,
    approx_kl,
    clip_fraction,
    clipped_objective,
    group_advantages,
    mixed_groups,
    success_mask,
    success_returns,
    trajectory_weights,
    valid_actions,
)


def whole(log_ratio: torch.Tensor) -> torch.Tensor:
    """A ratio for one action of one chunk, the same in its 7 numbers: [M, 1, 7] from [M]."""
    return log_ratio[:, None, None].expand(-1, 1, 7)


def test_a_return_is_earned_once_and_discounted_by_the_actions_before_success():
    first = torch.tensor([-1, 0, 3])
    assert success_returns(first, coefficient=5.0).tolist() == [0, 5, 5]
    assert success_returns(first, coefficient=8.0, gamma=0.5).tolist() == [0, 8, 1]


def test_the_papers_advantage_is_the_return_less_the_groups_mean():
    returns = torch.tensor([[1.0, 0, 0, 0], [1, 1, 1, 0]])
    expected = [[0.75, -0.25, -0.25, -0.25], [0.25, 0.25, 0.25, -0.75]]
    assert group_advantages(returns, MeanBaseline()).tolist() == expected


def test_the_implementations_advantage_is_also_divided_by_the_groups_deviation():
    advantages = group_advantages(torch.tensor([[1.0, 0, 0, 0]]), MeanAndStd())
    assert advantages[0].tolist() == pytest.approx([1.5, -0.5, -0.5, -0.5], abs=1e-5)  # deviation 0.5


def test_a_group_with_one_outcome_has_no_advantages_and_is_not_mixed():
    returns = torch.tensor([[1.0, 1], [0, 0], [1, 0]])
    for normaliser in (MeanBaseline(), MeanAndStd()):
        assert not group_advantages(returns, normaliser)[:2].any()
    assert mixed_groups(returns.bool()).tolist() == [False, False, True]


def test_the_mask_keeps_actions_up_to_and_including_the_first_success():
    mask = success_mask(torch.tensor([2, -1, 0]), chunks=2, chunk=2)
    assert mask.flatten(1).int().tolist() == [[1, 1, 1, 0], [1, 1, 1, 1], [1, 0, 0, 0]]
    assert valid_actions(mask).tolist() == [3, 4, 1]


def test_chunks_that_were_not_executed_never_count_and_without_the_mask_all_others_do():
    executed = torch.tensor([[True, True, True], [True, True, False]])
    first = torch.tensor([1, -1])
    assert SuccessMask()(first, executed, 2).flatten(1).int().tolist() == [[1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0]]
    assert NoMask()(first, executed, 2).flatten(1).int().tolist() == [[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]]


def test_each_trajectory_weighs_the_same_so_a_short_ones_actions_weigh_more():
    weights = trajectory_weights(success_mask(torch.tensor([0, -1]), chunks=1, chunk=4))
    assert weights.flatten(1).tolist() == [[0.5, 0, 0, 0], [0.125] * 4]


def test_the_objective_clips_what_would_be_gained_by_going_further():
    ratios = torch.tensor([1.5, 1.5, 0.5, 0.5]).log()
    advantages = torch.tensor([1.0, -1, 1, -1])
    each = [
        clipped_objective(whole(ratios[[i]]), advantages[[i]], torch.ones(1, 1), 0.2, 0.28, NoDualClip()).item()
        for i in range(4)
    ]
    # min(1.5, 1.28), min(-1.5, -1.28), min(.5, .8), min(-.5, -.8)
    assert each == pytest.approx([1.28, -1.5, 0.5, -0.8])


def test_the_dual_clip_bounds_the_penalty_of_a_large_ratio_and_nothing_else():
    ratios, advantages = torch.tensor([5.0, 2.0, 5.0]).log(), torch.tensor([-1.0, -1.0, 1.0])
    weights = torch.eye(3)
    plain = [clipped_objective(whole(ratios), advantages, weights[:, [i]], dual_clip=NoDualClip()) for i in range(3)]
    dual = [clipped_objective(whole(ratios), advantages, weights[:, [i]], dual_clip=DualClip(3.0)) for i in range(3)]
    assert [value.item() for value in plain] == pytest.approx([-5, -2, 1.28])
    assert [value.item() for value in dual] == pytest.approx([-3, -2, 1.28])
    with pytest.raises(UserError, match="above 1"):
        DualClip(1.0)


def test_the_ratio_is_formed_and_clipped_for_each_of_the_seven_tokens_of_an_action():
    log_ratio = torch.zeros(1, 1, 7)
    log_ratio[0, 0, 0] = math.log(2.0)
    objective = clipped_objective(log_ratio, torch.ones(1), torch.ones(1, 1), 0.2, 0.28, NoDualClip())
    assert objective.item() == pytest.approx((1.28 + 6) / 7)


def test_the_objective_of_two_trajectories_worked_by_hand():
    """One succeeds at its 2nd action of 4 (A = 0.5), one never (A = -0.5); ratios 1.1 and 0.9 throughout."""
    mask = success_mask(torch.tensor([1, -1]), chunks=2, chunk=2)
    weights = trajectory_weights(mask).flatten(0, 1)
    log_ratio = torch.tensor([1.1, 1.1, 0.9, 0.9]).log()[:, None, None].expand(-1, 2, 7)
    advantages = torch.tensor([0.5, 0.5, -0.5, -0.5])
    masked = clipped_objective(log_ratio, advantages, weights)
    assert masked.item() == pytest.approx((0.5 * 1.1 - 0.5 * 0.9) / 2)
    by_chunk = [clipped_objective(log_ratio[[i]], advantages[[i]], weights[[i]]) for i in range(4)]
    assert sum(by_chunk).item() == pytest.approx(masked.item())
    assert by_chunk[1] == 0  # the second chunk of the success comes after it


def test_without_the_mask_the_actions_after_success_take_half_of_its_weight():
    first, executed = torch.tensor([1, -1]), torch.ones(2, 2, dtype=torch.bool)
    log_ratio = torch.zeros(4, 2, 7)
    log_ratio[1] = math.log(1.2)  # only the chunk after success has moved
    advantages = torch.tensor([0.5, 0.5, -0.5, -0.5])
    with_mask = trajectory_weights(SuccessMask()(first, executed, 2)).flatten(0, 1)
    without = trajectory_weights(NoMask()(first, executed, 2)).flatten(0, 1)
    assert clipped_objective(log_ratio, advantages, with_mask).item() == pytest.approx(0.0)
    # (0.5 * (1 + 1.2) / 2 - 0.5) / 2
    assert clipped_objective(log_ratio, advantages, without).item() == pytest.approx(0.025)


def test_no_advantage_gives_no_gradient_and_a_ratio_beyond_the_clip_none_either():
    log_ratio = torch.tensor([0.1, 0.4]).requires_grad_()
    clipped_objective(whole(log_ratio), torch.tensor([0.0, 1.0]), torch.ones(2, 1)).backward()
    assert log_ratio.grad.tolist() == [0, 0]


def test_the_first_gradient_is_that_of_the_policy_gradient():
    log_ratio = torch.zeros(2).requires_grad_()
    clipped_objective(whole(log_ratio), torch.tensor([0.75, -0.25]), torch.full((2, 1), 0.5)).backward()
    assert log_ratio.grad.tolist() == pytest.approx([0.375, -0.125])


def test_clip_ratio_and_kl_are_means_over_the_weighed_tokens():
    log_ratio, weights = whole(torch.tensor([1.5, 1.0, 9.0]).log()), torch.tensor([[1.0], [3.0], [0.0]])
    assert clip_fraction(log_ratio, weights, 0.2, 0.28).item() == pytest.approx(0.25)
    assert approx_kl(log_ratio, weights).item() == pytest.approx((1.5 - 1 - math.log(1.5)) / 4)
