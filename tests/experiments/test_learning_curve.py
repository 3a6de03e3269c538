"""The study of learning curves: every part replaced alone, resumable, refused where it cannot be made."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from wovr_lab.errors import UserError
from wovr_lab.experiments.learning_curve import SETTINGS, CurveConfig, marks_of, measure_curves
from wovr_lab.pace.config import load_config
from wovr_lab.publish.curve_table import trusted_updates, write_learning_curve
from wovr_lab.report.learning_curve import learning_curve_figure, learning_curve_table
from wovr_lab.runs import read_json, write_json

SMALL = CurveConfig(marks=(0, 1, 2), rl_seeds=(0,), starts=2, groups=2)


@pytest.fixture(scope="module")
def studied(smoke_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(shutil.copytree(smoke_run, tmp_path_factory.mktemp("study") / "run"))
    measure_curves(folder, SMALL, load_config(folder))
    return folder


def outcomes(share: float) -> np.ndarray:
    return np.arange(400) < 400 * share


def test_trusted_updates_end_where_a_curve_is_first_clearly_behind_the_ceiling():
    ceiling = [outcomes(share) for share in (0.45, 0.65, 0.75, 0.85)]
    marks = (0, 8, 16, 32)
    assert trusted_updates(marks, ceiling, ceiling) == 32
    assert trusted_updates(marks, [outcomes(share) for share in (0.45, 0.64, 0.60, 0.85)], ceiling) == 8
    assert trusted_updates(marks, [outcomes(share) for share in (0.45, 0.62, 0.72, 0.82)], ceiling) == 32  # 3 points
    assert trusted_updates(marks, [outcomes(0.1)] * 4, ceiling) == 0


@pytest.mark.smoke
def test_every_setting_is_judged_at_every_mark(studied):
    for setting in SETTINGS:
        marks = marks_of(studied, setting, 0)
        assert sorted(marks) == [0, 1, 2]
        assert all(len(mark["greedy"]) == len(mark["sampled"]) == len(mark["tasks"]) == 4 for mark in marks.values())
        assert marks[0]["trajectories"] == 0 and 4 <= marks[1]["trajectories"] < marks[2]["trajectories"]
    base = [marks_of(studied, setting, 0)[0]["greedy"] for setting in SETTINGS]
    assert base.count(base[0]) == len(base)  # all begin with the same policy on the same starts


@pytest.mark.smoke
def test_only_what_is_learnt_is_judged_on_groups(studied):
    groups = {setting: marks_of(studied, setting, 0)[2]["groups"] for setting in SETTINGS}
    assert groups.pop("real_simulator_true_reward") is None
    assert all(np.shape(found["judged"]) == np.shape(found["real"]) == (2, 2) for found in groups.values())
    truth = groups["learnt_simulator_true_reward"]
    assert truth["judged"] == truth["real"]  # the same actions' true outcomes


@pytest.mark.smoke
def test_what_is_learnt_is_kept_up_with_the_policy_and_the_truth_needs_no_looks(studied):
    for setting, choice in SETTINGS.items():
        looks = list((studied / f"study/learning_curve/{setting}/0").glob("executed-*.hdf5"))
        assert bool(looks) == (choice.learnt_reward or choice.learnt_world)


@pytest.mark.smoke
def test_an_interrupted_study_goes_on_to_the_same_end(studied, tmp_path):
    again = Path(shutil.copytree(studied, tmp_path / "run"))
    folder = again / "study/learning_curve/learnt_simulator_learnt_reward/0"
    wanted = read_json(folder / "mark-002.json")
    shutil.rmtree(folder)
    config = load_config(again)

    class Killed(Exception):
        pass

    def kill(path, value):
        if path.name == "mark-002.json":
            raise Killed
        write_json(path, value)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr("wovr_lab.experiments.learning_curve.write_json", kill)
        measure_curves(again, SMALL, config)
    assert (folder / "mark-001.json").exists() and not (folder / "mark-002.json").exists()
    measure_curves(again, SMALL, config)
    assert read_json(folder / "mark-002.json") == wanted


@pytest.mark.smoke
def test_the_table_has_success_beliefs_and_trusted_updates_and_can_be_drawn(studied, tmp_path):
    path = tmp_path / "learning_curve.json"
    found = write_learning_curve([studied], SMALL, path, "wovr-lab study learning-curve RUN")
    rows = read_json(path)["rows"]
    wanted = {"success", "sampled_success", "trusted_updates", "within_group_correlation"}
    assert wanted <= {row["metric"] for row in rows}
    assert {(row["setting"], row["depth"]) for row in rows if row["metric"] == "success" and row["task"] == "all"} == {
        (setting, mark) for setting in SETTINGS for mark in SMALL.marks
    }
    shown = learning_curve_table(found)
    assert len(shown.rows) == 4 and shown.rows[0][0].startswith("real simulator, true reward")
    assert len(learning_curve_figure(found).data) >= 4


@pytest.mark.smoke
def test_other_marks_in_the_same_folder_and_missing_parts_are_refused(studied, tmp_path):
    with pytest.raises(UserError, match="was begun with"):
        measure_curves(studied, CurveConfig(marks=(0, 3), starts=2, groups=2), load_config(studied))
    with pytest.raises(UserError, match="no mark of 5 updates"):
        write_learning_curve([studied], CurveConfig(marks=(0, 5), rl_seeds=(0,), starts=2), tmp_path / "table.json", "")
    other = Path(shutil.copytree(studied, tmp_path / "run"))
    shutil.rmtree(other / "checkpoints/world")
    with pytest.raises(UserError, match=r"no checkpoints/world yet; run it up to gate-1"):
        measure_curves(other, SMALL, load_config(other))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"marks": (8, 0)}, "rising order"),
        ({"marks": (0,)}, "the last 1 or more"),
        ({"settings": ("dream",)}, "unknown setting"),
        ({"starts": 5000}, "1 to 900 starts"),
        ({"rl_seeds": ()}, "seeds of RL"),
    ],
)
def test_curves_that_cannot_be_made_are_refused(changes, said):
    with pytest.raises(UserError, match=said):
        CurveConfig(**changes)
