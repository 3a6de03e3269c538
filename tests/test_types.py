"""Episodes and rollouts: what can be read off them, by hand."""

import numpy as np
import pytest

from wovr_lab.types import NOOP, Rollouts, Start


def start(step: int = 0, seed: int = 5) -> Start:
    frame = np.zeros((4, 4, 3), np.uint8)
    return Start("push_red", "push", frame, np.stack([frame] * 4), np.stack([NOOP] * 4), step, seed)


@pytest.fixture
def rollouts() -> Rollouts:
    """Two rows of two chunks of two actions: the first ends with success in its second action, the other goes on."""
    video = np.arange(2 * 5 * 48, dtype=np.uint32).astype(np.uint8).reshape(2, 5, 4, 4, 3)
    return Rollouts(
        starts=(start(seed=1), start(seed=2)),
        frames=video[:, ::2][:, :2],
        actions=np.arange(2 * 2 * 2 * 7, dtype=np.float32).reshape(2, 2, 2, 7),
        executed=np.array([[True, False], [True, True]]),
        success=np.array([[False, True, True, True], [False, False, False, False]]),
        video=video,
        states=np.arange(2 * 5 * 3, dtype=float).reshape(2, 5, 3),
    )


def test_the_first_success_of_an_episode_is_its_index_or_minus_one(make_episode):
    assert make_episode(0, success_at=7).first_success == 7
    assert make_episode(0, success_at=0).first_success == 0
    assert make_episode(0).first_success == -1 and len(make_episode(0, length=9)) == 9


def test_a_start_at_step_0_is_initial_and_any_other_a_keyframe():
    assert start(0).kind == "initial" and start(1).kind == "keyframe"


def test_rollouts_count_success_and_executed_actions_by_row(rollouts):
    assert len(rollouts) == 2 and rollouts.instructions == ("push", "push")
    assert rollouts.succeeded.tolist() == [True, False]
    assert rollouts.first_success.tolist() == [1, -1]
    assert rollouts.steps.tolist() == [2, 4]


def test_rollouts_become_episodes_that_end_where_their_rows_ended(rollouts):
    short, whole = rollouts.episodes()
    assert (len(short), len(whole)) == (2, 4) and (short.seed, whole.seed) == (1, 2)
    assert (short.frames == rollouts.video[0, :3]).all() and (whole.frames == rollouts.video[1]).all()
    assert (short.states == rollouts.states[0, :3]).all() and short.success.tolist() == [False, True]
    assert (whole.actions == np.arange(28, 56).reshape(4, 7)).all()


def test_rollouts_without_video_cannot_become_episodes(rollouts):
    with pytest.raises(ValueError, match="video=True"):
        Rollouts(rollouts.starts, rollouts.frames, rollouts.actions, rollouts.executed, rollouts.success).episodes()
