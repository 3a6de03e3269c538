"""Validation declared at the field: what a setting may be stands in its type, and holds for Python, files and commands.

    @configuration
    class FitConfig:
        steps: Count
        learning_rate: Positive = 1e-3

A plain `int` takes whole numbers only, a plain `float` finite ones; an `Annotated` type adds its range. Nothing is
repaired: what does not fit is one UserError that names the class, the field, what was given and what is allowed.
"""

from __future__ import annotations

import inspect
import math
import numbers
import sys
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Annotated, Any, TypeVar, Union, dataclass_transform, get_args, get_origin, get_type_hints

import numpy as np

from wovr_lab.errors import UserError

Class = TypeVar("Class", bound=type)


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`; `ends` says whether those two are among them, as mathematicians write it."""

    low: float = -math.inf
    high: float = math.inf
    ends: str = "[]"

    def holds(self, value: float) -> bool:
        """False for NaN, too."""
        above = value >= self.low if self.ends[0] == "[" else value > self.low
        return above and (value <= self.high if self.ends[1] == "]" else value < self.high)

    def __str__(self) -> str:
        low = "" if math.isinf(self.low) else f"{self.low:g} or more" if self.ends[0] == "[" else f"above {self.low:g}"
        high = "" if math.isinf(self.high) else f"{'at most' if self.ends[1] == ']' else 'below'} {self.high:g}"
        return " and ".join(part for part in (low, high) if part)


@dataclass(frozen=True)
class Distinct:
    """A tuple in which nothing stands twice, with `least` entries or more."""

    least: int = 1

    def holds(self, value: Sequence[Any]) -> bool:
        """Whether it is one."""
        return len(value) >= self.least and len(set(value)) == len(value)

    def __str__(self) -> str:
        return f"{self.least} or more, none of them twice"


Count = Annotated[int, Range(1)]
Natural = Annotated[int, Range(0)]
Size = Annotated[int, Range(1, 2**16)]  # of a network: beyond, a typing error asks for all memory there is
Positive = Annotated[float, Range(0, ends="(]")]
NonNegative = Annotated[float, Range(0)]
Share = Annotated[float, Range(0, 1)]
BelowOne = Annotated[float, Range(0, 1, "[)")]
Port = Annotated[int, Range(1, 65535)]


@dataclass_transform(frozen_default=True)
def configuration(cls: Class) -> Class:
    """A frozen dataclass whose fields are checked when one is made, before its own `__post_init__`."""
    own: Callable[[Any], None] | None = cls.__dict__.get("__post_init__")

    def __post_init__(self: Any) -> None:
        check_fields(self, [entry.name for entry in fields(self)])
        if own is not None:
            own(self)

    cls.__post_init__ = __post_init__
    made = dataclass(frozen=True)(cls)
    made.is_configuration = True
    return made


def check_fields(made: Any, names: Sequence[str]) -> None:
    """Raises UserError naming every one of these fields whose value is not of its declared type."""
    hints = {name: _hint(type(made), name) for name in names}
    given = {name: getattr(made, name) for name in names}
    wrong = {name: value for name, value in given.items() if not _fits(value, hints[name])}
    if wrong:
        told = "; ".join(f"{name} is {value!r}, not {_words(hints[name])}" for name, value in wrong.items())
        raise UserError(f"{type(made).__name__} cannot be: {told}")


def check(name: str, value: Any, hint: Any) -> Any:
    """`value`, if it is of the declared type. Raises UserError with its name if it is not."""
    if not _fits(value, hint):
        raise UserError(f"{name} is {value!r}, not {_words(hint)}")
    return value


@cache
def _hint(cls: type, name: str) -> Any:
    """The declared type of a field, looked up where it is declared: other fields may need what is not imported."""
    owner = next(base for base in cls.__mro__ if name in inspect.get_annotations(base))
    alone = types.SimpleNamespace(__annotations__={name: inspect.get_annotations(owner)[name]})
    return get_type_hints(alone, globalns=vars(sys.modules[owner.__module__]), include_extras=True)[name]


def _fits(value: Any, hint: Any) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _fits(value, inner[0]) and all(rule.holds(value) for rule in inner[1:])
    if origin in (Union, types.UnionType):
        return any(_fits(value, each) for each in inner)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        each = [inner[0]] * len(value) if inner[-1] is Ellipsis else list(inner)
        return len(each) == len(value) and all(map(_fits, value, each))
    if hint is bool:
        return isinstance(value, bool | np.bool_)
    if hint in (int, float):
        is_one = isinstance(value, numbers.Integral if hint is int else numbers.Real)
        return is_one and not isinstance(value, bool) and math.isfinite(value)
    if hint is type(None):
        return value is None
    is_class = isinstance(origin or hint, type) and not getattr(origin or hint, "_is_protocol", False)
    return isinstance(value, origin or hint) if is_class else True


def _words(hint: Any) -> str:
    """What a declared type allows, for people."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return ", ".join([_words(inner[0]), *map(str, inner[1:])])
    if origin in (Union, types.UnionType):
        return " or ".join(map(_words, inner))
    if origin is tuple:
        return f"a tuple of {_words(inner[0])}"
    known = {int: "a whole number", float: "a number", str: "text", bool: "True or False", type(None): "None"}
    return known.get(hint, f"a {getattr(hint, '__name__', hint)}")
