"""The whole loop at smoke scale: what it writes, what it skips and redoes, and what the gate stops."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer

from wovr_lab.cli.commands import REFUSED, _loop
from wovr_lab.episodes import EpisodeStore
from wovr_lab.errors import UserError
from wovr_lab.measure.gate import GateBounds
from wovr_lab.pace.config import LoopConfig
from wovr_lab.pace.data import SEEDS
from wovr_lab.pace.loop import STAGE_NAMES, run_loop
from wovr_lab.pace.scales import scale_config
from wovr_lab.pace.settings import described
from wovr_lab.pace.stages import digest
from wovr_lab.runs import read_json, write_json

pytestmark = pytest.mark.smoke
CONFIG = scale_config("smoke")
INTERVAL = {"rate", "n", "low", "high"}


def intervals(value: Any) -> Iterator[dict[str, Any]]:
    """Every rate with its interval, at any depth."""
    if isinstance(value, dict):
        if set(value) >= INTERVAL:
            yield value
        for entry in value.values():
            yield from intervals(entry)
    if isinstance(value, list):
        for entry in value:
            yield from intervals(entry)


def stages_done(text: str) -> list[str]:
    """The stages that were not skipped, as the loop said."""
    return [line.removesuffix(" ...") for line in text.splitlines() if line.endswith(" ...")]


@pytest.fixture(scope="module")
def report(smoke_run: Path) -> dict[str, Any]:
    return read_json(smoke_run / "report.json")


def test_the_report_has_every_key_of_schema_1(report):
    assert report["schema"] == 1
    assert (report["scale"], report["seed"]) == ("smoke", 0)
    assert {"environment", "tasks", "initial_states", "max_steps", "temperature"} <= report["protocol"].keys()
    counts = {"demonstrations", "real_episodes", "real_frames", "pretraining_frames"}
    assert counts | {"imagined_episodes", "imagined_frames"} <= report["budget"].keys()
    assert {"base", "wovr", "base_sampled", "wovr_sampled"} <= report["success"].keys()
    assert all(set(row) == INTERVAL for row in report["success"].values())
    assert report["success_by_task"].keys() == set(CONFIG.tasks)
    assert all(rows.keys() == {"base", "wovr"} for rows in report["success_by_task"].values())
    for gate in (report["gate"]["gate_1"], report["gate"]["gate_2"]):
        assert {"passed", "precision", "policies"} <= gate.keys()
        assert len(gate["policies"]) == CONFIG.gate_policies
        assert all(policy.keys() == {"name", "real", "imagined", "precision"} for policy in gate["policies"])
    assert report["hallucination"].keys() == {"imagined_and_real", "imagined_only", "real_only", "neither"}
    assert report["world"]["frames_per_second"] > 0
    assert [depth for depth, _ in report["world"]["psnr_by_depth"]] == list(range(8, CONFIG.max_steps + 1, 8))
    assert {"cpus", "device", "torch", "commit"} <= report["machine"].keys()


def test_every_rate_is_a_fraction_within_its_interval_and_counts_what_was_run(report):
    found = list(intervals(report["success"] | report["gate"]))
    assert len(found) > 20
    assert all(0 <= row["low"] <= row["rate"] <= row["high"] <= 1 for row in found)
    assert all(row["n"] == len(CONFIG.tasks) * CONFIG.evaluation_starts for row in report["success"].values())
    assert sum(report["hallucination"].values()) == len(CONFIG.tasks) * CONFIG.confusion_rollouts


def test_stages_are_reported_in_the_order_of_the_loop(report):
    assert [stage["name"] for stage in report["stages"]] == list(STAGE_NAMES)
    assert all(stage["seconds"] >= 0 for stage in report["stages"])


def test_the_budget_is_the_sum_of_the_ledger_and_is_not_overspent(report, smoke_run):
    def booked(kind: str, key: str) -> int:
        return sum(entry[key] for entry in report["ledger"] if entry["kind"] == kind)

    budget = report["budget"]
    assert budget["demonstrations"] == booked("demonstrations", "episodes") == 4
    near_misses = len(
        EpisodeStore([smoke_run / "episodes/nearly.hdf5"])
    )  # of two attempts, those that would have succeeded
    assert CONFIG.real_episodes == 64
    assert budget["real_episodes"] == booked("real", "episodes") == 64 - (2 - near_misses)
    assert budget["real_frames"] == booked("real", "frames") > 50
    assert budget["pretraining_frames"] == booked("pretraining", "frames") > 0
    draws = 2 * CONFIG.grpo.max_resamples  # an iteration's are all made, since nothing succeeds at this scale
    assert budget["imagined_episodes"] == booked("imagined", "episodes") == 2 * draws * 4 == 32
    assert budget["imagined_frames"] == booked("imagined", "frames") > 0
    assert budget["real_episodes"] <= budget["real_episodes_allowed"]


def test_looking_at_real_success_is_booked_as_measurement_and_never_as_data(report):
    by_stage = {stage: 0 for stage in ("improve_1", "improve_2", "evaluate")}
    for entry in report["ledger"]:
        if entry["kind"] == "measurement":
            by_stage[entry["stage"]] += entry["episodes"]
    checks = 2 * len(CONFIG.tasks) * CONFIG.check_starts  # the first and the last iteration
    judged = len(CONFIG.tasks) * (2 * CONFIG.evaluation_starts + CONFIG.confusion_rollouts + 4)
    assert by_stage == {"improve_1": checks, "improve_2": checks, "evaluate": 2 * judged}


def test_the_run_folder_explains_itself(smoke_run):
    for name in ("config.json", "metrics.jsonl", "evaluation.json", "gate_1.json", "gate_2.json", "report.html"):
        assert (smoke_run / name).is_file()
    assert read_json(smoke_run / "config.json") == described(CONFIG)
    assert "<html" in (smoke_run / "report.html").read_text()[:500]
    assert list((smoke_run / "pictures").glob("strip-*.png"))
    assert list((smoke_run / "videos").glob("*.mp4"))
    assert not list(smoke_run.rglob("*.partial"))
    assert not list((smoke_run / "resume").iterdir())
    phases = {json.loads(line)["phase"] for line in (smoke_run / "metrics.jsonl").read_text().splitlines()}
    assert {
        "sft/base",
        "reward",
        "codec",
        "world",
        "improve_1",
        "improve_1/real",
        "improve_1/monitor",
        "world_evolved",
    } <= phases


def test_training_seeds_stay_below_the_evaluation(smoke_run):
    purposes = {
        "demonstrations": "demonstrations",
        "base": "rollouts",
        "fresh": "fresh",
        "examples": "examples",
        "nearly": "examples",
    }
    for name, purpose in purposes.items():
        first, size = SEEDS[purpose]
        found = {summary.seed for summary in EpisodeStore([smoke_run / f"episodes/{name}.hdf5"]).summaries}
        assert found and all(first <= seed < first + size for seed in found)


def test_a_second_run_skips_every_stage_and_returns_the_same_report(smoke_copy, report, capsys):
    again = run_loop(CONFIG, smoke_copy)
    said = capsys.readouterr().out
    assert stages_done(said) == []
    assert said.count("done before") == len(STAGE_NAMES)
    assert again == report


def test_a_deleted_checkpoint_redoes_its_stage_alone_and_comes_out_bit_equal(smoke_copy, smoke_run, report, capsys):
    name = "checkpoints/improved_2/model.safetensors"
    (smoke_copy / name).unlink()
    (smoke_copy / "checkpoints/improved_2").rename(smoke_copy / "checkpoints/elsewhere")
    again = run_loop(CONFIG, smoke_copy)
    assert stages_done(capsys.readouterr().out) == ["improve_2"]
    assert digest(smoke_copy / name) == digest(smoke_run / name)
    assert (again["success"], again["ledger"]) == (report["success"], report["ledger"])
    rows = [(row["phase"], row["step"]) for row in map(json.loads, (smoke_copy / "metrics.jsonl").open())]
    assert len(rows) == len(set(rows))


def test_a_truncated_episode_file_is_one_clear_error_and_deleting_it_makes_it_anew(smoke_copy, smoke_run, capsys):
    path = smoke_copy / "episodes" / "base.hdf5"
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(UserError, match=r"base\.hdf5 cannot be used as episodes") as raised:
        run_loop(CONFIG, smoke_copy)
    assert "delete it" in str(raised.value)
    assert digest(smoke_copy / "checkpoints") == digest(smoke_run / "checkpoints")
    path.unlink()
    capsys.readouterr()
    run_loop(CONFIG, smoke_copy)
    assert stages_done(capsys.readouterr().out) == ["collect"]
    assert path.read_bytes() == (smoke_run / "episodes" / "base.hdf5").read_bytes()


@pytest.fixture
def distrusted(smoke_copy: Path) -> tuple[LoopConfig, Path]:
    """The run as if it had been made with bounds that no gate can meet, at a scale where the gate is heard."""
    config = replace(CONFIG, scale="demo", gate=GateBounds(1.0, 1.0))
    write_json(smoke_copy / "config.json", described(config))
    (smoke_copy / "gate_1.json").unlink()
    return config, smoke_copy


def test_a_gate_that_does_not_pass_stops_rl_and_the_base_is_judged_alone(distrusted, capsys):
    config, folder = distrusted
    with pytest.raises(typer.Exit) as stopped:
        _loop(config, folder, force=False)
    assert stopped.value.exit_code == REFUSED == 3
    assert stages_done(capsys.readouterr().out) == ["gate_1", "evaluate"]
    found = read_json(folder / "report.json")
    assert not found["gate"]["gate_1"]["passed"] and found["gate"]["gate_1"]["reasons"]
    assert found["gate"]["gate_2"] == {}
    assert found["success"].keys() == {"base", "base_sampled"}
    assert "improve_1" not in [stage["name"] for stage in found["stages"]]
    assert not list((folder / "comparison").glob("wovr*"))
    assert "so nothing was trained in imagination" in found["verdict"]
    assert (folder / "report.html").is_file()


def test_a_stage_that_the_gate_refused_says_how_to_overrule_it_and_force_does(distrusted, capsys):
    config, folder = distrusted
    with pytest.raises(UserError, match=r"improve_1 needs RL in imagination.*gate_1.*--force"):
        run_loop(config, folder, until="improve_1")
    (folder / "checkpoints/improved_1").rename(folder / "checkpoints/elsewhere")
    capsys.readouterr()
    assert run_loop(config, folder, force=True, until="improve_1") is None
    assert stages_done(capsys.readouterr().out) == ["improve_1"]
    assert (folder / "checkpoints/improved_1/model.safetensors").is_file()


def test_an_unknown_stage_is_refused_before_anything_is_made(tmp_path):
    with pytest.raises(UserError, match="unknown stage 'dream'; stages: demonstrate, sft"):
        run_loop(CONFIG, tmp_path / "run", until="dream")
    assert not (tmp_path / "run").exists()
