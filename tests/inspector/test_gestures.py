"""What the page's scripts say is checked before anything is done."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from wovr_lab.errors import UserError
from wovr_lab.inspector.gestures import KeyPress, perform
from wovr_lab.inspector.keys import direction_chunk
from wovr_lab.inspector.scenes import rail
from wovr_lab.inspector.session import Session

CHUNK = KeyPress(8, 0.4, False)


def test_a_key_acts_from_the_step_that_the_page_shows(session: Session):
    for key in "dws":
        perform(session, [], {"do": "key", "key": key, "at": None}, CHUNK)
    perform(session, [], {"do": "key", "key": "f", "at": 1}, CHUNK)
    actions = [direction_chunk(key, -1.0) for key in "df"]
    np.testing.assert_array_equal(session.branch.actions, np.concatenate(actions))
    assert len(session.branches["main"].steps) == 3


def test_a_preview_waits_for_its_commit_and_is_dropped_by_undo(session: Session):
    preview = KeyPress(1, 1.0, True)
    perform(session, [], {"do": "key", "key": "d"}, preview)
    assert session.pending is not None and not session.steps
    perform(session, [], {"do": "undo", "at": 0}, CHUNK)
    assert session.pending is None
    perform(session, [], {"do": "key", "key": "d"}, preview)
    perform(session, [], {"do": "commit"}, CHUNK)
    assert [step.kind for step in session.steps] == ["action"]
    assert session.steps[0].actions[0, 1] == 1.0


def test_one_goes_to_branches_and_steps_back_and_forth_and_to_scenes(session: Session):
    perform(session, [], {"do": "key", "key": "d"}, CHUNK)
    session.fork("other")
    perform(session, [], {"do": "go", "branch": "main", "at": 0}, CHUNK)
    assert (session.name, session.position) == ("main", 0)
    perform(session, [], {"do": "redo"}, CHUNK)
    assert session.position == 1
    scenes = rail(session.models)
    perform(session, scenes, {"do": "scene", "index": 0}, CHUNK)
    assert session.branch is scenes[0].branch and "main" in session.branches


@pytest.mark.parametrize(
    "deed",
    [
        {}, {"do": "dance"}, {"do": "key"}, {"do": "key", "key": "x"}, {"do": "key", "key": ["d"]},
        {"do": "key", "key": "d", "at": 7}, {"do": "go", "at": "0"}, {"do": "go", "at": True}, {"do": "go", "at": -1},
        {"do": "go", "branch": "nowhere"}, {"do": "go", "branch": {"a": 1}}, {"do": "scene", "index": 0},
        {"do": "scene"}, {"do": "commit"}, {"do": "redo"},
    ],
)  # fmt: skip
def test_what_the_page_never_says_is_refused_and_changes_nothing(session: Session, deed: dict[str, Any]):
    with pytest.raises(UserError):
        perform(session, [], deed, CHUNK)
    assert (session.name, session.position, list(session.branches)) == ("main", 0, ["main"])
