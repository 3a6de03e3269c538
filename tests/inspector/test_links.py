"""A link brings back exactly what was there; a broken one brings a message."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import numpy as np
import pytest

from wovr_lab.errors import UserError
from wovr_lab.inspector.keys import direction_chunk
from wovr_lab.inspector.links import LARGEST, Gallery, session_from, write_link
from wovr_lab.inspector.models import KEYFRAME, RunModels
from wovr_lab.inspector.session import Session

RIGHT = direction_chunk("d", -1.0)


def frames_hash(session: Session) -> str:
    frames = (session.branch.imagined, session.branch.real)
    return hashlib.sha256(b"".join(part.tobytes() for part in frames)).hexdigest()


def walk(session: Session) -> str:
    """One of each: chunks, a single action, a re-anchor, switches. Returns the link."""
    session.step(RIGHT)
    session.switch(anchor=False, memory=1, sampler_steps=3, noise=7)
    session.step(direction_chunk("f", -1.0, 0.3))
    session.step(direction_chunk("space", -1.0)[:1])
    session.reanchor()
    session.switch(checkpoint="evolved", threshold=0.123)
    session.step(np.linspace(-1, 1, 56).reshape(8, 7))
    session.switch(noise=11)
    return write_link(session.branch, session.switches)


def test_the_same_link_gives_the_same_frames_switches_and_actions(session: Session, models: RunModels):
    again = session_from(models, walk(session))
    assert frames_hash(again) == frames_hash(session)
    assert again.switches == session.switches
    np.testing.assert_array_equal(again.branch.actions, session.branch.actions)
    for first, second in zip(session.branch.steps, again.branch.steps, strict=True):
        assert (first.kind, first.switches, first.after.succeeded) == (
            second.kind,
            second.switches,
            second.after.succeeded,
        )
    assert write_link(again.branch, again.switches) == write_link(session.branch, session.switches)


def test_a_link_leads_back_to_a_keyframe(session: Session, models: RunModels):
    place = next(place for place in models.start_options() if place.kind == KEYFRAME)
    session.start_recorded(place.origin)
    session.step(RIGHT)
    again = session_from(models, "?" + write_link(session.branch, session.switches))
    assert frames_hash(again) == frames_hash(session)


def test_a_link_without_moves_just_begins(models: RunModels):
    session = session_from(models, "task=push_blue&seed=3")
    assert session.branch.origin.task == "push_blue" and session.position == 0


def packed(head: dict | list, actions: bytes = b"") -> str:
    return base64.urlsafe_b64encode(zlib.compress(json.dumps(head).encode() + b"\0" + actions)).decode()


SETTING = {"anchor": True, "memory": 4, "sampler_steps": 2, "noise": 0, "checkpoint": "base", "threshold": 0.5}
NAN = np.full((8, 7), np.nan, "<f4").tobytes()


@pytest.mark.parametrize(
    "moves",
    [
        "", "!!", "AAAA", "x" * 70_000, packed([]), packed({}),
        packed({"settings": [SETTING], "moves": [["chunk", 0]], "now": 0}),  # no actions
        packed({"settings": [SETTING], "moves": [["jump", 0]], "now": 0}),
        packed({"settings": [SETTING], "moves": [["chunk", 5]], "now": 0}, NAN),
        packed({"settings": [SETTING], "moves": [["re-anchor", 0]] * 300, "now": 0}),
        packed({"settings": [SETTING], "moves": [["chunk", 0]], "now": 0}, NAN),
        packed({"settings": [SETTING | {"memory": "4"}], "moves": [], "now": 0}),
        packed({"settings": [SETTING | {"sampler_steps": 10**9}], "moves": [], "now": 0}),
        packed({"settings": [SETTING | {"threshold": float("nan")}], "moves": [], "now": 0}),
        packed({"settings": [SETTING | {"checkpoint": "../../x"}], "moves": [], "now": 0}),
        base64.urlsafe_b64encode(zlib.compress(b"0" * 50 * LARGEST)).decode(),
    ],
)  # fmt: skip
def test_malformed_moves_are_refused_with_one_message(models: RunModels, moves: str):
    with pytest.raises(UserError, match=r"cannot be followed|NaN|not possible|no checkpoint"):
        session_from(models, {"task": "push_red", "seed": "20", "moves": moves})


@pytest.mark.parametrize(
    "query",
    [
        "", "seed=3", "task=push_red&seed=x", "task=push_red&seed=-4", f"task=push_red&seed={10**40}",
        "task=<script>&seed=1", "task=push_red&seed=1&source=../../etc/passwd",
        "task=push_red&seed=1&source=comparison/base-imagined_only-imagined.hdf5&index=99",
        "task=push_red&seed=1&source=comparison/base-imagined_only-imagined.hdf5&step=999",
    ],
)  # fmt: skip
def test_malformed_beginnings_are_refused_with_one_message(models: RunModels, query: str):
    with pytest.raises(UserError):
        session_from(models, query)


def test_the_gallery_keeps_branches_over_a_restart(session: Session, models: RunModels, tmp_path: Path):
    link = walk(session)
    Gallery(tmp_path / "gallery").save("a case", link)
    gallery = Gallery(tmp_path / "gallery")
    assert gallery.names() == ["a case"]
    assert frames_hash(session_from(models, gallery.link("a case"))) == frames_hash(session)
    for name in ("a case", "", "../x", "a/b", ".hidden", "x" * 41):
        with pytest.raises(UserError):
            gallery.save(name, link)
    with pytest.raises(UserError, match="it has a case"):
        gallery.link("../../config")


def test_a_link_is_a_plain_url_query(session: Session):
    link = walk(session)
    assert urlencode(dict(parse_qsl(link))) == link and len(link) < 2000
