"""Recorded rollouts: what the page opens on."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qs

import numpy as np
import pytest

from wovr_lab.errors import UserError
from wovr_lab.inspector.autopilot import RECORDING, propose
from wovr_lab.inspector.keys import direction_chunk
from wovr_lab.inspector.links import session_from, write_link
from wovr_lab.inspector.models import RunModels
from wovr_lab.inspector.scenes import FAITHFUL, KINDS, OTHER, VANISHED, Scene, kind_of, rail, scene_at
from wovr_lab.inspector.session import Session
from wovr_lab.inspector.timeline import FALSE, MISSED, OPEN, SAME, Origin

RIGHT = direction_chunk("d", -1.0)


@pytest.fixture(scope="module")
def scenes(models: RunModels) -> list[Scene]:
    return rail(models)


def test_the_rail_has_one_scene_a_kind_and_task_and_begins_with_a_hallucination(scenes: list[Scene], models: RunModels):
    assert scenes[0].kind == FALSE and scenes[0].checkpoint == "evolved"
    pairs = [(scene.kind, scene.origin.task) for scene in scenes]
    assert len(set(pairs)) == len(pairs) and {kind for kind, _ in pairs} <= set(KINDS)
    assert all("push the red cube" in scene.caption for scene in scenes)


def test_a_scene_is_the_recording_frame_by_frame(scenes: list[Scene], models: RunModels):
    scene = scenes[0]
    real, imagined = models.episode(scene.origin), models.imagined_episode(scene.origin)
    length = len(scene.branch.actions)
    assert length >= 16 and {step.kind for step in scene.branch.steps} == {"recorded"}
    np.testing.assert_array_equal(scene.branch.real, real.frames[: length + 1])
    np.testing.assert_array_equal(scene.branch.imagined, imagined.frames[: length + 1])
    assert scene.branch.steps[-1].outcome == FALSE


def test_one_drives_on_from_any_chunk_of_it_in_both_worlds_and_the_recording_stays(
    scenes: list[Scene], models: RunModels
):
    session = Session(models)
    session.start_scene(scenes[0])
    recorded = session.branch
    assert session.switches.checkpoint == "evolved" and session.position == 0
    session.rewind(1)
    np.testing.assert_array_equal(propose(session, RECORDING), recorded.steps[1].actions)
    step = session.step(recorded.steps[1].actions)
    np.testing.assert_array_equal(step.real, recorded.steps[1].real)  # reality repeats itself
    assert step.after.horizon == 16 and session.branch.steps == (recorded.steps[0], step)
    assert recorded in session.branches.values()
    session.start_scene(scenes[0])
    session.rewind(len(recorded.steps))
    session.step(RIGHT)  # at its very end, too
    assert recorded in session.branches.values() and session.branch is not recorded


def test_a_link_leads_into_a_scene_and_on_from_there(scenes: list[Scene], models: RunModels):
    session = Session(models)
    session.start_scene(scenes[0])
    session.rewind(1)
    session.step(RIGHT)
    link = write_link(session.branch, session.switches)
    again = session_from(models, link)
    np.testing.assert_array_equal(again.branch.imagined, session.branch.imagined)
    np.testing.assert_array_equal(again.branch.real, session.branch.real)
    assert [step.kind for step in again.branch.steps] == ["recorded", "chunk"]
    moves = parse_qs(link)["moves"][0]
    with pytest.raises(UserError, match="holds no episodes"):
        session_from(models, {"task": "push_red", "seed": "20", "moves": moves})


def test_episodes_without_an_imagined_side_are_no_scenes(models: RunModels, session: Session):
    for source in ("episodes/demonstrations.hdf5", "../real.hdf5", ""):
        with pytest.raises(UserError, match=r"no episodes|no imagined episodes"):
            scene_at(session.simulator, Origin("push_red", 20, source))
    origin = rail(models)[0].origin
    with pytest.raises(UserError, match="none has number 99"):
        scene_at(session.simulator, replace(origin, index=99))


@pytest.mark.parametrize(
    ("outcome", "off", "kind"),
    [(FALSE, 0, FALSE), (MISSED, 30, MISSED), (OPEN, 5.1, VANISHED), (SAME, 5.1, VANISHED), (SAME, 1, FAITHFUL),
     (OPEN, 1, OTHER)],
)  # fmt: skip
def test_kinds_follow_from_outcomes_and_from_how_far_the_cube_is_off(outcome: str, off: float, kind: str):
    assert kind_of(outcome, off) == kind
