"""`wovr-lab measure` on a finished smoke run: every part is there, nothing is done twice, bad input is one message."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wovr_lab.errors import UserError
from wovr_lab.experiments.hallucination_run import measure_run
from wovr_lab.inspector.autopilot import RECORDING, propose
from wovr_lab.inspector.models import RunModels
from wovr_lab.inspector.session import Session
from wovr_lab.measure.tabletop.gallery import read_gallery
from wovr_lab.measure.tabletop.objects import VIOLATIONS
from wovr_lab.measure.tabletop.probes import COLUMNS
from wovr_lab.publish.export import export_gallery
from wovr_lab.publish.hallucination_table import write_hallucination_table
from wovr_lab.publish.results import markdown_table
from wovr_lab.report.run_report import write_report
from wovr_lab.runs import read_json, write_json

pytestmark = pytest.mark.smoke
PAIRS = {(policy, world) for policy in ("base", "improved") for world in ("base", "evolved")}


@pytest.fixture(scope="module")
def measured(smoke_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the smoke run, measured. Look only."""
    folder = Path(shutil.copytree(smoke_run, tmp_path_factory.mktemp("measured") / "run"))
    measure_run(folder, rollouts=4, say=lambda _: None)
    return folder


def numbers(value: Any) -> list[float]:
    """Every number in JSON."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for entry in value for number in numbers(entry)]
    return [value] if isinstance(value, int | float) else []


def test_every_policy_was_measured_in_every_world_from_both_kinds_of_starts(measured):
    found = read_json(measured / "measure.json")
    assert found["schema"] == 1 and found["seed"] == 0 and found["rollouts"] == 4
    for part in ("depth", "horizon", "objects"):
        assert {(row["policy"], row["world"]) for row in found[part]} == PAIRS
        assert {row["start"] for row in found[part]} == {"initial", "keyframe"}
        assert {row["n"] for row in found[part]} == {2}
    assert len(found["confusion"]) == 4 * 3 * 3  # pairs, kinds of starts and all, tasks and all
    pooled = [row for row in found["confusion"] if row["start"] == row["task"] == "all"]
    assert [row["n"] for row in pooled] == [4] * 4
    for row in pooled:
        assert sum(row["paired"]["counts"].values()) == sum(row["closed_loop"]["counts"].values()) == 4
    assert found["objects"][0]["faults"].keys() == set(VIOLATIONS)
    assert {row["channels"] for row in found["control"]["rows"]} == {"both", "modulation", "attention"}
    assert {(row["policy"], row["world"]) for row in found["uncertainty"]} == {("improved", "evolved")}
    assert found["probe"]["real"].keys() == set(COLUMNS)


def test_groups_of_the_base_policy_tell_what_an_imagined_update_is_worth(measured):
    rows = read_json(measured / "measure.json")["worth"]
    assert [(row["world"], row["start"]) for row in rows] == [
        (world, start) for world in ("base", "evolved") for start in ("initial", "keyframe")
    ]
    assert all(row["n"] == 2 and row["group_size"] == 2 for row in rows)
    assert all(-1 <= row["within_group_correlation"]["rate"] <= 1 for row in rows)
    assert "update efficiency" in write_report(measured).read_text()


def test_curves_reach_as_deep_as_rollouts_go(measured):
    for row in read_json(measured / "measure.json")["depth"]:
        deepest = 48 if row["start"] == "initial" else 24
        assert all(curve[-1]["depth"] == deepest for curve in row["curves"].values())


def test_the_real_control_finds_no_fault_of_objects(measured):
    for row in read_json(measured / "measure.json")["objects"]:
        assert row["faults"]["vanished"]["real"]["rate"] == row["faults"]["duplicated"]["real"]["rate"] == 0


def test_the_gallery_holds_the_cases_that_are_listed(measured):
    cases = read_gallery(measured / "measure")
    listed = read_json(measured / "measure.json")["gallery"]
    assert sorted(map(str, listed)) == sorted(str(case.about) for case in cases)
    for case in cases:
        assert len(case.imagined) == len(case.real) and (case.imagined.actions == case.real.actions).all()
        assert (case.imagined.frames[0] == case.real.frames[0]).all()
        assert case.found.shape == case.truth.shape == (len(case.real) + 1, 10)


def test_it_becomes_a_table_of_numbers_in_their_intervals(measured, tmp_path):
    found, path = read_json(measured / "measure.json"), tmp_path / "hallucination.json"
    write_hallucination_table(found, path, Path("runs/demo"))
    table = read_json(path)
    rows = {(row["setting"], row["metric"], row["task"], row["depth"]): row for row in table["rows"]}
    assert len(rows) == len(table["rows"]) and all(row["low"] <= row["value"] <= row["high"] for row in rows.values())
    first = found["confusion"][0]
    assert rows["base policy, base world", "imagined_success", "all", None]["value"] == first["imagined"]["rate"]
    assert rows["base policy, base world", "cube_error_cm_initial", "all", 48]["n"] == 2
    lines = markdown_table(table).splitlines()
    assert lines[0].startswith("| setting | imagined_success |") and len(lines) == 2 + len(PAIRS)


def test_one_case_of_each_kind_is_shipped_and_opens_in_the_inspector(measured, tmp_path):
    cases = [case for case in read_gallery(measured / "measure") if case.about["start"] == "initial"]
    folder = Path(shutil.copytree(measured, tmp_path / "run", ignore=shutil.ignore_patterns("measure")))
    export_gallery(measured / "measure", folder / "measure" / "gallery")
    shipped = read_gallery(folder / "measure")
    kinds = [case.about["kind"] for case in shipped]
    assert len(set(kinds)) == len(kinds) and set(kinds) == {case.about["kind"] for case in cases}
    session = Session(RunModels(folder))
    places = [place for place in session.models.start_options() if place.origin.source.startswith("measure/")]
    assert len(places) == len(shipped)
    for place, case in zip(places, shipped, strict=True):
        session.switch(checkpoint=place.checkpoint)
        session.start_recorded(place.origin)
        np.testing.assert_array_equal(session.step(propose(session, RECORDING)).real, case.real.frames[1:9])


def test_the_report_shows_what_was_measured(measured):
    page = write_report(measured).read_text()
    titles = [title for title in re.findall(r"<h2>(.*?)</h2>", page) if title.startswith("Measured: ")]
    cases = read_gallery(measured / "measure")
    assert len(titles) == 7 if cases else 6
    shown = sum(min(2, count) for count in Counter(case.about["kind"] for case in cases).values())
    assert page.count("cube off by up to") == 2 * shown  # in the caption, and for those who cannot see
    for name in ("measured-outcomes", "measured-depth", "measured-control"):
        assert page.count(f'<div id="{name}"') == 1, name
    # without the library, and without pictures, whose letters can spell it
    assert "NaN" not in re.sub(r"<script>.{1000000,}?</script>|base64,[\w+/=]+", "", page, flags=re.DOTALL)


def test_a_second_measurement_does_nothing_and_says_the_same(measured):
    said: list[str] = []
    before = (measured / "measure.json").read_bytes()
    measure_run(measured, rollouts=4, say=said.append)
    assert len(said) == 11 and all("done before" in line for line in said)
    assert (measured / "measure.json").read_bytes() == before


def test_only_what_a_changed_checkpoint_touches_is_measured_again(measured, tmp_path):
    folder = Path(shutil.copytree(measured, tmp_path / "run"))
    shutil.rmtree(folder / "checkpoints" / "base")
    shutil.copytree(folder / "checkpoints" / "half", folder / "checkpoints" / "base")
    said: list[str] = []
    measure_run(folder, rollouts=4, say=said.append)
    redone = [line.removesuffix(" ...") for line in said if line.endswith(" ...")]
    assert redone == ["measure-update-efficiency"] + [
        f"measure-base-{world}-{start}" for world in ("base", "evolved") for start in ("initial", "keyframe")
    ]


def test_a_run_that_the_gate_stopped_is_measured_with_what_it_has(measured, tmp_path):
    folder = Path(shutil.copytree(measured, tmp_path / "run"))
    for name in ("improved_1", "improved_2", "world_evolved", "reward_evolved"):
        shutil.rmtree(folder / "checkpoints" / name)
    found = measure_run(folder, rollouts=4, say=lambda _: None)
    assert {(row["policy"], row["world"]) for row in found["depth"]} == {("base", "base")}
    assert {row["score"] for row in found["uncertainty"]} == {"noise", "reward_margin"}


@pytest.mark.parametrize(
    "damage, said",
    [
        (lambda run: [shutil.rmtree(each) for each in run.glob("checkpoints/world*")], "run it up to gate-1 first"),
        (lambda run: (run / "config.json").unlink(), r"config\.json does not exist"),
        (lambda run: write_json(run / "config.json", {"scale": "smoke"}), "is no run folder"),
    ],
    ids=["no world model", "no configuration", "a foreign configuration"],
)
def test_what_cannot_be_measured_is_refused_with_what_to_do(smoke_copy, damage, said):
    damage(smoke_copy)
    with pytest.raises(UserError, match=said):
        measure_run(smoke_copy, rollouts=4)
    assert not (smoke_copy / "measure").exists()


def test_too_few_rollouts_are_refused(smoke_copy):
    with pytest.raises(UserError, match="3 rollouts are too few for 2 tasks; give 4"):
        measure_run(smoke_copy, rollouts=3)


def test_a_measurement_of_another_schema_is_not_shown(measured, tmp_path):
    folder = Path(shutil.copytree(measured, tmp_path / "run"))
    write_json(folder / "measure.json", read_json(folder / "measure.json") | {"schema": 2})
    with pytest.raises(UserError, match=r"measure\.json is of schema 2"):
        write_report(folder)
