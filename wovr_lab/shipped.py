"""Where the models and episodes are that come with this package: backbones, the state probe, a finished demo run.

In: a name. Out: a folder: of the checkout that this code lies in, else of the installed wheel `wovr-lab-data`; the same
from any folder one works in.
"""

from __future__ import annotations

import importlib.util
from importlib.resources import files
from pathlib import Path

from wovr_lab.borders import as_path
from wovr_lab.errors import UserError
from wovr_lab.hub import download, is_hub_name

DATA = "wovr_lab_data"  # the wheel's package
CHECKOUT = Path(__file__).resolve().parent.parent / "data"


def shipped(name: str) -> Path:
    """The folder of that name. Raises UserError if there is none of it, or if nothing is installed that has any."""
    place = _place()
    if place is None:
        raise UserError(f"{name!r} is in the package wovr-lab-data, which is not installed: pip install wovr-lab-data")
    if not name or Path(name).name != name or not (place / name).is_dir():
        names = sorted(path.name for path in place.iterdir() if path.is_dir() and not path.name.startswith(("_", ".")))
        raise UserError(f"there is no {name!r} among what is shipped: {', '.join(names)}; give one of them")
    return place / name


def is_shipped(name: str) -> bool:
    """Whether `shipped` knows the name."""
    place = _place()
    return place is not None and bool(name) and Path(name).name == name and (place / name).is_dir()


def folder_of(path: Path | str, revision: str | None = None) -> Path:
    """`path` itself, if it is there; else what is shipped under that name, `demo` or `data/demo`, or is in it; else,
    if a revision is given and `path` has the form OWNER/NAME, what the hub has of that name; else `path`.

    Raises UserError if the hub is asked and does not give it, naming what is cached.
    """
    given = as_path(path)
    name, *rest = given.parts[given.parts[:1] == (CHECKOUT.name,) :] or ("",)
    if given.exists() or given.is_absolute() or ".." in rest:
        return given
    found = shipped(name).joinpath(*rest) if is_shipped(name) else given
    if not found.exists() and revision is not None and is_hub_name(given):
        return download(str(given), revision)
    return found if found.exists() else given


def _place() -> Path | None:
    """The folder that holds all of it; None if there is none."""
    if (CHECKOUT / "pyproject.toml").is_file():
        return CHECKOUT
    return Path(str(files(DATA))) if importlib.util.find_spec(DATA) else None
