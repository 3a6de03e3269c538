"""What all commands share: `~` in paths, numbers that are numbers, and `--strict`. In: a function. Out: a command."""

from __future__ import annotations

import inspect
import math
import sys
import warnings
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from wovr_lab.borders import as_path
from wovr_lab.errors import InputWarning, UserError

Strict = Annotated[bool, typer.Option("--strict", help="stop where there would be a warning, as of unknown words")]


class Commands(typer.Typer):
    """A Typer app whose commands get what they are given checked before they begin."""

    def command(self, *arguments: Any, **settings: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Registers a checked copy of a function as a command; the function itself stays as it is."""
        register = super().command(*arguments, **settings)

        def decorate(work: Callable[..., Any]) -> Callable[..., Any]:
            register(_checked(work))
            return work

        return decorate


def _checked(work: Callable[..., Any]) -> Callable[..., Any]:
    """`work` with one option more, which is given nothing but what `_taken` lets through."""

    @wraps(work)
    def checked(strict: bool, **given: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("error" if strict else "always", InputWarning)
            warnings.showwarning = partial(_say, warnings.showwarning)
            try:
                return work(**{name: _taken(name, value) for name, value in given.items()})
            except InputWarning as warning:
                raise UserError(f"{warning} (without --strict this is a warning)") from warning

    hints = get_type_hints(work, include_extras=True)
    own = [each.replace(annotation=hints[name]) for name, each in inspect.signature(work).parameters.items()]
    strict = inspect.Parameter("strict", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Strict)
    checked.__signature__ = inspect.Signature([*own, strict])
    checked.__annotations__ = hints | {"strict": Strict}
    return checked


def _say(others: Callable[..., None], message: Warning, category: type[Warning], *where: Any) -> None:
    """A warning of ours in one line, without the place in the code; others as they are usually said."""
    if issubclass(category, InputWarning):
        print(f"warning: {message}", file=sys.stderr)
    else:
        others(message, category, *where)


def _taken(name: str, value: Any) -> Any:
    option = name.replace("_", "-")
    if isinstance(value, list):
        taken = [_taken(name, each) for each in value]
        if len({Path(each).resolve() for each in taken if isinstance(each, Path)}) not in (0, len(taken)):
            raise UserError(f"{option}: {', '.join(map(str, taken))} names one path twice; give each once")
        return taken
    if isinstance(value, Path):
        return as_path(value, option)
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{option} is {value}; give a finite number")
    return value
