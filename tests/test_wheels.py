"""The two wheels, installed where nothing else of this repository is and no extra, work from an empty folder."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OTHERS = (  # what the core must do without, and this package as it is installed for its development
    *("__editable__", "_pytest", "anywidget", "fastapi", "gradio", "ipykernel", "ipywidgets", "jupyter", "nbconvert"),
    *("nbformat", "papermill", "playwright", "pytest", "starlette", "uvicorn", "wovr"),
)


@pytest.fixture(scope="module")
def bin_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of a fresh environment with both wheels and no more than links to what the core depends on."""
    folder = tmp_path_factory.mktemp("wheels")
    for name, source in (("code", ROOT), ("data", ROOT / "data")):
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=source, capture_output=True, text=True, check=True)
        for path in filter(None, listed.stdout.split("\0")):
            if name == "data" or path.startswith("wovr_lab/") or "/" not in path:
                (folder / name / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source / path, folder / name / path)
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder / "built"]
    subprocess.run([*build, folder / "code", folder / "data"], check=True)
    venv.create(folder / "fresh", with_pip=False)
    (folder / "core").mkdir()
    for path in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not path.name.lower().startswith(OTHERS):
            (folder / "core" / path.name).symlink_to(path)
    python = folder / "fresh/bin/python"
    packages = next((folder / "fresh/lib").iterdir()) / "site-packages"
    (packages / "core.pth").write_text(f"{folder / 'core'}\n")
    wheels = (folder / "built").iterdir()
    subprocess.run([sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", *wheels], check=True)
    return python.parent


def run(folder: Path, *command: object) -> str:
    """What a command says in that folder, with nothing of this checkout in its environment."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "OMP_NUM_THREADS": "1"}
    told = subprocess.run(list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True)
    return f"{told.returncode} {told.stdout}{told.stderr}"


SCRIPT = """
import sys
import wovr_lab
from typer.testing import CliRunner
from wovr_lab.cli import app

def call(*arguments):
    told = CliRunner().invoke(app, arguments)
    return f"{told.exit_code} {told.output} {told.exception}"

print(wovr_lab.__file__, wovr_lab.load("demo").policy("base").config.resolution)
print(call("doctor"))
print(call("inspect"))
print(call("convert", "run/episodes/base.hdf5", "set"))
print(call("convert", "set", "back.hdf5"))
"""


@pytest.mark.smoke
@pytest.mark.timeout(900)
def test_a_plain_installation_works_from_an_empty_folder(bin_folder, tmp_path):
    assert run(tmp_path, bin_folder / "wovr-lab", "--help").startswith("0") and not list(tmp_path.iterdir())
    assert run(tmp_path, bin_folder / "wovr-lab", "run", "--scale", "smoke", "--run", "run").startswith("0")
    assert (tmp_path / "run/report.html").is_file()
    said = run(tmp_path, bin_folder / "python", "-c", SCRIPT)
    assert f"{bin_folder.parent}/lib" in said and "__init__.py 32" in said
    assert "ok       backbone" in said and "pip install 'wovr-lab[inspector]'" in said
    there, back = (re.search(rf"^0 {name}: (\d+) episodes$", said, re.MULTILINE) for name in ("set", "back.hdf5"))
    assert there and back and there[1] == back[1] != "0"


def test_importing_and_asking_for_help_cost_little(bin_folder, tmp_path):
    """Counted in modules, which do not depend on what else the machine does."""
    count = "import sys, {}; print(len(sys.modules))"
    said = run(tmp_path, bin_folder / "python", "-c", count.format("wovr_lab"))
    alone = run(tmp_path, bin_folder / "python", "-c", count.format("gymnasium"))
    assert said.startswith("0") and int(said.split()[1]) <= int(alone.split()[1]) + 10
