"""The scripted experts: two tasks of two suites, with and without noise, and goals that are not theirs."""

from __future__ import annotations

import numpy as np
import pytest

from wovr_lab.errors import UserError

pytestmark = pytest.mark.libero


def test_it_puts_the_soup_into_the_basket_and_the_bowl_on_the_plate(soup, bowl):
    from wovr_lab.real.libero.expert import expert_succeeds

    for env in (soup, bowl):
        success, steps = expert_succeeds(env, env.task, seed=1)
        assert success and steps < env.max_steps


def test_demonstrations_act_noisily_teach_cleanly_and_hold_after_success(soup):
    from wovr_lab.real.libero.expert import expert_episode

    episode = expert_episode(soup, soup.task, 2, noise=0.2)
    assert episode.success.any() and len(episode) == episode.first_success + 1 + 4
    difference = np.abs(episode.actions - episode.expert_actions)
    assert difference[:, :3].mean() > 0.05 and difference[:, 3:].max() == 0
    again = expert_episode(soup, soup.task, 2, noise=0.2)
    assert np.array_equal(episode.actions, again.actions) and np.array_equal(episode.frames, again.frames)


def test_goals_that_are_not_to_pick_and_place_are_refused(soup):
    from wovr_lab.real.libero.expert import expert_succeeds
    from wovr_lab.real.libero.shapes import subgoal_of

    with pytest.raises(UserError, match="only picks and places"):
        subgoal_of(["turnon", "flat_stove_1"], {"bowl_1"})
    with pytest.raises(UserError, match="none of this environment's tasks"):
        expert_succeeds(soup, "libero_goal/turn_on_the_stove", 0)


def test_it_grasps_as_far_beside_as_it_is_wrong_about_its_hand(bowl):
    from wovr_lab.real.libero.expert import Expert

    def lowest(aim_offset: np.ndarray) -> np.ndarray:
        bowl.reset_to(None, 1, None)
        expert, hands = Expert(bowl.simulator), []
        expert.aim_offset = aim_offset
        for _ in range(40):
            bowl.apply_action(expert.act())
            hands.append(bowl.simulator.hand())
        return min(hands, key=lambda hand: hand[2])

    beside = np.array([0.0, 0.04, 0.0])
    moved = lowest(np.zeros(3)) - lowest(beside)
    assert np.abs(moved[:2] - beside[:2]).max() < 0.02
