"""Gates and gains of several runs, worked by hand."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from wovr_lab.errors import UserError
from wovr_lab.experiments.gate_history import gate_history
from wovr_lab.measure.intervals import difference_of_rates, wilson
from wovr_lab.report.gate_history import gate_history_figure, gate_history_table, write_gate_history
from wovr_lab.runs import read_json, write_json


def rate(successes: int, n: int) -> dict:
    return asdict(wilson(successes, n))


def make_run(folder: Path, checks: list[tuple[int, int]], own_precision: bool) -> Path:
    base = [("base at T=1.0", 30, 50, (20, 50)), ("base at T=1.2", 20, 60, (10, 30)), ("expert", 90, 90, (90, 90))]
    policies = [
        {"name": name, "real": rate(real, 100), "imagined": rate(imagined, 100)}
        | ({"precision": rate(*precision)} if own_precision else {})
        for name, real, imagined, precision in base
    ]
    write_json(folder / "gate_1.json", {"passed": True, "precision": rate(80, 100), "policies": policies})
    rows = [
        {"phase": "improve_1/real", "step": step, "success": found, "n": 100}
        | {"low": wilson(round(100 * found), 100).low, "high": wilson(round(100 * found), 100).high}
        for step, found in checks
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_a_phase_is_what_its_gate_said_and_what_real_success_did(tmp_path):
    run = make_run(tmp_path / "a", [(0, 0.4), (8, 0.3), (16, 0.6)], own_precision=True)
    (row,) = gate_history([run])
    assert (row["run"], row["phase"], row["passed"], row["precision"]) == ("a", 1, True, 0.8)
    assert row["base_gap"] == pytest.approx((0.2 + 0.4) / 2)
    assert row["base_precision"] == pytest.approx(30 / 80)
    assert row["before"]["rate"] == 0.4 and row["after"]["rate"] == 0.6
    assert row["gain"] == asdict(difference_of_rates(wilson(60, 100), wilson(40, 100)))


def test_gates_of_older_versions_have_no_precision_of_the_base(tmp_path):
    history = gate_history([make_run(tmp_path / "old", [(0, 0.4), (16, 0.5)], own_precision=False)])
    assert history[0]["base_precision"] is None
    assert gate_history_table(history).rows[0][4] == "not measured"
    assert len(gate_history_figure(history).data) == 2
    write_gate_history(tmp_path / "gates.html", history)
    assert "not measured" in (tmp_path / "gates.html").read_text()
    assert read_json(tmp_path / "gates.json") == {"schema": 1, "rows": history}


def test_runs_without_rl_are_left_out_and_none_at_all_is_refused(tmp_path):
    run = make_run(tmp_path / "a", [(0, 0.4), (16, 0.5)], own_precision=True)
    stopped = make_run(tmp_path / "b", [(0, 0.4)], own_precision=True)
    assert [row["run"] for row in gate_history([run, stopped])] == ["a"]
    with pytest.raises(UserError, match="none of these folders"):
        gate_history([stopped])
