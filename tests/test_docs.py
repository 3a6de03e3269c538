"""What the documents in docs/ say is there is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
TABLE = (ROOT / "docs" / "in_and_out.md").read_text()


def test_every_line_of_what_goes_in_and_out_names_tests_that_exist():
    rows = [line for line in TABLE.splitlines() if line.startswith("| ") and not line.startswith("| format")]
    assert len(rows) >= 3
    for row in rows:
        tests = re.findall(r"`(tests/[a-z_/.]+)`", row)
        assert tests and all((ROOT / test).is_file() for test in tests), row


def test_the_versions_that_were_tried_are_those_that_are_installed():
    pinned = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    tried = re.findall(r"([a-z][\w-]+) (\d+\.\d+\.\d+)", " ".join(re.findall(r"^\| .*$", TABLE, re.MULTILINE)))
    wrong = [f"{name} {version}" for name, version in tried if pinned.get(name, version) != version]
    assert len(tried) >= 4 and not wrong
