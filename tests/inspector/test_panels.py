"""Films of futures and of two branches."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from wovr_lab.errors import UserError
from wovr_lab.inspector.keys import direction_chunk
from wovr_lab.inspector.panels import MARK, SCALE, comparison_html, first_difference, futures_html
from wovr_lab.inspector.session import Session

RIGHT, LEFT = direction_chunk("d", -1.0), direction_chunk("a", -1.0)


def films_in(html: str) -> list[Image.Image]:
    found = re.findall(r"src='data:image/webp;base64,([^']+)'", html)
    return [Image.open(io.BytesIO(base64.b64decode(text))) for text in found]


def test_two_branches_play_side_by_side_and_have_a_border_from_where_they_differ(session: Session):
    session.step(RIGHT)
    session.step(RIGHT)
    session.undo()
    session.step(LEFT)
    html = comparison_html(session, "main")
    assert first_difference(session.branch, session.branches["main"]) == 9 and "frame is 9" in html
    films = films_in(html)
    assert [film.n_frames for film in films] == [17] * 4
    corners = []
    for frame in (8, 9):
        films[1].seek(frame)
        corners.append(np.asarray(films[1].convert("RGB"))[0, 0])
    np.testing.assert_array_equal(corners, [[255, 255, 255], MARK])


def test_equal_branches_differ_nowhere_and_a_longer_one_where_the_other_ends(session: Session):
    session.step(RIGHT)
    session.fork("same")
    assert first_difference(session.branch, session.branches["main"]) is None
    assert "same frames" in comparison_html(session, "main")
    session.step(RIGHT)
    assert first_difference(session.branch, session.branches["main"]) == 9


def test_futures_are_films_of_the_chunk_and_the_last_is_what_really_happened(session: Session):
    step = session.step(RIGHT)
    films = films_in(futures_html(session.futures()))
    assert [film.n_frames for film in films] == [8] * 5
    films[0].seek(7)
    np.testing.assert_array_equal(np.asarray(films[0].convert("RGB"))[::SCALE, ::SCALE], step.imagined[-1])
    films[4].seek(7)
    np.testing.assert_array_equal(np.asarray(films[4].convert("RGB"))[::SCALE, ::SCALE], step.real[-1])


@pytest.mark.parametrize("other", ["", "main", "nowhere"])
def test_a_branch_needs_another_one(session: Session, other: str):
    with pytest.raises(UserError, match="no other branch"):
        comparison_html(session, other)
