"""Configurations as JSON and back: every preset exactly, older files, changes by dotted names, one error for others."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from wovr_lab.errors import UserError
from wovr_lab.grpo.formulas import NoMask
from wovr_lab.pace.config import SCALES, LoopConfig
from wovr_lab.pace.scales import WORLDS, config_in, config_of, scale_config
from wovr_lab.pace.settings import assignment, changed, described, flattened, parsed
from wovr_lab.policy.exploration import IndependentNoise

LIBERO = ("libero_goal/put_the_bowl_on_the_plate", "libero_goal/put_the_bowl_on_the_stove")


def reread(config: LoopConfig) -> LoopConfig:
    return parsed(LoopConfig, json.loads(json.dumps(described(config))))


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("scale", SCALES)
def test_every_preset_reads_back_exactly_from_its_own_json(scale, world):
    config = config_in("tabletop", scale, 3, world)
    assert reread(config) == config


@pytest.mark.libero
@pytest.mark.parametrize("scale", SCALES)
def test_so_do_those_of_libero(scale):
    for tasks in (LIBERO[:1], LIBERO):
        config = scale_config(scale, 1, tasks=tasks)
        assert reread(config) == config


def test_mechanisms_that_were_changed_read_back_as_what_they_are():
    config = scale_config("smoke", mask=NoMask(), world_refresh=None, imitate_successes=None)
    found = parsed(LoopConfig, described(config))
    assert found == config and isinstance(found.mask, NoMask)


def test_what_an_older_version_did_not_write_has_its_default():
    config = scale_config("smoke", 4)
    found = described(config)
    del found["gate_groups"], found["grpo"]["noise"]
    assert parsed(LoopConfig, found) == replace(config, gate_groups=LoopConfig().gate_groups)


def test_the_shipped_run_says_how_it_was_made():
    config = config_of(Path(__file__).parents[2] / "data/demo")
    assert (config.scale, config.seed, config.grpo.temperature) == ("demo", 0, 1.2)
    assert config.grpo.noise == IndependentNoise() and config.reward_refresh is None


def test_changes_by_dotted_name_reach_where_they_point_and_nothing_else():
    config = scale_config("smoke")
    found = changed(config, {"grpo.groups": 5, "world.fit.steps": 7, "mask": {"kind": "NoMask"}})
    wanted = replace(
        config,
        grpo=replace(config.grpo, groups=5),
        world=replace(config.world, fit=replace(config.world.fit, steps=7)),
        mask=NoMask(),
    )
    assert found == wanted


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"grpo.learnin_rate": 1}, "GRPOConfig has no setting 'learnin_rate'; did you mean learning_rate"),
        ({"group": 1}, "did you mean"),
        ({"grpo.groups": "many"}, "grpo.groups is 'many'"),
        ({"grpo.groups": 1.5}, "grpo.groups is 1.5"),
        ({"grpo.groups": True}, "should be a number"),
        ({"grpo.learning_rate": float("nan")}, "finite"),
        ({"grpo.groups.size": 1}, "it has no parts to set"),
        ({"mask": 3}, "a table of settings of SuccessMask or NoMask"),
        ({"mask": {"kind": "HalfMask"}}, "the kinds known here are SuccessMask, NoMask"),
        ({"grpo.group_size": 1}, "group_size is 1, not a whole number, 2 or more"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_one_error_that_names_it(changes, said):
    with pytest.raises(UserError, match=said):
        changed(scale_config("smoke"), changes)


def test_assignments_are_json_or_text_and_must_assign():
    assert assignment("grpo.learning_rate=1e-4") == ("grpo.learning_rate", 1e-4)
    assert assignment("world_refresh=null") == ("world_refresh", None)
    assert assignment("backbone=data/a=b") == ("backbone", "data/a=b")
    for text in ("grpo.groups", "=3"):
        with pytest.raises(UserError, match="write NAME=VALUE"):
            assignment(text)


def test_nested_tables_are_dotted_names_and_a_kind_is_one_value():
    found = flattened({"seed": 1, "grpo": {"groups": 2}, "mask": {"kind": "NoMask"}})
    assert found == {"seed": 1, "grpo.groups": 2, "mask": {"kind": "NoMask"}}
