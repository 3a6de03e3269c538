"""Runs of several seeds become a table, and the table becomes the README's, number for number."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from wovr_lab.errors import UserError
from wovr_lab.pace.presets import preset
from wovr_lab.pace.settings import changed, to_dict
from wovr_lab.publish.results import collect_results, markdown_table, pooled_interval, render_tables
from wovr_lab.runs import read_json, write_json


def finished(folder: Path, seed: int, base: list[int], method: list[int], **changes) -> Path:
    """What pooling reads of a finished run: its configuration and the outcomes of two tasks of two starts each."""
    config = changed(preset("smoke", seed), {"evaluation.starts": 2, **changes})
    write_json(folder / "config.json", to_dict(config))
    outcomes = {"base": {"outcomes": {"greedy": base}}, "wovr": {"outcomes": {"greedy": method}}}
    write_json(folder / "evaluation.json", outcomes)
    return folder


@pytest.fixture
def two_seeds(tmp_path: Path) -> list[Path]:
    return [
        finished(tmp_path / "seed0", 0, [1, 0, 0, 0], [1, 1, 1, 0]),
        finished(tmp_path / "seed1", 1, [0, 0, 0, 0], [1, 1, 0, 0]),
    ]


def test_the_interval_of_identical_outcomes_is_a_point():
    assert pooled_interval([np.ones(5, bool), np.ones(5, bool)]) == (1.0, 1.0)
    assert pooled_interval([np.zeros(5, bool)]) == (0.0, 0.0)


def test_the_interval_spans_seeds_that_disagree():
    low, high = pooled_interval([np.zeros(50, bool), np.ones(50, bool)])
    assert (low, high) == (0.0, 1.0)  # a quarter of the resamples draws one seed twice


def test_the_interval_of_one_seed_is_about_the_binomial_one_and_the_same_each_time():
    outcomes = [np.arange(100) < 50]
    low, high = pooled_interval(outcomes)
    assert low == pytest.approx(0.40, abs=0.03) and high == pytest.approx(0.60, abs=0.03)
    assert pooled_interval(outcomes) == (low, high)


def test_rows_pool_seeds_by_task_and_keep_what_each_seed_found(tmp_path, two_seeds):
    path = tmp_path / "tabletop.json"
    collect_results(path, "wovr", two_seeds)
    table = read_json(path)
    found = {(row["setting"], row["task"]): row for row in table["rows"] if row["metric"] == "success"}
    assert list(dict.fromkeys(row["task"] for row in table["rows"])) == ["all", "push_red", "red_on_plate"]
    assert found["wovr", "all"]["value"] == pytest.approx((3 / 4 + 2 / 4) / 2)
    assert found["wovr", "all"]["per_seed"] == [0.75, 0.5]
    assert found["wovr", "all"]["n"] == 8 and found["wovr", "all"]["seeds"] == [0, 1]
    assert found["wovr", "push_red"]["per_seed"] == [1.0, 1.0]
    assert found["wovr", "red_on_plate"]["per_seed"] == [0.5, 0.0]
    assert found["base", "all"]["per_seed"] == [0.25, 0.0]
    gained = {row["task"]: row for row in table["rows"] if row["metric"] == "gain"}
    assert gained["all"]["per_seed"] == [0.5, 0.5] and gained["push_red"]["per_seed"] == [0.5, 1.0]
    assert gained["all"]["setting"] == "wovr" and gained["all"]["value"] == 0.5
    assert all(row["low"] <= row["value"] <= row["high"] for row in table["rows"])
    assert table["protocol"]["initial_states"] == "seeds 10000-10001"
    assert {"command", "commit", "versions"} <= table.keys()


def test_collecting_a_setting_again_replaces_its_rows_and_no_others(tmp_path, two_seeds):
    path = tmp_path / "tabletop.json"
    collect_results(path, "wovr", two_seeds)
    collect_results(path, "other", two_seeds)
    collect_results(path, "wovr", two_seeds[:1])
    rows = read_json(path)["rows"]
    assert len(rows) == 15  # base, wovr and other in three tasks, and what the two gained there
    assert {row["n"] for row in rows if row["setting"] == "wovr" and row["task"] == "all"} == {4}
    assert {row["n"] for row in rows if row["setting"] == "other" and row["task"] == "all"} == {8}


def test_a_seed_can_be_added_when_the_runs_of_the_others_are_gone(tmp_path, two_seeds):
    whole, grown = tmp_path / "whole.json", tmp_path / "grown.json"
    collect_results(whole, "wovr", two_seeds)
    for folder in (two_seeds[1], two_seeds[0], two_seeds[1]):  # a seed that is there already is replaced
        collect_results(grown, "wovr", [folder], add=True)
    for one, two in zip(read_json(whole)["rows"], read_json(grown)["rows"], strict=True):
        same = ("setting", "metric", "task", "value", "n", "seeds", "per_seed", "counts")
        assert [one[key] for key in same] == [two[key] for key in same]


def test_seeds_cannot_be_added_to_another_protocol_or_to_rows_that_do_not_say_what_was_found(tmp_path, two_seeds):
    path = tmp_path / "tabletop.json"
    collect_results(path, "wovr", two_seeds[:1])
    longer = finished(tmp_path / "longer", 2, [0] * 4, [0] * 4, max_steps=96)
    with pytest.raises(UserError, match="another protocol"):
        collect_results(path, "wovr", [longer], add=True)
    table = read_json(path)
    for row in table["rows"]:
        del row["counts"]
    write_json(path, table)
    with pytest.raises(UserError, match="does not say what its seeds found"):
        collect_results(path, "wovr", two_seeds[1:], add=True)


def test_online_runs_are_pooled_by_the_same_command(tmp_path):
    folder = finished(tmp_path / "online", 0, [0] * 4, [0] * 4)
    write_json(folder / "online.json", {"base": {"outcomes": [0, 0, 0, 1]}, "online_grpo": {"outcomes": [1, 1, 1, 1]}})
    collect_results(tmp_path / "t.json", "online", [folder])
    rows = [row for row in read_json(tmp_path / "t.json")["rows"] if row["task"] == "all"]
    assert [row["setting"] for row in rows] == ["base", "online", "online"]
    found = {(row["setting"], row["metric"]): row["value"] for row in rows}
    assert found == {("base", "success"): 0.25, ("online", "success"): 1.0, ("online", "gain"): 0.75}


def test_runs_that_cannot_be_compared_are_not_pooled(tmp_path, two_seeds):
    path = tmp_path / "tabletop.json"
    with pytest.raises(UserError, match=r"seeds \[0, 0\]; give one run a seed"):
        collect_results(path, "wovr", [two_seeds[0], two_seeds[0]])
    longer = finished(tmp_path / "longer", 2, [0] * 4, [0] * 4, max_steps=96)
    with pytest.raises(UserError, match="differ in scale, tasks or evaluation"):
        collect_results(path, "wovr", [two_seeds[0], longer])
    assert not path.exists()


def test_a_run_whose_gate_refused_rl_is_no_row(tmp_path, two_seeds):
    write_json(two_seeds[0] / "evaluation.json", {"base": {"outcomes": {"greedy": [0] * 4}}})
    with pytest.raises(UserError, match="has no improved policy"):
        collect_results(tmp_path / "tabletop.json", "wovr", two_seeds)


def test_a_folder_without_a_finished_run_is_refused(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        collect_results(tmp_path / "tabletop.json", "wovr", [tmp_path / "nowhere"])


def row(setting: str, task: str, value: float, per_seed: list[float], metric: str = "success") -> dict:
    interval = {"value": value, "low": value / 2, "high": 1.0}
    return {"setting": setting, "metric": metric, "task": task, "per_seed": per_seed} | interval


def test_a_table_has_settings_down_tasks_across_and_a_dash_where_nothing_was_measured():
    rows = [row("base", "all", 0.4, [0.3, 0.5]), row("base", "push", 0.5, [0.5]), row("wovr", "all", 0.8, [0.8])]
    rows.append(row("wovr", "all", 0.4, [0.4], "gain"))
    assert markdown_table({"rows": rows}) == (
        "| setting | all | push | seeds | gain |\n"
        "|---|---|---|---|---|\n"
        "| base | 40.0 [20.0, 100.0] | 50.0 [25.0, 100.0] | 30.0, 50.0 | - |\n"
        "| wovr | 80.0 [40.0, 100.0] | - | 80.0 | 40.0 [20.0, 100.0] |\n"
    )


def test_tables_replace_what_stands_between_their_marks_and_nothing_else(tmp_path):
    readme, table = tmp_path / "README.md", {"rows": [row("base", "all", 0.4, [0.4])]}
    write_json(tmp_path / "results" / "tabletop.json", table)
    write_json(tmp_path / "results" / "unnamed.json", table)
    readme.write_text("before\n<!-- table: tabletop -->\nold\n<!-- end of table -->\nafter\n")
    render_tables(readme, tmp_path / "results")
    once = readme.read_text()
    assert once == f"before\n<!-- table: tabletop -->\n{markdown_table(table)}<!-- end of table -->\nafter\n"
    render_tables(readme, tmp_path / "results")
    assert readme.read_text() == once


def test_a_table_without_an_end_or_a_readme_is_refused_and_nothing_is_written(tmp_path):
    write_json(tmp_path / "results" / "tabletop.json", {"rows": [row("base", "all", 0.4, [0.4])]})
    with pytest.raises(UserError, match=r"README\.md does not exist here"):
        render_tables(tmp_path / "README.md", tmp_path / "results")
    (tmp_path / "README.md").write_text("<!-- table: tabletop -->\nold\n")
    with pytest.raises(UserError, match="has no <!-- end of table -->"):
        render_tables(tmp_path / "README.md", tmp_path / "results")
    assert (tmp_path / "README.md").read_text() == "<!-- table: tabletop -->\nold\n"


@pytest.mark.smoke
def test_finished_runs_can_be_pooled_as_they_are(tmp_path, smoke_run):
    """A second seed is a copy of the first with another number."""
    second = Path(shutil.copytree(smoke_run, tmp_path / "second"))
    write_json(second / "config.json", read_json(second / "config.json") | {"seed": 1})
    found = read_json(second / "evaluation.json")
    found["wovr"]["outcomes"]["greedy"][0] ^= 1
    write_json(second / "evaluation.json", found)
    collect_results(tmp_path / "tabletop.json", "wovr", [smoke_run, second])
    pooled = next(
        r for r in read_json(tmp_path / "tabletop.json")["rows"] if (r["setting"], r["task"]) == ("wovr", "all")
    )
    first_rate, second_rate = pooled["per_seed"]
    assert abs(first_rate - second_rate) == pytest.approx(1 / 8)
    assert pooled["n"] == 16
