"""A world model that learns from what the policy does, and goes on after a kill as if nothing had happened."""

import numpy as np
import pytest
import torch

from wovr_lab.training import FitConfig
from wovr_lab.world.refresh import NEWEST, WorldRefresh, with_newest
from wovr_lab.world.training import WorldTrainingConfig
from wovr_lab.world.windows import FrameTable

TRAINING = WorldTrainingConfig(FitConfig(3, 1e-3, 1), batch=4)


def refresh(world, episodes, folder=None) -> WorldRefresh:
    known = [(episode, 1.0) for episode in episodes[:2]]
    return WorldRefresh(world, known, weight=5.0, training=TRAINING, run_seed=0, folder=folder)


def test_the_newest_have_their_share_of_the_windows_however_few_they_are(make_episode):
    known = [(make_episode(0, 40, size=8), 1.0), (make_episode(1, 40, size=8), 3.0)]
    newest = [make_episode(2, 16, size=8)]
    plain = FrameTable.of([*(episode for episode, _ in known), *newest])
    factor = with_newest(known, newest).weight / plain.weight
    assert NEWEST == 0.5  # 40 actions at weight 1 and 40 at 3 are 160, so 16 weigh 10 each
    assert factor == pytest.approx(np.repeat([1, 3, 10], [41, 41, 17]))


def test_without_anything_known_the_newest_are_all_there_is(make_episode):
    assert np.isfinite(with_newest([], [make_episode(0, 16, size=8)]).weight).all()


def test_it_learns_in_place_and_remembers_what_it_learnt_from(make_world, episodes):
    world = make_world()
    before = world.transformer.proj_out.weight.clone()
    one = refresh(world, episodes)
    one.update(0, episodes[2:3])
    assert not torch.equal(world.transformer.proj_out.weight, before)
    assert [weight for _, weight in one.known] == [1.0, 1.0, 5.0]
    assert not world.training


def test_what_was_learnt_at_each_check_is_taken_back_after_a_kill(make_world, episodes, tmp_path):
    first, second = make_world(), make_world()
    one = refresh(first, episodes, tmp_path)
    one.update(0, episodes[2:3])
    one.update(4, episodes[3:])
    again = refresh(second, episodes, tmp_path)
    assert again.restore(0, episodes[2:3]) and again.restore(4, episodes[3:]) and not again.restore(8, [])
    for each in (one, again):
        each.update(8, episodes[:1])
    assert torch.equal(first.transformer.proj_out.weight, second.transformer.proj_out.weight)
