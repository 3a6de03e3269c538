"""A fork goes on where another run stood before RL, under other settings of RL alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from wovr_lab.errors import UserError
from wovr_lab.experiments.forking import fork_run
from wovr_lab.grpo.formulas import NoMask
from wovr_lab.pace import changed, preset, run_loop
from wovr_lab.pace.loop import preparation
from wovr_lab.pace.stages import digest
from wovr_lab.runs import Metrics, read_json

pytestmark = pytest.mark.smoke
CONFIG = preset("smoke")
OTHER = changed(CONFIG, {"rl.keyframe_share": 0.0, "rl.iterations": (1, 1)})


def test_a_fork_trains_no_simulator_again_and_reports_whose_work_it_is(smoke_run: Path, tmp_path: Path, capsys):
    folder = tmp_path / "fork"
    fork_run(smoke_run, folder, OTHER)
    assert run_loop(OTHER, folder, until="improve_1") is None
    said = capsys.readouterr().out
    assert said.count("done before") == len(preparation(CONFIG)) and "improve_1 ..." in said
    assert digest(folder / "checkpoints/world") == digest(smoke_run / "checkpoints/world")
    assert not (folder / "checkpoints/improved_2").exists() and not (folder / "gate_2.json").exists()
    assert read_json(folder / "config.json")["rl"]["keyframe_share"] == 0
    rows, before = Metrics(folder).rows(), Metrics(smoke_run).rows()
    assert [row for row in rows if row["phase"] == "world"] == [row for row in before if row["phase"] == "world"]
    assert len([row for row in rows if row["phase"] == "improve_1"]) == 1  # the other run's two are not taken over


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, r"other settings \(seed\)"),
        ({"data.rollouts": 4, "rl.mask": NoMask()}, r"other settings \(data.rollouts\)"),
    ],
)
def test_what_is_prepared_otherwise_cannot_be_forked(smoke_run: Path, tmp_path: Path, change: dict, message: str):
    with pytest.raises(UserError, match=message):
        fork_run(smoke_run, tmp_path / "fork", changed(CONFIG, change))
    assert not (tmp_path / "fork").exists()


def test_an_unprepared_run_and_a_taken_place_are_refused(smoke_copy: Path, tmp_path: Path):
    with pytest.raises(UserError, match="exists; choose another folder"):
        fork_run(smoke_copy, smoke_copy, OTHER)
    (smoke_copy / "gate_1.json").unlink()
    with pytest.raises(UserError, match=r"gate_1\.json yet; run it up to gate_1"):
        fork_run(smoke_copy, tmp_path / "fork", OTHER)
