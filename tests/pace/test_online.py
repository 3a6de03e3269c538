"""The online baseline: resumable, on the loop's own base and evaluation."""

from __future__ import annotations

import pytest

from wovr_lab.pace.online import run_online
from wovr_lab.pace.results import collect_results
from wovr_lab.pace.scales import scale_config
from wovr_lab.pace.stages import digest
from wovr_lab.runs import read_json

pytestmark = pytest.mark.smoke


def test_the_online_baseline_trains_what_it_was_asked_for_and_can_be_pooled(tmp_path, capsys):
    config = scale_config("smoke", seed=2, evaluation_starts=1)
    first = run_online(config, tmp_path / "run", 4)
    assert first["trajectories"] == 4
    assert [first[name]["greedy"]["n"] for name in ("base", "online_grpo")] == [2, 2]
    capsys.readouterr()

    weights = digest(tmp_path / "run" / "checkpoints" / "base")
    assert run_online(config, tmp_path / "run", 4) == first
    assert " ..." not in capsys.readouterr().out

    assert run_online(config, tmp_path / "run", 8)["trajectories"] == 8
    assert "online_8 ..." in capsys.readouterr().out
    assert digest(tmp_path / "run" / "checkpoints" / "base") == weights

    collect_results(tmp_path / "tabletop.json", "online_grpo", [tmp_path / "run"])
    assert {row["setting"] for row in read_json(tmp_path / "tabletop.json")["rows"]} == {
        "online_grpo",
        "base",
    }
