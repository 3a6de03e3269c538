"""The whole loop on a real LIBERO task at smoke scale, and what its configuration says there."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from wovr_lab.cli import app
from wovr_lab.episodes import EpisodeStore
from wovr_lab.errors import UserError
from wovr_lab.pace.config import load_config
from wovr_lab.pace.loop import STAGE_NAMES
from wovr_lab.pace.presets import config_for
from wovr_lab.policy.checkpoints import load_policy
from wovr_lab.runs import read_json

pytestmark = pytest.mark.libero
TASK = "libero_object/pick_up_the_cream_cheese_and_place_it_in_the_basket"
ENVIRONMENT = f"libero:{TASK}"


@pytest.mark.smoke
@pytest.mark.timeout(900)
def test_every_stage_runs_on_a_real_task_and_a_second_call_skips_them_all(tmp_path: Path):
    folder = tmp_path / "run"
    arguments = ["run", "--env", ENVIRONMENT, "--scale", "smoke", "--run", str(folder)]
    first = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert first.exit_code == 0, first.output
    report = read_json(folder / "report.json")
    assert [stage["name"] for stage in report["stages"]] == list(STAGE_NAMES)
    assert report["protocol"]["environment"].startswith("LIBERO") and report["protocol"]["renderer"] == "fast"
    assert report["protocol"]["view"] == load_policy(folder / "checkpoints/base").config.view == "workspace"
    assert report["success_by_task"].keys() == {TASK} and report["success"]["wovr"]["n"] == 2
    assert 0 < report["budget"]["real_episodes"] <= report["budget"]["real_episodes_allowed"] == 250
    demonstrations = EpisodeStore([folder / "episodes/demonstrations.hdf5"])
    assert demonstrations[0].frames.shape[1:] == (64, 64, 3) and demonstrations[0].success.any()
    assert load_config(folder) == config_for(ENVIRONMENT, "smoke")
    again = CliRunner().invoke(app, ["resume", str(folder)], catch_exceptions=False)
    assert again.exit_code == 0 and again.output.count("done before") == len(STAGE_NAMES)


@pytest.mark.parametrize(("scale", "limit"), [("demo", 112), ("full", 216)])
def test_larger_scales_keep_the_papers_budget_and_the_official_limit_or_half_of_it(scale: str, limit: int):
    config = config_for("libero:spatial", scale, seed=2)
    assert len(config.tasks) == 10 and (config.max_steps, config.resolution, config.seed) == (limit, 64, 2)
    assert config.real_episodes <= 250 * 10 and config.evaluation.starts == 50
    assert config.world.backbone is None  # two of the ten look beside the table


@pytest.mark.parametrize("tasks", ["spatial/pick_up_the_black_bowl_from_table_center_and_place_it_on_the_plate",
                                   "goal/put_the_bowl_on_the_plate"])  # fmt: skip
def test_tasks_on_the_table_start_from_a_backbone_of_their_own(tasks: str):
    config = config_for(f"libero:{tasks}", "demo")
    assert config.world.backbone == "libero_backbone" and config.real_episodes <= 250
    assert config_for(f"libero:{tasks}", "smoke").world.backbone is None


def test_several_tasks_together_get_larger_updates_from_one_backbone_within_the_budget():
    names = ["goal/put_the_bowl_on_the_plate", "goal/put_the_bowl_on_the_stove"]
    alone, together = (config_for("libero:" + ",".join(chosen), "demo") for chosen in (names[:1], names))
    assert together.world.backbone == "libero_backbone" and together.real_episodes <= 250 * 2
    assert together.rl.groups == 2 * alone.rl.groups and together.data.play > alone.data.play
    assert together.max_steps == 120 and together.rl.keyframe_share > alone.rl.keyframe_share


def test_an_unknown_task_is_refused_by_the_nearest_names():
    with pytest.raises(UserError, match="did you mean"):
        config_for("libero:object/pick_up_the_cheese", "smoke")
