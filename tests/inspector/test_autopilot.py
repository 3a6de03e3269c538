"""Others act in the same session."""

from __future__ import annotations

import numpy as np
import pytest

from wovr_lab.errors import UserError
from wovr_lab.inspector.autopilot import EXPERT, RECORDING, pilots, propose
from wovr_lab.inspector.models import EPISODE
from wovr_lab.inspector.session import Session
from wovr_lab.real.tabletop.expert import expert_episodes


def test_the_expert_does_in_chunks_what_it_does_alone(session: Session):
    episode = next(iter(expert_episodes("push_red", [20], 0.0)))
    for first in range(0, 16, 8):
        actions = propose(session, EXPERT)
        np.testing.assert_allclose(actions, episode.actions[first : first + 8], atol=1e-6)
        session.step(actions)


def test_a_recording_is_repeated_from_where_one_stands_to_its_end(session: Session):
    place = next(place for place in session.models.start_options() if place.kind == EPISODE)
    session.start_recorded(place.origin)
    episode = session.recording
    while session.state.real.step < len(episode):
        session.step(propose(session, RECORDING))
    np.testing.assert_array_equal(session.branch.actions[: len(episode)], episode.actions)
    np.testing.assert_array_equal(session.branch.real[: len(episode) + 1], episode.frames)
    assert (session.branch.actions[len(episode) :, :6] == 0).all()
    with pytest.raises(UserError, match="ends here"):
        propose(session, RECORDING)


def test_a_policy_acts_on_the_frame_that_it_is_shown(session: Session):
    assert pilots(session) == ["base policy", EXPERT]
    same = propose(session, "base policy")
    assert same.shape == (8, 7) and abs(same).max() <= 1
    np.testing.assert_array_equal(same, propose(session, "base policy", "real"))  # nothing imagined yet
    session.step(same)
    imagined = session.models.policy("base policy").act(
        {"frame": session.state.imagined.memory[-1:]}, (session.state.real.instruction,), None, 0.0
    )
    np.testing.assert_array_equal(propose(session, "base policy"), imagined.actions[0])


def test_pilots_that_are_not_there_are_refused(session: Session):
    for pilot, message in (
        ("improved policy", "holds no"),
        ("nobody", "no pilot"),
        (RECORDING, "nothing was recorded"),
    ):
        with pytest.raises(UserError, match=message):
            propose(session, pilot)


def test_the_best_of_several_chunks_is_the_one_whose_imagination_the_reward_likes_most(session: Session):
    likeliest = propose(session, "base policy")
    best = propose(session, "base policy", candidates=16)
    np.testing.assert_array_equal(best, propose(session, "base policy", candidates=16))
    believed = [session.preview(actions).probability_imagined.max() for actions in (likeliest, best)]
    assert believed[1] > believed[0]  # and so another chunk than the likeliest
    liked = session.simulator.imagined_success(session.state, np.stack([likeliest, best]), session.switches, 0)
    np.testing.assert_array_equal(liked, np.array(believed, np.float32))  # as the step then imagines it


def test_a_choice_among_chunks_that_cannot_be_is_refused(session: Session):
    for pilot, candidates, message in (
        ("base policy", 0, "1 to 16"),
        ("base policy", 99, "1 to 16"),
        (EXPERT, 4, "one chunk"),
    ):
        with pytest.raises(UserError, match=message):
            propose(session, pilot, candidates=candidates)
