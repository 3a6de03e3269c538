"""Settings as people give them on the command line: a scale, a file, single changes, and what is wrong with them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from wovr_lab.cli import app
from wovr_lab.cli.configuring import configured, shown
from wovr_lab.errors import UserError
from wovr_lab.pace.presets import preset
from wovr_lab.pace.settings import changed
from wovr_lab.runs import read_json

SMOKE = preset("smoke")


def test_without_file_or_changes_the_preset_stays():
    assert configured(SMOKE, None, None) == SMOKE


def test_what_is_shown_can_be_given_back_whole(tmp_path: Path):
    path, config = tmp_path / "config.json", changed(preset("demo", 5), {"rl.keyframe_share": 0.25})
    path.write_text(shown(config))
    assert configured(SMOKE, path, None) == config


def test_a_file_changes_the_preset_and_an_option_the_file(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_text('[rl]\nkeyframe_share = 0.25\ngroups = 5\ngroup_size = 3\n[rl.mask]\nkind = "NoMask"\n')
    found = configured(SMOKE, path, ["rl.groups=7"])
    assert (found.rl.keyframe_share, found.rl.groups, found.rl.group_size) == (0.25, 7, 3)
    assert type(found.rl.mask).__name__ == "NoMask"
    assert replace(found, rl=SMOKE.rl) == SMOKE


@pytest.mark.parametrize(
    ("text", "changes", "said"),
    [
        ("groups = 3", None, "RunConfig has no setting 'groups'; did you mean rl.groups"),
        ("[rl]\nkeyframe_share = ", None, "cannot be read as TOML"),
        ('scale = "full"', None, "give it as --scale"),
        ("", ["rl.group=3"], "did you mean groups"),
        ("", ["rl"], "write NAME=VALUE"),
        ("", ["rl.keyframe_share=2"], "keyframe_share is 2.0, not a number, 0 or more and at most 1"),
    ],
)
def test_what_cannot_be_set_is_one_error(tmp_path: Path, text, changes, said):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=said):
        configured(SMOKE, path, changes)
    with pytest.raises(UserError):
        configured(SMOKE, tmp_path / "missing.toml", None)


def test_showing_the_settings_runs_nothing(tmp_path: Path):
    folder = tmp_path / "run"
    given = ["run", "--scale", "smoke", "--run", str(folder), "--set", "rl.groups=3", "--show-config"]
    result = CliRunner().invoke(app, given, catch_exceptions=False)
    assert result.exit_code == 0 and json.loads(result.output)["rl"]["groups"] == 3
    assert not folder.exists()


@pytest.mark.smoke
def test_a_run_that_was_changed_on_the_command_line_says_so_and_is_resumed(tmp_path: Path):
    folder = tmp_path / "run"
    given = ["sft", "--scale", "smoke", "--run", str(folder), "--set", "imitation.training.fit.steps=4"]
    assert CliRunner().invoke(app, given, catch_exceptions=False).exit_code == 0
    assert read_json(folder / "config.json")["imitation"]["training"]["fit"]["steps"] == 4
    again = CliRunner().invoke(app, ["collect", *given[1:]], catch_exceptions=False)
    assert again.exit_code == 0 and again.output.count("done before") == 2


@pytest.mark.smoke
def test_the_baselines_take_the_same_changes(tmp_path: Path):
    folder = tmp_path / "online"
    given = ["online", "--scale", "smoke", "--run", str(folder), "--trajectories", "4", "--set", "rl.temperature=1.2"]
    result = CliRunner().invoke(app, [*given, "--set", "evaluation.starts=1"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert read_json(folder / "config.json")["rl"]["temperature"] == 1.2
