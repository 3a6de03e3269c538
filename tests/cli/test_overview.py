"""The list of commands is shown at once, and says what the commands say."""

from __future__ import annotations

import json
import subprocess
import sys

from typer.testing import CliRunner

from wovr_lab.cli import app
from wovr_lab.cli.overview import KEPT, overview, overview_of


def test_what_is_kept_is_what_the_commands_say():
    assert json.loads(KEPT.read_text()) == overview_of(app), "run `python -m wovr_lab.cli.overview`"


def test_it_looks_as_if_every_command_had_been_imported():
    shown = [CliRunner().invoke(each, ["--help"], prog_name="wovr-lab").output for each in (app, overview())]
    assert shown[0] == shown[1] and "pretrain-pixels" in shown[0]


def test_showing_it_imports_nothing_that_commands_need():
    code = (
        "import sys; from wovr_lab.cli import main; sys.argv = ['wovr-lab', '--help']\n"
        "try: main()\n"
        "except SystemExit as stopped:\n"
        "    print([name for name in ('torch', 'plotly', 'mujoco') if name in sys.modules], stopped.code)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines()[-1] == "[] 0" and "doctor" in said.stdout
