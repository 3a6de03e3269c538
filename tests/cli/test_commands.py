"""The command line as people type it: exit codes, one message for bad input, nothing damaged."""

from __future__ import annotations

import inspect
import re
import shutil
import sys
from pathlib import Path
from typing import get_args

import pytest
import torch
import typer.testing
from safetensors.torch import load_file, save_file

from wovr_lab.cli import app, main
from wovr_lab.cli.options import Commands
from wovr_lab.errors import UserError, warn
from wovr_lab.pace.loop import STAGE_NAMES
from wovr_lab.runs import read_json, write_json

NEEDED = {"evaluate": ("--policy", "x"), "demonstrations": ("--env", "libero:x")}
ROOT = Path(__file__).parents[2]


@pytest.fixture
def wovr_lab(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """`wovr_lab("run", ...)` -> (exit code, what was printed)."""

    def call(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["wovr-lab", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main()
        captured = capsys.readouterr()
        return int(stopped.value.code or 0), captured.out + captured.err

    return call


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file with its time and bytes."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def commands() -> set[str]:
    named = {command.name or command.callback.__name__ for command in app.registered_commands}
    return {name.replace("_", "-") for name in named}


def test_every_stage_and_everything_around_it_is_a_command():
    assert {stage.replace("_", "-") for stage in STAGE_NAMES} <= commands()
    around = {
        "run", "resume", "evaluate", "measure", "gate-history", "report", "online", "sft-control", "pretrain",
        "train-probe", "pretrain-pixels", "results", "tables", "inspect", "doctor",
    }  # fmt: skip
    assert around <= commands()


def test_no_command_prints_the_list_of_commands(wovr_lab):
    code, said = wovr_lab()
    assert code in (0, 2)
    assert "train-world" in said and "doctor" in said


@pytest.mark.parametrize(
    "arguments, named",
    [
        (("run", "--scale", "huge"), "unknown scale 'huge'; scales: smoke, demo, full"),
        (("gate-1", "--scale", "huge"), "unknown scale 'huge'"),
        (("resume", "nowhere"), "nowhere/config.json does not exist"),
        (("report", "nowhere"), "does not exist"),
        (("measure", "nowhere"), "nowhere/config.json does not exist"),
        (("gate-history", "nowhere"), "none of these folders"),
        (("evaluate", "--policy", "nowhere"), "nowhere holds no policy"),
        (("results", "wovr", "nowhere"), "nowhere/config.json does not exist"),
        (("tables",), "README.md does not exist here"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_bad_input_is_one_message_and_exit_code_2_and_makes_nothing(wovr_lab, tmp_path, monkeypatch, arguments, named):
    monkeypatch.chdir(tmp_path)
    code, said = wovr_lab(*arguments)
    assert code == 2
    assert named in said
    assert "Traceback" not in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", [("run", "--bogus"), ("dream",), ("evaluate", "--policy", "x", "--starts", "0")])
def test_what_the_command_line_does_not_know_is_exit_code_2(wovr_lab, command):
    assert wovr_lab(*command)[0] == 2


def test_a_folder_that_holds_something_else_is_refused_and_left_alone(wovr_lab, tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    before = contents(tmp_path)
    code, said = wovr_lab("run", "--scale", "smoke", "--run", tmp_path)
    assert code == 2 and "is not empty and is not a run" in said
    assert contents(tmp_path) == before


def test_a_file_in_place_of_a_run_folder_is_refused(wovr_lab, tmp_path):
    file = tmp_path / "file"
    file.write_text("precious")
    for folder in (file, file / "run"):
        code, said = wovr_lab("sft", "--scale", "smoke", "--run", folder)
        assert code == 2 and "choose another folder" in said
    assert file.read_text() == "precious"


def test_a_configuration_that_is_not_ours_cannot_be_resumed(wovr_lab, tmp_path):
    write_json(tmp_path / "config.json", {"learning_rate": 1})
    code, said = wovr_lab("resume", tmp_path)
    assert code == 2 and "is no run folder" in said


def test_a_stage_command_stops_after_its_stage(wovr_lab, tmp_path):
    folder = tmp_path / "run"
    code, said = wovr_lab("sft", "--scale", "smoke", "--run", folder)
    assert code == 0
    assert "demonstrate ..." in said and "sft ..." in said and "collect" not in said
    assert sorted(path.stem for path in (folder / "stages").iterdir()) == ["demonstrate", "sft"]
    assert not (folder / "episodes" / "base.hdf5").exists()
    assert not (folder / "report.json").exists()
    code, said = wovr_lab("sft", "--scale", "smoke", "--run", folder)
    assert code == 0 and said.count("done before") == 2


OUTPUTS = {  # where each command writes besides its run folder
    "export": ("export", "nowhere", "--out"), "evaluate": ("evaluate", "--policy", "nowhere", "--out"),
    "train-probe": ("train-probe", "--out"), "pretrain": ("pretrain", "--run", "run", "--out"),
    "pretrain-pixels": ("pretrain-pixels", "--run", "run", "--out"),
    "gate-history": ("gate-history", "nowhere", "--out"),
    "measure table": ("measure", "nowhere", "--table"), "ablate table": ("ablate", "nowhere", "--table"),
    "ablate picture": ("ablate", "nowhere", "--table", "new.json", "--picture"),
    "learning-curve table": ("study", "learning-curve", "nowhere", "--table"),
    "learning-curve picture": ("study", "learning-curve", "nowhere", "--table", "new.json", "--picture"),
    "pretrain run": ("pretrain", "--out", "new", "--run"), "pixels run": ("pretrain-pixels", "--out", "new", "--run"),
}  # fmt: skip


@pytest.mark.parametrize("arguments", OUTPUTS.values(), ids=OUTPUTS)
def test_no_command_writes_over_what_is_somebody_elses(wovr_lab, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "thesis/chapter").mkdir(parents=True)
    (tmp_path / "thesis/chapter/one.txt").write_text("precious")
    (tmp_path / "letter").write_text("precious")
    before = contents(tmp_path)
    for place in ("thesis", "letter", "letter/x", ".."):
        code, said = wovr_lab(*arguments, place)
        assert code == 2 and "Traceback" not in said
        assert any(word in said for word in ("choose another", "give the name of a file")), said
        assert contents(tmp_path) == before
        assert "evaluated" not in said and "play:" not in said


def test_every_option_that_names_an_output_is_among_those_tried():
    names = {"out", "table", "picture"}
    every = [
        *app.registered_commands,
        *(each for group in app.registered_groups for each in group.typer_instance.registered_commands),
    ]
    found = set()
    for command in every:
        name = (command.name or command.callback.__name__).replace("_", "-")
        found |= {(name, option) for option in inspect.signature(command.callback).parameters if option in names}
    tried = {
        (a[1] if a[0] == "study" else a[0], option[2:]) for a in OUTPUTS.values() for option in a if option[2:] in names
    }
    in_their_own_tests = {("demonstrations", "out"), ("ablate", "out")}  # need LIBERO, and a run
    assert found - tried == in_their_own_tests


def test_no_command_takes_a_number_that_is_none(wovr_lab, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tried = 0
    for command in app.registered_commands:
        name = (command.name or command.callback.__name__).replace("_", "-")
        for option, parameter in inspect.signature(command.callback).parameters.items():
            if get_args(parameter.annotation)[:1] == (float,):
                for value in ("nan", "inf", "-inf"):
                    given = (name, *NEEDED.get(name, ()), f"--{option.replace('_', '-')}={value}")
                    code, said = wovr_lab(*given)
                    assert code == 2 and "Traceback" not in said and option.split("_")[0] in said, (given, said)
                    tried += 1
    assert tried >= 9 and not list(tmp_path.iterdir())


def test_a_tilde_is_the_home_folder(wovr_lab, tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    write_json(tmp_path / "home/x/config.json", {"learning_rate": 1})
    code, said = wovr_lab("report", "~/x")
    assert code == 2 and "names no scale" in said and not (tmp_path / "~").exists()


def test_the_same_run_twice_is_refused(wovr_lab, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command in (("results", "wovr"), ("gate-history",), ("study", "learning-curve")):
        code, said = wovr_lab(*command, "a", "./a")
        assert code == 2 and "names one path twice" in said


def test_a_warning_is_an_error_with_strict():
    @(strict_app := Commands()).command()
    def work() -> None:
        warn("is this meant?")

    run = typer.testing.CliRunner().invoke
    told = run(strict_app, [])
    assert told.exit_code == 0 and told.output == "warning: is this meant?\n"
    refused = run(strict_app, ["--strict"])
    assert isinstance(refused.exception, UserError) and "without --strict" in str(refused.exception)


@pytest.mark.parametrize("command", ["resume", "report"])
def test_a_lost_or_damaged_configuration_is_said_alike_by_all_that_open_a_run(wovr_lab, tmp_path, command):
    run = tmp_path / "run"
    write_json(run / "stages/sft.json", {})
    code, said = wovr_lab(command, run)
    assert code == 2 and "although" in said and "wovr-lab demonstrate --scale" in said
    for text in (
        "[]",
        "{}",
        '{"scale": 1, "seed": 0, "tasks": []}',
        '{"scale": "smoke", "seed": 0, "tasks": [1]}',
        "{",
        "\udcff",
    ):
        (run / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
        code, said = wovr_lab(command, run)
        assert code == 2 and "config.json" in said and "Traceback" not in said


@pytest.mark.smoke
@pytest.mark.parametrize("changed, named", [(("--seed", "1"), "(seed)"), (("--scale", "demo"), "scale, tasks")])
def test_a_run_made_with_other_settings_is_refused_by_their_names_and_untouched(wovr_lab, smoke_run, changed, named):
    before = contents(smoke_run)
    code, said = wovr_lab("run", "--scale", "smoke", "--run", smoke_run, *changed)
    assert code == 2
    assert "was made with other settings" in said and named in said
    assert contents(smoke_run) == before


@pytest.mark.smoke
def test_running_a_finished_run_again_skips_every_stage_and_shows_its_report(wovr_lab, smoke_copy):
    shutil.rmtree(smoke_copy / "pictures")
    (smoke_copy / "report.html").unlink()
    before = read_json(smoke_copy / "report.json")
    code, said = wovr_lab("run", "--scale", "smoke", "--run", smoke_copy)
    assert code == 0
    assert said.count("done before") == len(STAGE_NAMES)
    assert "minutes" not in said  # no estimate for what is done
    assert "report.html" in said
    assert (smoke_copy / "report.html").is_file() and list((smoke_copy / "pictures").iterdir())
    assert read_json(smoke_copy / "report.json") == before


@pytest.mark.smoke
def test_a_report_can_be_drawn_again_from_its_numbers(wovr_lab, smoke_copy):
    (smoke_copy / "report.html").unlink()
    code, said = wovr_lab("report", smoke_copy)
    assert code == 0 and "real success" in said
    assert (smoke_copy / "report.html").stat().st_size > 10_000


@pytest.mark.smoke
def test_a_run_changed_from_python_goes_on_with_its_own_settings(wovr_lab, smoke_copy):
    write_json(smoke_copy / "config.json", read_json(smoke_copy / "config.json") | {"check_starts": 3})
    (smoke_copy / "report.json").unlink()
    code, said = wovr_lab("resume", smoke_copy)
    assert code == 0 and said.count("done before") == len(STAGE_NAMES)


@pytest.mark.smoke
def test_a_run_with_a_setting_that_this_version_does_not_know_is_refused_by_its_name(wovr_lab, smoke_copy):
    write_json(smoke_copy / "config.json", read_json(smoke_copy / "config.json") | {"rollout": 4})
    code, said = wovr_lab("resume", smoke_copy)
    assert code == 2 and "has no setting 'rollout'; did you mean rollouts?" in said


@pytest.mark.smoke
def test_any_policy_can_be_evaluated_on_a_few_held_out_starts(wovr_lab, smoke_run, tmp_path):
    out = tmp_path / "result.json"
    policy = smoke_run / "checkpoints" / "base"
    code, said = wovr_lab("evaluate", "--policy", policy, "--starts", 1, "--temperature", 0.5, "--out", out)
    assert code == 0
    found = read_json(out)
    assert found["success"]["all"]["n"] == len(found["success"]) - 1  # one start of every task
    assert (found["temperature"], found["seed"]) == (0.5, 0)
    assert re.search(r"all +\d+\.\d%  \[", said)


def rewritten(folder: Path, change) -> Path:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    save_file(change(tensors), path, {"format": "pt"})
    return folder


@pytest.mark.smoke
def test_a_policy_of_another_architecture_is_refused_by_what_differs(wovr_lab, smoke_run, tmp_path):
    policy = Path(shutil.copytree(smoke_run / "checkpoints" / "base", tmp_path / "policy"))
    rewritten(policy, lambda tensors: {name: tensor[:1].clone() for name, tensor in tensors.items()})
    code, said = wovr_lab("evaluate", "--policy", policy, "--starts", 1)
    assert code == 2
    assert "holds weights of another architecture" in said and "expected" in said


@pytest.mark.smoke
def test_a_policy_whose_weights_are_not_finite_is_refused(wovr_lab, smoke_run, tmp_path):
    policy = Path(shutil.copytree(smoke_run / "checkpoints" / "base", tmp_path / "policy"))
    rewritten(policy, lambda tensors: tensors | {name: tensors[name] * torch.nan for name in list(tensors)[-1:]})
    code, said = wovr_lab("evaluate", "--policy", policy, "--starts", 1)
    assert code == 2 and "NaN or infinity" in said


@pytest.mark.smoke
def test_a_world_model_is_not_taken_for_a_policy(wovr_lab, smoke_run):
    code, said = wovr_lab("evaluate", "--policy", smoke_run / "checkpoints" / "world", "--starts", 1)
    assert code == 2 and "holds no policy" in said


@pytest.mark.smoke
def test_two_seeds_become_a_table_in_the_readme(wovr_lab, smoke_run, tmp_path, monkeypatch):
    """The second seed is a copy of the first with another number."""
    second = Path(shutil.copytree(smoke_run, tmp_path / "second"))
    write_json(second / "config.json", read_json(second / "config.json") | {"seed": 1})
    monkeypatch.chdir(tmp_path)
    Path("README.md").write_text("# Results\n<!-- table: tabletop_smoke -->\n<!-- end of table -->\n")
    code, _ = wovr_lab("results", "wovr_smoke", smoke_run, second)
    assert code == 0
    readme = Path("README.md").read_text()
    assert "| setting | all | push_red | red_on_plate | seeds |" in readme
    assert re.search(r"\| wovr_smoke \| \d+\.\d \[", readme) and "| base |" in readme
    Path("README.md").write_text(readme.replace("| wovr_smoke |", "| wrong |"))
    assert wovr_lab("tables")[0] == 0
    assert Path("README.md").read_text() == readme


def test_the_doctor_names_everything_and_fails_only_if_something_needed_is_missing(wovr_lab):
    code, said = wovr_lab("doctor")
    for name in ("Python", "torch", "tabletop", "backbone", "disk", "chromium", "LIBERO"):
        assert f" {name}: " in said
    backbone = (ROOT / "data" / "backbone" / "world.json").exists()
    assert code == (0 if backbone else 2)
    assert ("ok       backbone" in said) == backbone
