"""`wovr-lab evaluate --env libero:...` as people type it: a table, a protocol, films; and bad names."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from wovr_lab.cli import main
from wovr_lab.policy.checkpoints import save_policy
from wovr_lab.policy.language import build_tokenizer
from wovr_lab.policy.vla import VLAConfig, VLAPolicy
from wovr_lab.runs import read_json

TASK = "libero_object/pick_up_the_milk_and_place_it_in_the_basket"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    config = VLAConfig(stem_width=8, hidden_size=32, num_hidden_layers=2, num_attention_heads=2)
    save_policy(VLAPolicy.create(config, build_tokenizer(["pick up the milk"]), run_seed=0), tmp_path / "policy")
    return tmp_path / "policy"


@pytest.fixture
def evaluate(monkeypatch, capsys, checkpoint: Path):
    """`evaluate("libero:...", ...)` -> (exit code, what was printed)."""

    def call(env: str, *further: object) -> tuple[int, str]:
        arguments = ["wovr-lab", "evaluate", "--policy", checkpoint, "--env", env, *further]
        monkeypatch.setattr(sys, "argv", list(map(str, arguments)))
        with pytest.raises(SystemExit) as stopped:
            main()
        captured = capsys.readouterr()
        return int(stopped.value.code or 0), captured.out + captured.err

    return call


@pytest.mark.libero
def test_a_checkpoint_is_evaluated_on_held_out_states_with_its_protocol_and_films(evaluate, tmp_path: Path):
    code, said = evaluate(f"libero:{TASK}", "--starts", 1, "--rows", 1, "--run", tmp_path / "run")
    assert code == 0 and TASK in said and "n = 1" in said
    card = read_json(tmp_path / "run" / "protocol.json")
    assert card["renderer"] == "fast" and card["seeds"] == [10_000] and card["versions"]["robosuite"] == "1.4.0"
    assert card["max_steps"] == 280 and card["view"] == "whole" and len(card["policy"]) == 64
    assert [entry["actions"] for entry in read_json(tmp_path / "run" / "episodes.json")] == [280]
    assert (tmp_path / "run" / "videos" / f"{TASK.replace('/', '-')}-failure.mp4").stat().st_size > 10_000
    for bad, named in {"libero:objekt": "did you mean libero_object", "libero:object/milk": "did you mean"}.items():
        code, said = evaluate(bad)
        assert code == 2 and named in said
    code, said = evaluate(f"libero:{TASK}", "--renderer", "fancy")
    assert code == 2 and "choose fast or package" in said


@pytest.mark.libero
def test_a_policy_trained_on_the_workspace_is_evaluated_on_the_workspace():
    from wovr_lab.experiments.libero_evaluation import LiberoEvaluationConfig, make_env

    env = make_env(LiberoEvaluationConfig(TASK, 1, False, "fast", 1, 1), VLAConfig(resolution=64, view="workspace"))
    assert env.resolution == 64 and env.workers.make_env.__self__.view == "workspace"
    env.workers.close()


@pytest.mark.skipif(importlib.util.find_spec("libero") is not None, reason="the libero extra is installed")
def test_without_the_extra_one_message_says_how_to_get_it(evaluate):
    code, said = evaluate("libero:object")
    assert code == 2 and "make libero" in said


def test_unknown_environments_are_refused(evaluate):
    code, said = evaluate("atari")
    assert code == 2 and "use tabletop or libero:SUITE[/TASK]" in said
