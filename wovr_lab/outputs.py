"""The one door through which files and folders are made. Nothing is replaced but what this program made for the same
purpose, and that is looked at before any work.

A folder made here holds a marker, `.wovr_lab.json`: what it is and the names of its files; one file more, and it is not
replaced. Links are written through. Each write goes to a `NAME.PID.partial` beside the target, renamed at the end.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from safetensors import SafetensorError

from wovr_lab.borders import as_path
from wovr_lab.errors import UserError

MARKER = ".wovr_lab.json"
LEFTOVER = re.compile(r"(?P<name>.+)\.(?P<process>\d+)\.(?P<kind>partial|old)")
OUR_PAGE = '<meta name="generator" content="wovr_lab">'  # in every page, and what every picture says it is made by
OUR_PICTURE = "wovr_lab"
Made = Callable[[Path], bool]


def claim_file(path: Path | str, made: Made, inputs: Iterable[Path] = ()) -> Path:
    """The path, if a file may be written there. Raises UserError if there is something that `made` does not know as
    this program's work of that kind, if it is one of the inputs, or if nothing can be written there."""
    target = _usable(path, inputs)
    if target.is_dir():
        raise UserError(f"{path} is a folder; give the name of a file")
    if target.exists() and not _is_plain_file(target):
        raise UserError(f"{path} is neither a file nor a folder; give the name of a file")
    if target.exists() and target.stat().st_size and not made(target):
        raise UserError(f"{path} is there already and was not made by this command; choose another name")
    return as_path(path)


def claim_folder(path: Path | str, what: str, inputs: Iterable[Path] = ()) -> Path:
    """The path, if a folder that is `what` may be written there, in the place of an earlier one of the same kind."""
    target = _usable(path, inputs)
    _refuse_unless_replaceable(target, what)
    return as_path(path)


def claim_work_folder(path: Path | str, what: str, known: Iterable[str] = (), inputs: Iterable[Path] = ()) -> Path:
    """The path, if work can begin or go on there: a new or empty folder, which is marked now, or one marked so. Folders
    from before there were markers are known by holding nothing but `known` names (`*` at the end: any that begin so).

    Raises UserError, having touched nothing, if it is anything else.
    """
    target = _usable(path, inputs, is_replaced=False)
    if target.exists() and not target.is_dir():
        raise UserError(f"{path} is a file; choose another folder")
    found = _marker(target)
    if found is None:
        names = {each.name for each in target.iterdir()} if target.is_dir() else set()
        strange = sorted(name for name in names if not _is_known(name, known))
        if strange:
            raise UserError(f"{path} holds {strange[0]}, which this program did not make; choose another folder")
        target.mkdir(parents=True, exist_ok=True)
        mark(target, what)
    elif found.get("what") != what:
        raise UserError(f"{path} is a {found.get('what')}, not a {what}; choose another folder")
    return as_path(path)


def json_with(*keys: str, command: str = "") -> Made:
    """Knows a JSON file that is a dictionary with these entries, and made by a command that begins so."""

    def made(path: Path) -> bool:
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError):
            return False
        if not isinstance(found, dict) or not set(keys) <= found.keys():
            return False
        return str(found.get("command", "")).startswith(command)

    return made


def file_with(mark_of_it: str) -> Made:
    """Knows a page or picture by what this program writes near its beginning."""

    def made(path: Path) -> bool:
        with path.open("rb") as file:
            return mark_of_it.encode() in file.read(4096)

    return made


@contextmanager
def replacing(path: Path | str, what: str = "") -> Iterator[Path]:
    """Yields a temporary path beside `path` that replaces it when the block ends without an error: of a file, or, if
    told `what` it is, of a folder.

    Raises UserError if the disk is full or not writable, or if what is at `path` was not made for that purpose; it is
    then untouched.
    """
    target = Path(os.path.realpath(as_path(path)))  # through links
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        recover(target.parent, target.name)
        _refuse_unless_replaceable(target, what)
        target.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        if partial.is_dir():
            mark(partial, what)
        if target.is_dir():
            _swap(partial, target)
        else:
            partial.replace(target)
    except (OSError, SafetensorError) as error:
        raise UserError(f"cannot write {path}: {error}; free some space or choose another folder") from error
    finally:
        _remove(partial)


