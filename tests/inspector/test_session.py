"""Paired stepping without a browser."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from wovr_lab.errors import UserError
from wovr_lab.inspector.keys import direction_chunk
from wovr_lab.inspector.session import Session, Step, load_session
from wovr_lab.real.expert import expert_episodes
from wovr_lab.real.tabletop import TabletopEnv
from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.types import HOLD

FORWARD, RIGHT = direction_chunk("w", -1.0), direction_chunk("d", -1.0)


def test_a_step_shows_what_the_tabletop_does_with_these_actions(session: Session):
    step = session.step(RIGHT)
    env = TabletopEnv("push_red", 32)
    env.reset(seed=20)
    frames = [env.step(action)[0]["frame"] for action in RIGHT]
    np.testing.assert_array_equal(step.real, frames)
    assert step.real.std() > 0 and (step.real[0] != step.real[-1]).any()


def test_a_step_has_both_worlds_frame_by_frame(session: Session):
    step = session.step(RIGHT)
    for frames in (step.imagined, step.real, step.difference):
        assert frames.shape == (8, 32, 32, 3) and frames.dtype == np.uint8
    np.testing.assert_array_equal(step.difference, abs(step.imagined.astype(int) - step.real.astype(int)))
    for probability in (step.probability_imagined, step.probability_real):
        assert probability.shape == (8,) and ((probability >= 0) & (probability <= 1)).all()
    error = (step.difference.astype(float) ** 2).mean()
    assert step.psnr == pytest.approx(10 * np.log10(255**2 / error))


def test_imagination_goes_on_from_imagined_frames_deeper_and_deeper(session: Session):
    steps = [session.step(FORWARD), session.step(FORWARD), session.step(RIGHT)]
    assert [step.depth for step in steps] == [8, 16, 24]
    assert (steps[0].imagined != steps[1].imagined).any()


def test_other_actions_are_imagined_otherwise(session: Session):
    forward = session.step(FORWARD).imagined
    session.rewind()
    assert (session.step(RIGHT).imagined != forward).any()


def test_undone_and_done_again_is_bit_equal_in_both_worlds(session: Session):
    session.step(FORWARD)
    first, second = session.step(RIGHT), session.step(FORWARD)
    session.rewind(2)
    assert len(session.steps) == 1
    for before, after in ((first, session.step(RIGHT)), (second, session.step(FORWARD))):
        np.testing.assert_array_equal(before.imagined, after.imagined)
        np.testing.assert_array_equal(before.real, after.real)
        assert before.depth == after.depth


def test_another_noise_is_another_imagination_of_the_same_reality(session: Session):
    first = session.step(RIGHT)
    session.start("push_red", 20, noise=1)
    second = session.step(RIGHT)
    assert (first.imagined != second.imagined).any()
    np.testing.assert_array_equal(first.real, second.real)


def test_real_success_latches_and_ends_nothing(session: Session):
    episode = next(iter(expert_episodes("push_red", [20], 0.0, hold=8)))
    assert episode.first_success >= 0
    steps = [session.step(episode.actions[k : k + 8]) for k in range(0, len(episode) - 7, 8)]
    steps.append(session.step(np.tile(HOLD, (8, 1))))
    successes = np.concatenate([step.success_real for step in steps])
    assert successes.argmax() == episode.first_success and successes[episode.first_success :].all()


@pytest.mark.parametrize(
    ("imagined", "real", "verdict"),
    [(0, 0, "agree"), (1, 1, "agree"), (1, 0, "imagined only"), (0, 1, "real only")],
)
def test_the_verdict_names_who_alone_believes_in_success(session: Session, imagined: int, real: int, verdict: str):
    step: Step = replace(
        session.step(RIGHT), success_imagined=np.full(8, bool(imagined)), success_real=np.full(8, bool(real))
    )
    assert step.verdict == verdict


def test_refused_actions_change_nothing(session: Session):
    session.step(RIGHT)
    for bad in (np.full((8, 7), np.nan), np.full((8, 7), 1.5), np.zeros((7, 7)), np.zeros(7)):
        with pytest.raises(UserError, match=r"NaN|range|shape"):
            session.step(bad)
    assert len(session.steps) == 1
    after = session.step(FORWARD)
    session.rewind()
    np.testing.assert_array_equal(after.imagined, session.step(FORWARD).imagined)


def test_the_end_of_an_episode_is_said_and_can_be_undone(run_folder: Path):
    session = load_session(run_folder)
    session.start("push_red", 20)
    for _ in range(6):
        session.step(RIGHT)
    with pytest.raises(UserError, match="over after 48"):
        session.step(RIGHT)
    session.rewind()
    assert session.step(RIGHT).depth == 48


def test_what_cannot_be_done_is_refused_with_advice(run_folder: Path):
    session = load_session(run_folder)
    for too_early in (lambda: session.step(RIGHT), session.rewind, lambda: session.gripper):
        with pytest.raises(UserError, match="start with a task"):
            too_early()
    with pytest.raises(UserError, match="push_red"):
        session.start("push_rad", 0)
    with pytest.raises(UserError, match="negative"):
        session.start("push_red", -1)
    session.start("push_red", 0)
    with pytest.raises(UserError, match="0 chunks to undo"):
        session.rewind()


def test_a_refused_start_leaves_the_running_episode_alone(session: Session):
    session.step(RIGHT)
    expected = session.step(FORWARD)
    session.rewind()
    with pytest.raises(UserError):
        session.start("push_rad", 0)
    with pytest.raises(UserError):
        session.start("push_red", -1)
    session.reward = SuccessClassifier(["push the red cube into the zone"], 32, 8)
    with pytest.raises(UserError, match="train one on that task"):
        session.start("push_blue", 0)
    np.testing.assert_array_equal(session.step(FORWARD).real, expected.real)


def test_two_sessions_do_not_disturb_each_other(run_folder: Path, session: Session):
    alone = session.step(FORWARD)
    session.rewind()
    other = load_session(run_folder)
    other.start("green_on_plate", 3)
    other.step(RIGHT)
    np.testing.assert_array_equal(session.step(FORWARD).imagined, alone.imagined)


def test_a_folder_without_a_world_model_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match=r"checkpoints/world does not exist; finish a run"):
        load_session(tmp_path)


def test_evolved_models_are_not_replaced_by_the_first_ones_in_silence(run_folder: Path):
    with pytest.raises(UserError, match="world_evolved does not exist"):
        load_session(run_folder, evolved=True)
