"""The one error people are meant to read, bad input at a border, with what to do next; and the one warning."""

from __future__ import annotations

import warnings


class UserError(Exception):
    """Something given cannot be used; the message says what to do. The command line prints it and exits with 2."""


class InputWarning(UserWarning):
    """Something given can be used and is probably not what was meant; an error with `--strict`."""


def warn(message: str) -> None:
    """Says so, once a message and place; raises it as an error where `InputWarning` warnings are made errors."""
    warnings.warn(message, InputWarning, stacklevel=3)


def require(holds: bool, rule: str) -> None:
    """What `assert` does, under `python -O` too: raises AssertionError naming the rule that does not hold."""
    if not holds:
        raise AssertionError(rule)
