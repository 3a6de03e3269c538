"""Settings are refused where they are made: every number of every configuration, with its name and what is allowed."""

from __future__ import annotations

import importlib
import math
import pkgutil
import re
from dataclasses import fields, is_dataclass, replace
from typing import Annotated, Any, get_args, get_origin

import pytest

import wovr_lab
from wovr_lab.errors import UserError
from wovr_lab.fields import Count, Distinct, Port, Positive, Range, Share, _hint, check, configuration
from wovr_lab.training import FitConfig

FIT = FitConfig(5)
NEEDED = {  # what must be given to make one
    "FitConfig": {"steps": 5}, "CodecTrainingConfig": {"fit": FIT},
    "WorldTrainingConfig": {"fit": FIT}, "PixelTrainingConfig": {"fit": FIT},
    "RewardTrainingConfig": {"fit": FIT}, "KLPenalty": {"reference": None, "kl_coef": 0.1},
    "LiberoEvaluationConfig": {"name": "x", "starts": 1, "official": False,
        "renderer": "fast", "rows": 1, "processes": None},
    "ResumableEvaluationConfig": {"tasks": ("x",), "seeds": (0,), "run_seed": 0, "temperature": 0.0, "protocol": {}},
    "MixedStarts": {"initial": None, "keyframes": None},
}  # fmt: skip
CONFIGURATIONS = re.compile(r".*(Config|Bounds|ContextBuilder)$")
OTHERS = {
    "VLAConfig": "the library's kind of configuration; checked all the same",
    "OpenVLAConfig": "the published sizes, which tests alone change",
    "CurveConfig": "its numbers have a rule of their own",
}
NEVER = (math.nan, math.inf, -math.inf, "3", [1], {}, 1 + 2j)


def modules() -> list[Any]:
    names = [each.name for each in pkgutil.walk_packages(wovr_lab.__path__, "wovr_lab.") if "libero" not in each.name]
    return [importlib.import_module(name) for name in names if not name.startswith("wovr_lab.inspector")]


def configurations() -> list[type]:
    """Every class of settings in the package."""
    found = {each for module in modules() for each in vars(module).values() if isinstance(each, type)}
    own = [each for each in found if each.__module__.startswith("wovr_lab") and is_dataclass(each)]
    return sorted((each for each in own if "is_configuration" in vars(each)), key=lambda each: each.__name__)


def numbers_of(hint: Any) -> set[type]:
    if get_origin(hint) is Annotated or get_args(hint):
        return set().union(*(numbers_of(each) for each in get_args(hint)))
    return {hint} & {int, float}


def test_every_class_of_settings_declares_what_its_fields_may_be():
    found = {each for module in modules() for each in vars(module).values() if isinstance(each, type)}
    named = {each for each in found if CONFIGURATIONS.match(each.__name__) and each.__module__.startswith("wovr_lab")}
    plain = {each.__name__ for each in named if "is_configuration" not in vars(each)}
    assert plain <= OTHERS.keys(), f"make them with wovr_lab.fields.configuration: {plain - OTHERS.keys()}"
    assert len(named) > 12


@pytest.mark.parametrize("kind", configurations(), ids=lambda kind: kind.__name__)
def test_no_number_of_any_configuration_takes_what_is_no_number_of_its_kind(kind):
    made = kind(**NEEDED.get(kind.__name__, {}))
    for entry in fields(kind):
        hint = _hint(kind, entry.name)
        kinds = numbers_of(hint)
        if not kinds:
            continue
        given = getattr(made, entry.name)
        wrong = [*NEVER, True] + ([1.5] if kinds == {int} else [])
        if isinstance(given, tuple):
            wrong = [(each, *given[1:]) for each in wrong] + [(*given, math.nan)]
        for value in wrong:
            with pytest.raises(UserError, match=entry.name):
                replace(made, **{entry.name: value})


@pytest.mark.parametrize(
    "name, value, hint, allowed",
    [
        ("steps", 0, Count, "1 or more"),
        ("port", 65536, Port, "1 or more and at most 65535"),
        ("port", 0, Port, "at most 65535"),
        ("rate", 0.0, Positive, "above 0"),
        ("share", 1.01, Share, "0 or more and at most 1"),
        ("gamma", 1.0, Annotated[float, Range(0, 1, "()")], "above 0 and below 1"),
        ("tasks", ("a", "a"), Annotated[tuple[str, ...], Distinct()], "none of them twice"),
        ("tasks", (), Annotated[tuple[str, ...], Distinct()], "1 or more"),
        ("pair", (1, 2, 3), tuple[int, int], "a tuple of a whole number"),
        ("decay", "0.9", float | None, "a number or None"),
    ],
)
def test_a_refusal_names_the_field_what_was_given_and_what_is_allowed(name, value, hint, allowed):
    with pytest.raises(UserError) as refused:
        check(name, value, hint)
    assert name in str(refused.value) and repr(value) in str(refused.value) and allowed in str(refused.value)


def test_all_defects_are_named_at_once_and_numpys_numbers_are_numbers():
    import numpy as np

    with pytest.raises(UserError, match=r"steps is 0.*learning_rate is nan.*ema_decay is 2\.0"):
        FitConfig(0, math.nan, ema_decay=2.0)
    assert FitConfig(np.int64(3), np.float32(0.5)).steps == 3


def test_a_classes_own_rules_come_after_those_of_its_fields():
    @configuration
    class Pair:
        low: Count = 1
        high: Count = 2

        def __post_init__(self) -> None:
            if self.low > self.high:
                raise UserError("low above high")

    with pytest.raises(UserError, match="low above high"):
        Pair(3, 2)
    with pytest.raises(UserError, match="low is 'a'"):
        Pair("a", 2)