def recover(folder: Path, name: str | None = None) -> None:
    """Clears away what processes that were killed were just writing in `folder` (as `name`; all below it without), and
    puts a folder back that one had set aside to replace it."""
    paths = folder.iterdir() if name and folder.is_dir() else folder.rglob("*")
    for path in sorted(paths):
        found = LEFTOVER.fullmatch(path.name)
        if not found or (name and found["name"] != name) or _is_at_work(int(found["process"]), path):
            continue
        whole = path.with_name(found["name"])
        if found["kind"] == "old" and not whole.exists():
            path.replace(whole)
        else:
            _remove(path)


def mark(folder: Path, what: str) -> None:
    """Writes down what a folder is and which files it holds."""
    text = json.dumps({"made_by": "wovr_lab", "what": what, "files": sorted(_files(folder))}, indent=1)
    (folder / MARKER).write_text(text + "\n", encoding="utf-8")


def _usable(path: Path | str, inputs: Iterable[Path], is_replaced: bool = True) -> Path:
    """Where `path` really is. Raises UserError if it is an input, holds one or the working folder, or cannot be."""
    given = as_path(path)
    try:
        target = Path(os.path.realpath(given))
        for other in inputs:
            kept = Path(os.path.realpath(as_path(other)))
            if kept.is_relative_to(target):
                raise UserError(f"{path} is or holds {other}, which is read; choose another place")
        if is_replaced and Path.cwd().is_relative_to(target):
            raise UserError(f"{path} is or holds the folder that you are in; choose another place")
        nearest = next(parent for parent in target.parents if parent.exists())
        for folder in {nearest, target if target.is_dir() else nearest}:
            tempfile.TemporaryFile(dir=folder).close()
        return target
    except OSError as error:
        raise UserError(f"cannot write {path}: {error}; choose another folder") from error


def _refuse_unless_replaceable(target: Path, what: str) -> None:
    """Raises UserError if replacing `target` by a folder (a file, without `what`) would lose what is no such thing."""
    if not target.exists():
        return
    if not target.is_dir():
        if what or not _is_plain_file(target):
            raise UserError(f"{target} is no {'folder' if what else 'plain file'}; choose another name")
        return
    if not what:
        raise UserError(f"cannot write {target}: it is a folder; choose another name")
    if not any(target.iterdir()) or (_marker(target) is None and _is_in_a_run(target)):
        return
    found = _marker(target)
    if found is None:
        raise UserError(f"{target} is not empty and no {what} of this program; choose another folder")
    if found.get("what") != what:
        raise UserError(f"{target} is a {found.get('what')}, not a {what}; choose another folder")
    strange = sorted(_files(target) - set(found.get("files", ())))
    if strange:
        raise UserError(
            f"{target} holds {strange[0]}, which this program did not make; move it or choose another folder"
        )


def _is_in_a_run(folder: Path) -> bool:
    """Runs from before there were markers go on."""
    return any((parent / "stages").is_dir() and (parent / "config.json").is_file() for parent in folder.parents)


def _marker(folder: Path) -> dict[str, Any] | None:
    """What the marker of a folder says; None if there is none that can be read."""
    try:
        found = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and found.get("made_by") == "wovr_lab" else None


def _files(folder: Path) -> set[str]:
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return {path.relative_to(folder).as_posix() for path in found} - {MARKER}


def _is_at_work(process: int, path: Path) -> bool:
    """Whether the process that began to write `path` is still there: numbers are used again."""
    try:
        began = psutil.Process(process).create_time()
    except psutil.Error:
        return False
    return process != os.getpid() and path.exists() and began <= path.stat().st_ctime


def _swap(partial: Path, target: Path) -> None:
    """Puts the new folder in the place of the old one. A kill in between leaves the old one aside; `recover` knows."""
    old = target.with_name(f"{target.name}.{os.getpid()}.old")
    target.replace(old)
    try:
        partial.replace(target)
    except OSError:
        old.replace(target)
        raise
    _remove(old)


def _remove(path: Path) -> None:
    """Removes a file or folder of ours, write-protected or not."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, onerror=_unprotect)
    else:
        path.unlink(missing_ok=True)


def _unprotect(remove: Callable[[str], None], name: str, _: object) -> None:
    os.chmod(Path(name).parent, stat.S_IRWXU)
    os.chmod(name, stat.S_IRWXU)
    remove(name)


def _is_plain_file(path: Path) -> bool:
    return stat.S_ISREG(path.stat().st_mode)


def _is_known(name: str, known: Iterable[str]) -> bool:
    return any(name.startswith(each[:-1]) if each.endswith("*") else name == each for each in known)
