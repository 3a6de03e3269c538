"""Play in LIBERO: it repeats itself exactly, labels nothing, and half of it moves like a policy that draws tokens."""

from __future__ import annotations

import numpy as np
import pytest

from wovr_lab.real.single import TRAINING_SEEDS
from wovr_lab.seeding import seed_of

pytestmark = pytest.mark.libero


def test_an_episode_follows_from_its_number_and_labels_nothing(soup):
    from wovr_lab.real.libero.play import play_episode

    one, again, other = (play_episode(soup, number, 0, 12) for number in (3, 3, 4))
    assert one.frames.shape == (13, 64, 64, 3) and not one.success.any() and one.task == "play"
    assert np.array_equal(one.frames, again.frames) and np.array_equal(one.actions, again.actions)
    assert not np.array_equal(one.actions, other.actions)


def test_attempts_are_smooth_or_rounded_with_a_wrist_that_twitches_and_a_gripper_that_flickers(soup):
    from wovr_lab.real.libero.expert import Expert
    from wovr_lab.real.libero.play import _attempt

    soup.place(None, 1, None)
    attempts = [np.array(list(_attempt(Expert(soup.simulator), np.random.default_rng(seed)))) for seed in range(60)]
    is_rounded = np.array([np.allclose(actions * 10, np.round(actions * 10), atol=1e-5) for actions in attempts])
    turned = np.array([(np.diff(actions[:, 6]) != 0).sum() for actions in attempts])
    twitching = np.array([actions[:, 3:6].std(0).max() > 1e-6 for actions in attempts])
    assert 15 < is_rounded.sum() < 45
    # nobody moves here, so that the expert itself repeats one action
    assert turned[is_rounded].max() > 4 and turned[~is_rounded].max() == 0
    assert twitching[is_rounded].all() and 0.2 < twitching[~is_rounded].mean() < 0.6  # the rest keeps the wrist upright


def test_play_tilts_the_hand_as_policies_do_after_a_failure(soup):
    from wovr_lab.real.libero.play import play_episode

    upright = []
    for number in range(3):
        for state in play_episode(soup, number, 0, 80).states[::4]:
            soup.place(None, None, state)
            upright.append(-soup.simulator.hand_matrix()[2, 2])
    degrees = np.degrees(np.arccos(np.clip(upright, -1.0, 1.0)))
    assert np.quantile(degrees, 0.9) > 6 and np.median(degrees) < 15


def test_every_second_episode_begins_with_what_was_planned_for_another_initial_state(soup):
    from wovr_lab.real.libero.play import _plan, play_episode

    other = seed_of(0, "play plan", 1) % TRAINING_SEEDS
    plan = np.array(_plan(soup, soup.tasks[0], other, 60))
    blind, seeing = (play_episode(soup, number, 0, 60) for number in (1, 2))
    assert blind.seed != other

    def unlike(actions: np.ndarray) -> float:
        return float(np.abs(actions[:, :3] - plan[:, :3]).mean())

    assert unlike(blind.actions) < 0.15 < unlike(seeing.actions)
    assert (blind.actions[:, 6] == plan[:, 6]).mean() > 0.75  # the rest flickers
