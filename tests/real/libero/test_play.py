"""Play in LIBERO: it repeats itself exactly, labels nothing, and half of it moves like a policy that draws tokens."""

from __future__ import annotations

import numpy as np
import pytest

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

    soup.reset_to(None, 1, None)
    attempts = [np.array(list(_attempt(Expert(soup.simulator), np.random.default_rng(seed)))) for seed in range(60)]
    is_rounded = np.array([np.allclose(actions * 10, np.round(actions * 10), atol=1e-5) for actions in attempts])
    turned = np.array([(np.diff(actions[:, 6]) != 0).sum() for actions in attempts])
    twitching = np.array([actions[:, 3:6].std(0).max() > 1e-6 for actions in attempts])
    assert 15 < is_rounded.sum() < 45
    # nobody moves here, so that the expert itself repeats one action
    assert turned[is_rounded].max() > 4 and turned[~is_rounded].max() == 0
    assert twitching[is_rounded].all() and not twitching[~is_rounded].any()
