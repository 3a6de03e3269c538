"""Nothing is assumed of a machine: not git, not a home folder, no proxies, no assertions, no POSIX."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from wovr_lab import machine
from wovr_lab.errors import UserError, require
from wovr_lab.machine import UNKNOWN, cache_folder, check_proxies, cores, current_commit, package_version

PACKAGE = Path(machine.__file__).parent
POSIX_ONLY = {"fcntl", "pwd", "grp", "resource", "termios", "posix"}
HEAVY = {"gradio", "uvicorn", "fastapi", "jupyterlab", "IPython"}  # what the line of commands never needs


def python(code: str, *options: str, **environment: str | None) -> str:
    """What a new Python prints in an environment that has been changed; None takes a variable away."""
    own = {name: value for name, value in (os.environ | environment).items() if value is not None}
    own["PYTHONPATH"] = str(PACKAGE.parent)
    done = subprocess.run([sys.executable, *options, "-c", code], env=own, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def test_no_rule_is_an_assert_statement_which_python_O_takes_away():
    found = [
        f"{path.name}:{node.lineno}"
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assert)
    ]
    assert not found, f"raise, or use wovr_lab.errors.require: {found}"
    with pytest.raises(AssertionError, match="the rule"):
        require(False, "the rule")


def test_no_module_imports_what_only_some_systems_have():
    for path in sources():
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
        assert not names & POSIX_ONLY, f"{path.name} imports {names & POSIX_ONLY}"


def test_the_commit_is_that_of_the_package_wherever_one_works(tmp_path, monkeypatch):
    here = current_commit()
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    assert current_commit() == here


def test_a_package_that_lies_in_anothers_repository_or_without_git_has_no_commit(tmp_path, monkeypatch):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    inside = tmp_path / "site-packages" / "wovr_lab"
    inside.mkdir(parents=True)
    monkeypatch.setattr(machine, "PACKAGE", inside)
    assert current_commit() == UNKNOWN
    monkeypatch.undo()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert current_commit() == UNKNOWN


def test_the_version_is_the_installed_one():
    assert package_version() not in ("", None)
    assert cores() >= 1


@pytest.mark.parametrize("proxy", ["socks://127.0.0.1:1", "socks4://h:1", "ftp://h:1", "quic://h"])
def test_a_proxy_that_the_page_cannot_use_is_named_with_what_to_do(monkeypatch, proxy):
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(UserError, match=rf"{proxy}.*unset it.*env -u ALL_PROXY"):
        check_proxies()
    monkeypatch.delenv("ALL_PROXY")  # the advice, taken
    check_proxies()


@pytest.mark.parametrize("proxy", ["http://h:1", "https://h:1", ""])
def test_usual_proxies_are_no_reason_to_stop(monkeypatch, proxy):
    monkeypatch.setenv("ALL_PROXY", proxy)
    monkeypatch.setenv("NO_PROXY", "localhost,.example.org")
    check_proxies()


def test_a_cache_needs_a_home_or_a_name(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "wovr_lab"
    monkeypatch.delenv("XDG_CACHE_HOME")

    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nobody)
    with pytest.raises(UserError, match="name a folder by XDG_CACHE_HOME"):
        cache_folder()


def test_rules_hold_under_python_O():
    code = "import wovr_lab.errors as e\ntry: e.require(False, 1)\nexcept AssertionError: print(__debug__)"
    assert python(code, "-O") == "False"


def test_the_commands_load_without_page_home_git_or_working_proxy(tmp_path):
    heavy = f"sorted(set({sorted(HEAVY)!r}) & sys.modules.keys())"
    code = f"import sys, wovr_lab.cli as cli; print({heavy}, len(cli.app.registered_commands) > 20)"
    said = python(code, HOME=None, ALL_PROXY="socks://127.0.0.1:7890", PATH=str(tmp_path))
    assert said == "[] True"


def test_git_is_here_so_that_the_tests_above_mean_something():
    assert shutil.which("git")
