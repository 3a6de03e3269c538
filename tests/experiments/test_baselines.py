"""The baselines: resumable, on the loop's own base and evaluation."""

from __future__ import annotations

import pytest

from wovr_lab.errors import UserError
from wovr_lab.experiments.baselines import run_online, run_sft_control
from wovr_lab.pace.scales import scale_config
from wovr_lab.pace.stages import digest
from wovr_lab.publish.results import collect_results
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


def test_longer_imitation_goes_on_from_the_base_without_any_rollout(tmp_path):
    config = scale_config("smoke", seed=2, evaluation_starts=1)
    found = run_sft_control(config, tmp_path / "run", 3)
    assert found["trajectories"] == 0
    assert [found[name]["greedy"]["n"] for name in ("base", "longer_imitation")] == [2, 2]
    assert not list((tmp_path / "run" / "episodes").glob("base*"))  # nothing was rolled out to learn from
    base, learnt = (digest(tmp_path / "run" / "checkpoints" / name) for name in ("base", "longer"))
    assert base != learnt

    collect_results(tmp_path / "tabletop.json", "longer_imitation", [tmp_path / "run"])
    settings = {row["setting"] for row in read_json(tmp_path / "tabletop.json")["rows"]}
    assert settings == {"base", "longer_imitation"}

    with pytest.raises(UserError, match="holds longer_imitation, another baseline"):
        run_online(config, tmp_path / "run", 4)
