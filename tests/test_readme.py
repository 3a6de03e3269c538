"""The README's tree, commands and tables are true."""

from __future__ import annotations

import re
from pathlib import Path

from wovr_lab.cli import app
from wovr_lab.publish.results import render_tables

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def tree_paths(text: str) -> list[str]:
    """Paths named in the README's tree: the first word of each line, below the folder that it is indented under."""
    block = re.search(r"## Where things are.*?```\n(.*?)```", text, re.DOTALL)
    assert block, "the README has no tree under 'Where things are'"
    folders: list[str] = []
    paths = []
    for line in block.group(1).splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name = line.split()[0]
        folders[depth:] = [name]
        paths.append("".join(folders[: depth + 1]))
    return paths


def test_every_path_in_the_readmes_tree_exists():
    paths = tree_paths(README)
    assert len(paths) > 5
    missing = [path for path in paths if not (ROOT / path).exists() or path.endswith("/") != (ROOT / path).is_dir()]
    assert not missing, f"the README's tree names what is not there: {missing}"


def test_every_make_command_in_the_readme_is_a_target():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = set(re.findall(r"(?:`|^)make ([a-z][a-z-]*)", README, re.MULTILINE))
    assert {"demo", "test", "setup", "system-deps"} <= commands
    assert commands <= targets, f"the README names commands that the Makefile has not: {commands - targets}"


def test_every_command_that_is_named_anywhere_exists():
    """`wovr-lab X` in the README, the Makefile and every message and comment of the package."""
    known = {(command.name or command.callback.__name__).replace("_", "-") for command in app.registered_commands}
    known |= {group.name for group in app.registered_groups}
    for path in (ROOT / "README.md", ROOT / "Makefile", *(ROOT / "wovr_lab").rglob("*.py")):
        named = set(re.findall(r"wovr-lab[ \t]+([a-z][a-z0-9-]*)", path.read_text()))
        assert named <= known, f"{path.name} names commands that wovr-lab has not: {sorted(named - known)}"
    assert "run" in known


def test_the_readmes_tables_say_what_the_results_say(tmp_path):
    """`wovr-lab tables` would change nothing, and every table that is marked has its results."""
    marked = set(re.findall(r"<!-- table: (\S+) -->", README))
    results = ROOT / "data" / "results"
    assert marked <= {path.stem for path in results.glob("*.json")}
    copy = tmp_path / "README.md"
    copy.write_text(README)
    render_tables(copy, results)
    assert copy.read_text() == README, "the README's tables are old; run `wovr-lab tables`"


def test_the_continuous_check_runs_what_the_readme_says():
    commands = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line.startswith("make ")]
    assert commands == ["make system-deps", "make setup-libero", "make test"]
