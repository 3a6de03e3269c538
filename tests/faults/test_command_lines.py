"""Wrong command lines: exit code 2 and one message that says something, and nothing is made or changed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from campaign import in_two_sizes
from lives import command, live

pytestmark = pytest.mark.timeout(1200)
RUN, FILE, FOLDER, PICTURE = "run", "thesis.txt", "thesis", "photo.png"  # a run, and what is none
EXPECTED = "about "  # what a run will cost, which is said before it begins
WRONG = """
run --scale huge
run --scale smoke --seed -1 --run new
run --scale smoke --seed 1.5 --run new
run --scale smoke --seed x --run new
run --scale smoke --run thesis
run --scale smoke --run thesis.txt
run --scale smoke --run thesis.txt/new
run --scale smoke --run new --env moon
run --scale smoke --run new --env libero:
run --scale smoke --run new --world dreams
run --scale smoke --run new --set rl.groups
run --scale smoke --run new --set =3
run --scale smoke --run new --set rl.gruops=3
run --scale smoke --run new --set rl.groups=0
run --scale smoke --run new --set rl.groups=NaN
run --scale smoke --run new --set rl.groups=[1]
run --scale smoke --run new --set rl.learning_rate=-1
run --scale smoke --run new --set rl.learning_rate=1e999
run --scale smoke --run new --set scale=full
run --scale smoke --run new --set tasks=["push_red","push_red"]
run --scale smoke --run new --set tasks=["push_rad"]
run --scale smoke --run new --set rl.keyframe_steps=7
run --scale smoke --run new --set data.budget=1
run --scale smoke --run new --set rl.mask.x=1
run --scale smoke --run new --set world.kind=FitConfig
run --scale smoke --run new --config nowhere.toml
run --scale smoke --run new --config thesis.txt
run --scale smoke --run new --config thesis
run --scale smoke --run run --seed 5
run --scale demo --run run
sft --scale smoke --run run --set world.sampler_steps=3
run --bogus
dream
resume
resume nowhere
resume thesis
resume thesis.txt
report thesis
report nowhere
measure nowhere
measure thesis
measure run --rollouts 0
measure run --table thesis.txt
gate-history nowhere
gate-history run run
gate-history
gate-history run --out thesis
evaluate
evaluate --policy nowhere
evaluate --policy thesis
evaluate --policy run
evaluate --policy run/checkpoints/reward
evaluate --policy run/checkpoints/base --starts 0
evaluate --policy run/checkpoints/base --temperature -1
evaluate --policy run/checkpoints/base --temperature nan
evaluate --policy run/checkpoints/base --env moon
evaluate --policy run/checkpoints/base --out run/checkpoints/base
evaluate --policy run/checkpoints/base --out thesis.txt
ship nowhere
ship thesis --out new
ship run --out thesis
ship run --out run
ship run --out .
results wovr
results wovr nowhere
results wovr thesis
online --scale huge
online --run thesis --scale smoke
longer --run thesis.txt --scale smoke
longer --steps 0
ablate thesis
ablate run --steps 0
ablate run --table photo.png
train-probe --out thesis --steps 1
train-probe --episodes 2
pretrain --out thesis --run new
pretrain --learning-rate nan --out new --run other
pretrain --learning-rate -1 --out new --run other
pretrain --steps 0
inspect nowhere
inspect thesis
inspect run --port 0
inspect run --port 70000
inspect run --host 0.0.0.0
tables
study learning-curve nowhere
""".strip().splitlines()


def in_folder(folder: Path, *arguments: str) -> None:
    """The command line, typed in that folder, where nobody has set a password."""
    os.chdir(folder)
    os.environ.pop("WOVR_LAB_PASSWORD", None)
    command(*arguments)


@pytest.fixture
def desk(smoke_run: Path, tmp_path: Path) -> Path:
    """A folder with a run and with what somebody keeps there."""
    folder = tmp_path / "desk"
    shutil.copytree(smoke_run, folder / RUN)
    (folder / FOLDER / "chapter").mkdir(parents=True)
    for path in (folder / FILE, folder / FOLDER / "chapter" / "one.txt", folder / PICTURE):
        path.write_text("precious")
    return folder


def state_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file but the locks, with its time and bytes."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"]
    return {path.relative_to(folder).as_posix(): (path.stat().st_mtime_ns, path.read_bytes()) for path in paths}


@in_two_sizes("lines", WRONG[::5], WRONG)
def test_a_wrong_command_line_is_one_message_and_exit_code_2_and_changes_nothing(lines, desk, tmp_path, record):
    before, faults = state_of(desk), []
    for line in lines:
        ending = live(in_folder, desk, *line.split(), log=tmp_path / "log")
        said = [each for each in ending.said.splitlines() if each.strip() and not each.startswith(EXPECTED)]
        is_usage = any(each.startswith("Usage:") for each in said)
        if ending.code != 2 or "Traceback" in ending.said or not said or (len(said) > 1 and not is_usage):
            faults.append(f"wovr-lab {line}: exit code {ending.code}: {ending.said[-1500:]}")
        elif state_of(desk) != before:
            faults.append(f"wovr-lab {line}: changed {set(state_of(desk).items()) ^ set(before.items())}"[:600])
            before = state_of(desk)
    assert not faults, "\n".join(faults)
    record("command_lines", "exit code 2, one message, nothing changed", [True] * len(lines))
