"""Sessions of open and closed pages, and what a page is told of them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from wovr_lab.inspector.keys import direction_chunk
from wovr_lab.inspector.links import Gallery
from wovr_lab.inspector.models import RunModels
from wovr_lab.inspector.page import Sent, payload
from wovr_lab.inspector.session import Session
from wovr_lab.inspector.tabs import KEPT_FOR, Tabs

RIGHT = direction_chunk("d", -1.0)


class Visits:
    """Pages that come and go, at times that the test sets."""

    def __init__(self, models: RunModels, folder: Path):
        self.now = 0.0
        self.tabs = Tabs(models, Gallery(folder), lambda: self.now)

    def open(self, name: str, **query: str) -> dict[str, Any]:
        return json.loads(self.tabs.opened(self.request(name, query))[0])

    def close(self, name: str) -> None:
        self.tabs.closed(self.request(name, {}))

    def request(self, name: str, query: dict[str, str]) -> Any:
        return SimpleNamespace(session_hash=name, query_params=query, headers={"host": "here"})


@pytest.fixture
def visits(models: RunModels, tmp_path: Path) -> Visits:
    return Visits(models, tmp_path)


def test_a_page_opens_on_the_first_scene_which_plays(visits: Visits):
    told = visits.open("a")
    assert told["plays"] and told["scene"] == 0 and told["position"] == 0 and told["recorded"]
    assert told["caption"] == visits.tabs.scenes[0].caption and len(told["rail"]) == len(visits.tabs.scenes)
    assert not visits.open("b", task="push_red", seed="20")["plays"]


def test_a_closed_page_is_found_again_by_its_address_for_an_hour_with_all_its_branches(visits: Visits):
    key = visits.open("a")["session"]
    session = visits.tabs.open["a"].session
    steps = [session.step(RIGHT), session.step(RIGHT)]
    visits.close("a")
    assert not visits.tabs.open
    visits.now = KEPT_FOR - 1
    told = visits.open("b", session=key, branch=session.name, step="1")
    assert (told["branch"], told["position"], told["gone"]) == (session.name, 1, False)
    again = visits.tabs.open["b"].session
    assert again.branch.steps[-2:] == tuple(steps) and list(again.branches) == list(session.branches)
    visits.now = KEPT_FOR + 1
    told = visits.open("c", session=key)
    assert told["gone"] and told["scene"] == 0


def test_two_pages_of_one_address_go_on_by_themselves(visits: Visits):
    key = visits.open("a")["session"]
    visits.tabs.open["a"].session.step(RIGHT)
    told = visits.open("b", session=key)
    assert told["session"] != key
    visits.tabs.open["b"].session.step(RIGHT)
    lengths = [len(visits.tabs.open[name].session.branch.steps) for name in "ab"]
    assert lengths == [1, 2]


@pytest.mark.parametrize(("branch", "step"), [("nowhere", "1"), ("main", "x"), ("main", "-1"), ("main", "99")])
def test_an_address_that_names_no_place_leads_to_the_session_all_the_same(visits: Visits, branch: str, step: str):
    key = visits.open("a", task="push_red", seed="20")["session"]
    visits.tabs.open["a"].session.step(RIGHT)
    told = visits.open("b", session=key, branch=branch, step=step)
    assert (told["branch"], told["position"]) == ("main", 1)


def test_a_step_travels_once_and_every_branch_is_named(session: Session):
    sent = Sent()
    session.step(RIGHT)
    first = json.loads(payload(session, sent, {}))
    assert list(first["news"]) == ["0"] and first["branches"] == {"main": [0]}
    session.undo()
    session.step(direction_chunk("w", -1.0))
    second = json.loads(payload(session, sent, {}))
    assert list(second["news"]) == ["1"] and second["branches"] == {"main": [0], "branch 2": [1]}
    step = second["news"]["1"]
    lists = ("believed", "judged", "outcomes", "levels", "hand", "cube", "patch")
    assert {len(step[name]) for name in lists} == {8}
    assert json.loads(payload(session, sent, {}))["news"] == {}


def test_crosses_lie_where_the_simulator_draws_hand_and_cube(session: Session):
    told = json.loads(payload(session, Sent(), {}))
    assert told["ghost"]["imagined"] == told["ghost"]["real"]
    session.step(RIGHT)
    told = json.loads(payload(session, Sent(), {}))
    x, y = told["news"]["0"]["crosses"]["real"][-1][1]  # the red cube
    frame = session.branch.real[-1]
    red, green, blue = frame[int(y * 32), int(x * 32)].astype(int)
    assert red > 2 * max(green, blue), frame


def test_the_measured_horizon_is_the_least_over_policies(run_folder: Path, tmp_path: Path):
    (tmp_path / "checkpoints").symlink_to(run_folder / "checkpoints")
    assert RunModels(tmp_path).horizons == {}
    rows = [
        {"policy": policy, "world": world, "start": start, "frames": {"rate": rate}}
        for policy, world, start, rate in (
            ("base", "base", "initial", 15.0), ("improved", "base", "initial", 12.0), ("base", "base", "keyframe", 4.0),
            ("base", "evolved", "initial", 20.0),
        )
    ]  # fmt: skip
    (tmp_path / "measure.json").write_text(json.dumps({"horizon": rows}))
    assert RunModels(tmp_path).horizons == {"base": 12, "evolved": 20}


def test_keyframes_of_the_same_initial_state_are_marked(session: Session):
    origin = session.branch.origin
    assert session.models.keyframe_steps(origin) == [9]
    assert session.models.keyframe_steps(type(origin)("push_red", 21)) == []
    np.testing.assert_array_equal(json.loads(payload(session, Sent(), {}))["keyframes"], [9])
