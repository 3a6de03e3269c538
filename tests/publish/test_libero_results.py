"""Runs on LIBERO become rows of one table, whether their gate let RL begin or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from wovr_lab.errors import UserError
from wovr_lab.pace.presets import preset
from wovr_lab.pace.settings import changed, to_dict
from wovr_lab.publish.libero_results import COLUMNS, collect_libero_results, put_rows
from wovr_lab.publish.results import markdown_table
from wovr_lab.runs import read_json, write_json

TASK = "libero_spatial/pick_up_the_bowl"
PROTOCOL = {"environment": "LIBERO", "view": "workspace", "max_steps": 112}


def outcomes(greedy: list[int], sampled: list[int]) -> dict:
    return {"outcomes": {"greedy": greedy, "sampled": sampled}}


def finished(folder: Path, seed: int, method: list[int] | None, max_steps: int = 112) -> Path:
    """What a table reads of a finished run of four starts; without `method` its gate refused RL."""
    config = to_dict(changed(preset("smoke", seed), {"evaluation.starts": 4})) | {"tasks": [TASK]}
    passed = method is not None
    gate = {"passed": passed, "precision": {"rate": 0.8 if passed else 0.4, "low": 0.2, "high": 0.9, "n": 10}}
    report = {
        "protocol": PROTOCOL | {"max_steps": max_steps}, "gate": {"gate_1": gate, "gate_2": gate if passed else {}},
        "budget": {"real_episodes": 240 + seed}, "forced": False, "verdict": "as said", "reward": {}, "confusion": {},
        "world": {}, "stages": [], "machine": {},
    }  # fmt: skip
    write_json(folder / "config.json", config)
    write_json(folder / "report.json", report)
    judged = {"base": outcomes([1, 0, 0, 0], [0, 0, 0, 0])}
    write_json(folder / "evaluation.json", judged | ({"wovr": outcomes(method, method)} if passed else {}))
    return folder


def online(folder: Path) -> Path:
    """What a table reads of a finished run of the baseline, which keeps its outcomes in two entries."""
    write_json(folder / "config.json", to_dict(preset("smoke")) | {"tasks": [TASK]})
    base, method = ({"outcomes": found, "sampled_outcomes": [0, 0, 1, 1]} for found in ([1, 0, 0, 0], [1, 1, 0, 0]))
    found = {"protocol": PROTOCOL, "trajectories": 256, "base": base, "online_grpo": method}
    write_json(folder / "online.json", found)
    return folder


def values(path: Path) -> dict[tuple[str, str], float]:
    return {(row["setting"], row["metric"]): row["value"] for row in read_json(path)["rows"]}


def test_a_finished_run_gives_success_gain_gates_and_what_was_spent(tmp_path: Path):
    path = tmp_path / "libero.json"
    collect_libero_results(path, "wovr", [finished(tmp_path / "0", 0, [1, 1, 1, 0])])
    table, found = read_json(path), values(path)
    assert found[f"base/{TASK}", "success"] == 0.25 and found[f"wovr/{TASK}", "success"] == 0.75
    assert found[f"wovr/{TASK}", "gain"] == 0.5 and found[f"base/{TASK}", "sampled_success"] == 0
    assert found[f"wovr/{TASK}", "gate_1_precision"] == found[f"wovr/{TASK}", "gate_2_precision"] == 0.8
    assert found[f"wovr/{TASK}", "real_episodes"] == 240
    assert table["protocol"][f"wovr/{TASK}"]["max_steps"] == 112
    assert table["runs"][f"wovr/{TASK}"][0]["verdict"] == "as said"
    shown = markdown_table(table)
    assert all(column in shown for column in COLUMNS) and f"| base/{TASK} | 0.25 [0, 0.75] |" in shown


def test_a_run_that_its_gate_stopped_gives_the_base_and_the_gate(tmp_path: Path):
    path = tmp_path / "libero.json"
    collect_libero_results(path, "wovr", [finished(tmp_path / "0", 0, None)])
    found = values(path)
    assert found[f"base/{TASK}", "success"] == 0.25 and found[f"wovr/{TASK}", "gate_1_precision"] == 0.4
    assert (f"wovr/{TASK}", "success") not in found and (f"wovr/{TASK}", "gate_2_precision") not in found


def test_one_policy_for_several_tasks_has_rows_of_its_own_beside_those_of_one_task_alone(tmp_path: Path):
    path, alone, both = tmp_path / "libero.json", tmp_path / "alone", tmp_path / "both"
    collect_libero_results(path, "wovr", [finished(alone, 0, [1, 1, 1, 0])])
    finished(both, 0, [1, 1, 1, 0, 1, 1, 1, 1])
    write_json(both / "config.json", read_json(both / "config.json") | {"tasks": [TASK, "libero_goal/put_it_down"]})
    judged = read_json(both / "evaluation.json") | {"base": outcomes([1, 0, 0, 0, 0, 1, 0, 1], [0] * 8)}
    write_json(both / "evaluation.json", judged)
    collect_libero_results(path, "wovr", [both])
    found, whole = values(path), "2 tasks of libero_goal, libero_spatial"
    assert found[f"base/{TASK}", "success"] == found[f"base_together/{TASK}", "success"] == 0.25
    assert found["wovr_together/libero_goal/put_it_down", "gain"] == 0.5
    assert found[f"base_together/{whole}", "success"] == 0.375 and found[f"wovr_together/{whole}", "gain"] == 0.5
    assert found[f"wovr_together/{whole}", "gate_1_precision"] == 0.8
    assert f"wovr_together/{whole}" in read_json(path)["runs"]


def test_the_online_baseline_stands_beside_the_loop_and_seeds_are_pooled(tmp_path: Path):
    path = tmp_path / "libero.json"
    seeds = [finished(tmp_path / str(seed), seed, [1, 1, seed, 0]) for seed in (0, 1)]
    collect_libero_results(path, "wovr", seeds)
    collect_libero_results(path, "online_grpo", [online(tmp_path / "online")])
    found = {(row["setting"], row["metric"]): row for row in read_json(path)["rows"]}
    assert found[f"wovr/{TASK}", "success"]["per_seed"] == [0.5, 0.75]
    assert found[f"online_grpo/{TASK}", "success"]["value"] == 0.5
    assert found[f"online_grpo/{TASK}", "real_episodes"]["value"] == 256
    assert set(read_json(path)["protocol"]) == {f"wovr/{TASK}", f"online_grpo/{TASK}"}


def test_a_seed_can_be_added_later_with_its_card(tmp_path: Path):
    whole, grown = tmp_path / "whole.json", tmp_path / "grown.json"
    seeds = [finished(tmp_path / str(seed), seed, [1, 1, seed, 0]) for seed in (0, 1)]
    collect_libero_results(whole, "wovr", seeds)
    for folder in seeds:
        collect_libero_results(grown, "wovr", [folder], add=True)
    assert values(whole) == values(grown)
    assert [card["seed"] for card in read_json(grown)["runs"][f"wovr/{TASK}"]] == [0, 1]
    with pytest.raises(UserError, match="another protocol"):
        collect_libero_results(grown, "wovr", [finished(tmp_path / "2", 2, None, max_steps=220)], add=True)


def test_other_figures_stand_in_the_same_table_and_are_replaced_by_newer_ones(tmp_path: Path):
    path = tmp_path / "libero.json"
    collect_libero_results(path, "wovr", [finished(tmp_path / "0", 0, None)])
    before = values(path)
    for value in (3.0, 4.0):
        row = {"setting": "ours", "metric": "stepping_speedup", "task": "all", "depth": None, "value": value}
        put_rows(path, [row], {"stepping_speedup": {"resolution": 128}})
    assert values(path) == before | {("ours", "stepping_speedup"): 4.0}
    assert set(read_json(path)["protocol"]) == {f"wovr/{TASK}", "stepping_speedup"}


def test_runs_of_one_seed_or_of_several_protocols_are_not_pooled(tmp_path: Path):
    first, again = (finished(tmp_path / name, 0, None) for name in ("a", "b"))
    other = finished(tmp_path / "c", 1, None, max_steps=220)
    for folders in ([first, again], [first, other]):
        with pytest.raises(UserError, match="must differ in their seed"):
            collect_libero_results(tmp_path / "libero.json", "wovr", folders)


def test_an_old_baseline_without_a_protocol_is_refused(tmp_path: Path):
    folder = online(tmp_path / "online")
    found = read_json(folder / "online.json")
    write_json(folder / "online.json", {key: value for key, value in found.items() if key != "protocol"})
    with pytest.raises(UserError, match="does not say how it was evaluated"):
        collect_libero_results(tmp_path / "libero.json", "online_grpo", [folder])
