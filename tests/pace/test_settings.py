"""Configurations as JSON and back: every preset exactly, older files, changes by dotted names, one error for others."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from wovr_lab.errors import UserError
from wovr_lab.grpo.formulas import NoMask
from wovr_lab.pace.config import SCALES, DataConfig, EvaluationConfig, PixelWorldConfig, RunConfig, load_config
from wovr_lab.pace.presets import WORLDS, config_for, preset
from wovr_lab.pace.settings import assignment, changed, flattened, from_dict, to_dict
from wovr_lab.policy.exploration import ChunkSharedNoise

LIBERO = ("libero_goal/put_the_bowl_on_the_plate", "libero_goal/put_the_bowl_on_the_stove")


def reread(config: RunConfig) -> RunConfig:
    return from_dict(RunConfig, json.loads(json.dumps(to_dict(config))))


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("scale", SCALES)
def test_every_preset_reads_back_exactly_from_its_own_json(scale, world):
    config = config_for("tabletop", scale, 3, world)
    assert reread(config) == config


@pytest.mark.libero
@pytest.mark.parametrize("scale", SCALES)
def test_so_do_those_of_libero(scale):
    for tasks in (LIBERO[:1], LIBERO):
        config = preset(scale, 1, tasks=tasks)
        assert reread(config) == config


def test_mechanisms_that_were_changed_read_back_as_what_they_are():
    config = changed(preset("smoke"), {"rl.mask": NoMask(), "world.refresh": None, "rl.filtered_bc": None})
    found = from_dict(RunConfig, to_dict(config))
    assert found == config and isinstance(found.rl.mask, NoMask)


def test_what_an_older_version_did_not_write_has_its_default():
    config = preset("smoke", 4)
    found = to_dict(config)
    del found["data"]["gate_groups"], found["rl"]["noise"], found["evaluation"]
    assert from_dict(RunConfig, found) == replace(
        config, data=replace(config.data, gate_groups=DataConfig().gate_groups), evaluation=EvaluationConfig()
    )


def test_the_shipped_run_says_how_it_was_made():
    config = load_config(Path(__file__).parents[2] / "data/demo")
    assert (config.scale, config.seed, config.rl.temperature) == ("demo", 0, 0.8)
    assert config.rl.noise == ChunkSharedNoise() and config.reward.refresh
    assert isinstance(config.world, PixelWorldConfig)


def test_changes_by_dotted_name_reach_where_they_point_and_nothing_else():
    config = preset("smoke")
    found = changed(config, {"rl.groups": 5, "world.training.fit.steps": 7, "rl.mask": {"kind": "NoMask"}})
    training = replace(config.world.training, fit=replace(config.world.training.fit, steps=7))
    wanted = replace(
        config, rl=replace(config.rl, groups=5, mask=NoMask()), world=replace(config.world, training=training)
    )
    assert found == wanted


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rl.learnin_rate": 1}, "RLConfig has no setting 'learnin_rate'; did you mean learning_rate"),
        ({"group": 1}, "RunConfig has no setting 'group'"),
        ({"act_in_real": True}, "did you mean rl.monitor.act_in_real"),
        ({"rl.groups": "many"}, "rl.groups is 'many'"),
        ({"rl.groups": 1.5}, "rl.groups is 1.5"),
        ({"rl.groups": True}, "should be a number"),
        ({"rl.learning_rate": float("nan")}, "finite"),
        ({"rl.groups.size": 1}, "it has no parts to set"),
        ({"rl.mask": 3}, "a table of settings of SuccessMask or NoMask"),
        ({"rl.mask": {"kind": "HalfMask"}}, "the kinds known here are SuccessMask, NoMask"),
        ({"rl.group_size": 1}, "group_size is 1, not a whole number, 2 or more"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_one_error_that_names_it(changes, said):
    with pytest.raises(UserError, match=said):
        changed(preset("smoke"), changes)


def test_assignments_are_json_or_text_and_must_assign():
    assert assignment("rl.learning_rate=1e-4") == ("rl.learning_rate", 1e-4)
    assert assignment("world.refresh=null") == ("world.refresh", None)
    assert assignment("world.backbone=data/a=b") == ("world.backbone", "data/a=b")
    for text in ("rl.groups", "=3"):
        with pytest.raises(UserError, match="write NAME=VALUE"):
            assignment(text)


def test_nested_tables_are_dotted_names_and_a_kind_is_one_value():
    found = flattened({"seed": 1, "rl": {"groups": 2, "mask": {"kind": "NoMask"}}})
    assert found == {"seed": 1, "rl.groups": 2, "rl.mask": {"kind": "NoMask"}}
