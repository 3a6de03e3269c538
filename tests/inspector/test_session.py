"""Paired stepping without a browser."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from wovr_lab.errors import UserError
from wovr_lab.inspector.keys import direction_chunk
from wovr_lab.inspector.models import EPISODE, HALLUCINATION, KEYFRAME, RunModels, find_run
from wovr_lab.inspector.readout import readout
from wovr_lab.inspector.session import MOST_BRANCHES, Session
from wovr_lab.inspector.timeline import FALSE, MISSED, OPEN, SAME, Origin, Step, outcome
from wovr_lab.inspector.worlds import last_refined
from wovr_lab.measure.tabletop.probes import read_states
from wovr_lab.real.tabletop.env import TabletopEnv
from wovr_lab.real.tabletop.expert import expert_episodes
from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.shipped import shipped
from wovr_lab.types import NOOP

FORWARD, RIGHT = direction_chunk("w", -1.0), direction_chunk("d", -1.0)
RECORDED = "comparison/base-imagined_only-imagined.hdf5"


def assert_same(first: Step, second: Step) -> None:
    for name in ("imagined", "real", "states", "probability_imagined", "success_imagined", "success_real"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert first.after.horizon == second.after.horizon


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
    assert [step.after.horizon for step in steps] == [8, 16, 24]
    assert (steps[0].imagined != steps[1].imagined).any()
    assert len(session.branch.imagined) == len(session.branch.real) == 25


def test_other_actions_are_imagined_otherwise(session: Session):
    forward = session.step(FORWARD).imagined
    session.undo()
    assert (session.step(RIGHT).imagined != forward).any()


def test_undone_and_done_again_is_bit_equal_in_both_worlds(session: Session):
    session.step(FORWARD)
    first, second = session.step(RIGHT), session.step(FORWARD)
    session.undo(2)
    assert len(session.steps) == 1
    assert_same(first, session.step(RIGHT))
    assert_same(second, session.step(FORWARD))


def test_undo_is_a_pointer_redo_brings_everything_back_and_acting_in_between_forks(session: Session):
    steps = [session.step(FORWARD), session.step(RIGHT), session.step(FORWARD)]
    session.undo(2)
    assert session.position == 1 and session.branch.steps == tuple(steps)
    session.redo()
    assert session.steps == tuple(steps[:2])
    with pytest.raises(UserError, match="1 steps to redo"):
        session.redo(2)
    other = session.step(RIGHT)
    assert session.branch.steps == (*steps[:2], other) and session.branches["main"].steps == tuple(steps)
    with pytest.raises(UserError, match="0 steps to redo"):
        session.redo()


def test_a_step_after_a_rewind_forks_and_keeps_what_was_there(session: Session):
    steps = [session.step(FORWARD), session.step(RIGHT), session.step(FORWARD)]
    session.rewind(1)
    assert session.steps == (steps[0],) and len(session.branch.steps) == 3
    other = session.step(FORWARD)
    assert session.name == "branch 2" and session.branch.steps == (steps[0], other)
    session.select("main")
    assert session.branch.steps == tuple(steps)
    session.rewind(1)
    assert_same(session.step(RIGHT), steps[1])  # the same again, on a third branch


def test_branches_are_forked_named_and_deleted(session: Session):
    session.step(FORWARD)
    session.fork("left")
    session.step(RIGHT)
    assert [len(branch.steps) for branch in session.branches.values()] == [1, 2]
    session.rename("right")
    assert list(session.branches) == ["main", "right"]
    with pytest.raises(UserError, match="taken"):
        session.fork("main")
    with pytest.raises(UserError, match="no branch 'left'"):
        session.select("left")
    session.delete("right")
    assert session.name == "main" and session.position == 1
    with pytest.raises(UserError, match="only branch"):
        session.delete("main")
    for _ in range(MOST_BRANCHES - 1):
        session.fork()
    with pytest.raises(UserError, match="delete one first"):
        session.fork()


def test_another_noise_is_another_imagination_of_the_same_reality(session: Session):
    first = session.step(RIGHT)
    session.start("push_red", 20)
    session.switch(noise=1)
    second = session.step(RIGHT)
    assert (first.imagined != second.imagined).any()
    np.testing.assert_array_equal(first.real, second.real)


@pytest.mark.parametrize(
    "change", [{"anchor": False}, {"memory": 1}, {"sampler_steps": 5}, {"noise": 9}, {"checkpoint": "evolved"}]
)
def test_a_switch_changes_the_next_chunk_and_is_recorded(session: Session, change: dict):
    before = session.step(RIGHT)
    plain = session.step(FORWARD)
    session.undo()
    session.switch(**change)
    switched = session.step(FORWARD)
    assert (switched.imagined != plain.imagined).any()
    np.testing.assert_array_equal(switched.real, plain.real)
    name, value = next(iter(change.items()))
    assert getattr(switched.switches, name) == value != getattr(before.switches, name)


def test_the_threshold_decides_what_is_believed_from_here_on(session: Session):
    probability = session.step(RIGHT).probability_imagined
    session.undo()
    session.switch(threshold=float(probability.min()) / 2)
    assert session.step(RIGHT).success_imagined[-1]
    session.undo()
    session.switch(threshold=1 - (1 - float(probability.max())) / 2)
    assert not session.step(RIGHT).success_imagined.any()


def test_another_checkpoint_brings_its_own_threshold(session: Session):
    assert session.switch(checkpoint="evolved").threshold == 0.25
    assert session.switch(checkpoint="base", threshold=0.9).threshold == 0.9


@pytest.mark.parametrize(
    "change", [{"memory": 2}, {"sampler_steps": 0}, {"noise": -1}, {"threshold": 1.0}, {"checkpoint": "../base"}]
)
def test_impossible_switches_are_refused_and_change_nothing(session: Session, change: dict):
    before = session.switches
    with pytest.raises(UserError, match=r"not possible|no checkpoint"):
        session.switch(**change)
    assert session.switches == before


def test_reanchoring_goes_on_from_the_real_frames(session: Session):
    session.step(FORWARD)
    session.step(RIGHT)
    drifted = session.step(FORWARD)
    session.undo()
    anchored = session.reanchor()
    assert anchored.kind == "re-anchor" and anchored.after.horizon == 0
    np.testing.assert_array_equal(anchored.after.imagined.memory, anchored.after.real.memory)
    again = session.step(FORWARD)
    assert again.after.horizon == 8 and (again.imagined != drifted.imagined).any()
    np.testing.assert_array_equal(again.real, drifted.real)


def test_a_single_action_is_the_first_frame_of_a_chunk_padded_with_holding(session: Session):
    padded = session.step(np.concatenate([RIGHT[:1], np.tile(NOOP, (7, 1))]))
    session.undo()
    single = session.step(RIGHT[:1])
    assert single.kind == "action" and single.after.horizon == 1
    np.testing.assert_array_equal(single.imagined, padded.imagined[:1])
    np.testing.assert_array_equal(single.real, padded.real[:1])
    assert session.step(RIGHT[:1]).after.horizon == 2


def test_a_preview_happens_only_when_it_is_committed(session: Session):
    seen = session.preview(RIGHT)
    assert not session.steps
    session.undo()
    with pytest.raises(UserError, match="nothing is previewed"):
        session.commit()
    session.preview(RIGHT)
    assert_same(session.commit(), seen)
    assert len(session.steps) == 1 and session.pending is None


def test_four_futures_differ_in_imagination_alone_and_one_can_be_taken(session: Session):
    session.step(FORWARD)
    step = session.step(RIGHT)
    futures = session.futures()
    assert len({future.imagined.tobytes() for future in futures}) == 4 and futures[0] is step
    assert all((future.real == step.real).all() for future in futures)
    session.take(futures[2])
    assert session.switches.noise == 2 and session.branch.steps[-1] is futures[2]
    assert session.branches["main"].steps[-1] is step


def test_real_success_latches_and_ends_nothing(session: Session):
    episode = next(iter(expert_episodes("push_red", [20], 0.0, hold_after_success=8)))
    assert episode.first_success >= 0
    steps = [session.step(episode.actions[k : k + 8]) for k in range(0, len(episode) - 7, 8)]
    steps.append(session.step(np.tile(NOOP, (8, 1))))
    successes = np.concatenate([step.success_real for step in steps])
    assert successes.argmax() == episode.first_success and successes[episode.first_success :].all()


@pytest.mark.parametrize(("imagined", "real", "expected"), [(0, 0, OPEN), (1, 1, SAME), (1, 0, FALSE), (0, 1, MISSED)])
def test_the_outcome_names_who_alone_sees_a_success(session: Session, imagined: int, real: int, expected: str):
    assert outcome(bool(imagined), bool(real)) == expected
    step = session.step(RIGHT)
    believing = replace(step, success_imagined=np.full(8, bool(imagined)), success_real=np.full(8, bool(real)))
    assert session.branch.cut(0).then(believing).outcomes == [expected] * 8


def test_starting_elsewhere_keeps_what_was_done_and_drops_what_nobody_touched(session: Session):
    step = session.step(RIGHT)
    session.start("push_blue", 3)
    session.start("push_blue", 4)
    assert [branch.origin.seed for branch in session.branches.values()] == [20, 4]
    session.select("main")
    assert session.steps == (step,)


def test_a_deleted_branch_comes_back(session: Session):
    step = session.step(RIGHT)
    session.fork("other")
    session.delete("main")
    assert session.restore() == "main"
    assert session.branches["main"].steps == (step,)
    with pytest.raises(UserError, match="no branch was deleted"):
        session.restore()


def test_refused_actions_change_nothing(session: Session):
    session.step(RIGHT)
    for bad in (np.full((8, 7), np.nan), np.full((8, 7), 1.5), np.zeros((7, 7)), np.zeros(7)):
        with pytest.raises(UserError, match=r"NaN|range|shape"):
            session.step(bad)
    assert len(session.steps) == 1
    after = session.step(FORWARD)
    session.undo()
    assert_same(after, session.step(FORWARD))


def test_what_cannot_be_done_is_refused_with_advice(models: RunModels):
    session = Session(models)
    for too_early in (lambda: session.step(RIGHT), session.undo, session.reanchor, lambda: session.state):
        with pytest.raises(UserError, match="start with a task"):
            too_early()
    with pytest.raises(UserError, match="push_red"):
        session.start("push_rad", 0)
    with pytest.raises(UserError, match="negative"):
        session.start("push_red", -1)
    session.start("push_red", 0)
    with pytest.raises(UserError, match="0 steps to undo"):
        session.undo()
    with pytest.raises(UserError, match="no imagined step"):
        session.futures()
    with pytest.raises(UserError, match="no moment 1"):
        session.rewind(1)


def test_a_refused_start_leaves_the_running_episode_alone(run_folder: Path):
    session = Session(RunModels(run_folder))
    session.start("push_red", 20)
    session.step(RIGHT)
    expected = session.step(FORWARD)
    session.undo()
    session.models._rewards["base"] = SuccessClassifier(["push the red cube into the zone"], 32, 8)
    for task, seed in (("push_rad", 0), ("push_red", -1), ("push_blue", 0)):
        with pytest.raises(UserError):
            session.start(task, seed)
    np.testing.assert_array_equal(session.step(FORWARD).real, expected.real)


def test_two_sessions_do_not_disturb_each_other(models: RunModels, session: Session):
    alone = session.step(FORWARD)
    session.undo()
    other = Session(models)
    other.start("green_on_plate", 3)
    other.switch(anchor=False, memory=1, sampler_steps=3)
    other.step(RIGHT)
    assert_same(session.step(FORWARD), alone)


def test_one_can_begin_at_keyframes_episodes_and_recorded_hallucinations(session: Session):
    places = session.models.start_options()
    assert [place.kind for place in places] == [HALLUCINATION, HALLUCINATION, KEYFRAME, EPISODE, EPISODE]
    mined, recorded, keyframe = (place.origin for place in places[:3])
    session.start_recorded(keyframe)
    episode = session.recording
    np.testing.assert_array_equal(session.state.real.memory[-1], episode.frames[9])
    step = session.step(episode.actions[9:17])
    np.testing.assert_array_equal(step.real, episode.frames[10:18])
    session.start_recorded(recorded)  # imagined: reality begins at its seed
    np.testing.assert_array_equal(session.state.real.memory[-1], episode.frames[0])
    with pytest.raises(UserError, match="no simulator state"):
        session.start_recorded(replace(recorded, step=3))
    session.start_recorded(mined)
    np.testing.assert_array_equal(session.recording.actions, episode.actions)


def test_of_mined_hallucinations_those_from_initial_states_are_offered_with_their_world(session: Session):
    (mined,) = [place for place in session.models.start_options() if place.origin.source.startswith("measure/")]
    assert mined.label.startswith("push the red cube")
    assert "imagined success, really failure (base policy in the evolved world, seed 20)" in mined.label
    assert (mined.checkpoint, mined.origin.index) == ("evolved", 1)


def test_the_probe_tells_where_things_are_in_both_worlds(session: Session):
    imagined, real = session.simulator.positions(session.state)
    np.testing.assert_allclose(imagined, real, atol=0.015)  # nothing is imagined yet: the probe's own error
    step = session.step(RIGHT)
    np.testing.assert_array_equal(session.simulator.positions(session.state)[1], read_states(step.states[-1]))
    assert "cube of the task: x, y, z (cm;" in readout(session)


def test_frames_that_no_probe_reads_have_no_places(session: Session, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(vars(session.models), "probe", None)
    assert session.simulator.positions(session.state) is None and "cube of the task" not in readout(session)


def test_doubt_is_said_of_every_imagined_step_and_is_the_same_again(session: Session):
    first = session.step(RIGHT)
    assert first.uncertainty > 0 and f"Uncertainty {first.uncertainty:.3f}" in readout(session)
    session.undo()
    assert session.step(RIGHT).uncertainty == first.uncertainty
    assert session.reanchor().uncertainty == 0


@pytest.mark.parametrize("source", ["../secret.hdf5", "/etc/passwd", "checkpoints/world/world.json", ""])
def test_only_episodes_of_the_run_folder_are_opened(session: Session, source: str):
    with pytest.raises(UserError, match="begin at another place"):
        session.start_recorded(Origin("push_red", 20, source))
    with pytest.raises(UserError, match="none has number 7"):
        session.start_recorded(Origin("push_red", 20, RECORDED, 7))


def test_a_folder_without_models_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(UserError, match=r"checkpoints/world does not exist; finish a run"):
        RunModels(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert find_run() == shipped("demo")
    monkeypatch.setattr("wovr_lab.shipped.CHECKOUT", tmp_path / "not a checkout")
    with pytest.raises(UserError, match=r"neither runs/demo nor data/demo .*`make demo`"):
        find_run()
    for name in ("world", "reward"):
        (tmp_path / "data/demo/checkpoints" / name).mkdir(parents=True)
    assert find_run() == Path("data/demo")
    (tmp_path / "runs/demo/checkpoints/reward").mkdir(parents=True)
    assert find_run() == Path("data/demo")  # yours has no world model yet
    (tmp_path / "runs/demo/checkpoints/world").mkdir()
    assert find_run() == Path("runs/demo")
    assert find_run(Path("runs/x/checkpoints/world")) == Path("runs/x")


def test_every_world_model_that_has_a_reward_is_offered_in_the_order_of_the_run(run_folder: Path, tmp_path: Path):
    run = shutil.copytree(run_folder, tmp_path / "run")
    checkpoints = run / "checkpoints"
    for name in ("improved", "evolved_2", "final"):
        for kind in ("world", "reward"):
            shutil.copytree(checkpoints / f"{kind}_evolved", checkpoints / f"{kind}_{name}")
    shutil.copytree(checkpoints / "world", checkpoints / "world_alone")
    models = RunModels(run)
    assert models.checkpoints == ("base", "improved", "evolved", "evolved_2", "final")
    assert last_refined(models.checkpoints) == "evolved_2"
    session = Session(models)
    session.switch(checkpoint="final")
    session.start("push_red", 3)
    assert session.step(RIGHT).switches.checkpoint == "final"
    for name in ("alone", "../checkpoints", "nothing"):
        with pytest.raises(UserError, match="choose one of base, improved, evolved"):
            session.switch(checkpoint=name)
