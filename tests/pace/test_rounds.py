"""Rounds of RL: their artefacts by name, and whole runs of one and of three, each stage reading what it declares."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from wovr_lab.episodes import EpisodeStore
from wovr_lab.errors import UserError
from wovr_lab.experiments.forking import fork_run
from wovr_lab.pace import changed, preset, run_loop
from wovr_lab.pace.evaluation import Improved, evaluate_stage
from wovr_lab.pace.loop import preparation, stage_names, stages_after_gate
from wovr_lab.pace.rounds import rounds, success_sources, world_sources
from wovr_lab.pace.run_folder import RunFolder
from wovr_lab.pace.stages import Run, Stage, open_run, run_stages
from wovr_lab.publish.export import export_run
from wovr_lab.report.run_report import write_report
from wovr_lab.runs import read_json

pytestmark = pytest.mark.timeout(900)
TWO = preset("smoke")
FEW = {"evaluation.starts": 1, "evaluation.confusion_rollouts": 1}
THREE = changed(TWO, {"rl.iterations": (1, 1, 1), "rl.monitor.starts": 1, **FEW})
ONE = changed(TWO, {"rl.iterations": (1,), "rl.keyframe_share": 0.0, "rl.filtered_bc": None, **FEW})


def test_two_rounds_have_the_names_that_tools_outside_the_repository_read():
    first, second = rounds(TWO)
    assert (first.policy, first.improved) == ("checkpoints/base", "checkpoints/improved_1")
    assert (second.policy, second.improved) == ("checkpoints/improved_1", "checkpoints/improved_2")
    assert first.simulator.names == ("checkpoints/world", "checkpoints/reward")
    assert first.refreshed.names == ("checkpoints/world_improved", "checkpoints/reward_improved")
    assert first.refined == second.simulator
    assert second.simulator.names == ("checkpoints/world_evolved", "checkpoints/reward_evolved")
    assert second.refreshed.names == ("checkpoints/world_final", "checkpoints/reward_final")
    assert (first.rollouts, first.collect, first.refine) == ("episodes/fresh.hdf5", "collect_again", "refine")
    assert (second.gate, second.name, second.monitor) == ("gate_2", "improve_2", "monitor_2.json")
    assert second.keyframes == "keyframes-improve_2.json"


def test_no_two_rounds_share_an_artefact():
    made = [
        name
        for each in rounds(THREE)
        for stage in stages_after_gate(THREE, each)
        for name in (stage.name, *stage.writes)
    ]
    assert len(set(made)) == len(made)


def test_each_round_learns_from_all_before_it_and_weighs_what_the_run_says():
    first, second, _ = rounds(THREE)
    weights = world_sources(changed(THREE, {"rl.monitor.weight": 3.0}), 3)
    assert weights[first.monitored] == weights[second.monitored] == 3.0
    assert weights[first.rollouts] == weights[second.rollouts] == 5.0
    assert second.rollouts not in world_sources(THREE, 2)
    assert first.monitored not in world_sources(changed(THREE, {"rl.monitor.weight": 0.0}), 3)
    after_last = success_sources(THREE, 4)
    assert {each.monitored for each in rounds(THREE)} < set(after_last)
    assert rounds(THREE)[-1].rollouts not in after_last  # nothing is collected after the last round


@dataclass
class Watched(Run):
    """A run that notes which artefacts a stage asks for."""

    asked: set[str] = field(default_factory=set)

    def path(self, name: str) -> Path:
        self.asked.add(name)
        return super().path(name)


def watched(stage: Stage, asked: dict[str, set[str]]) -> Stage:
    def work(run: Run) -> None:
        seen = Watched(**vars(run))
        stage.work(seen)
        asked[stage.name] = seen.asked

    return replace(stage, work=work)


def lies_in(name: str, places: tuple[str, ...] | set[str]) -> bool:
    return any(name == place or name.startswith(f"{place}/") for place in places)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Stage], dict[str, set[str]]]:
    """A run of three rounds, its stages, and what each asked for."""
    folder, last = tmp_path_factory.mktemp("rounds") / "three", rounds(THREE)[-1]
    later = (stage for each in rounds(THREE) for stage in stages_after_gate(THREE, each))
    stages = [*preparation(THREE), *later, evaluate_stage(Improved(last.improved, last.refreshed))]
    asked: dict[str, set[str]] = {}
    run = open_run(folder, THREE)
    run_stages(run, [watched(stage, asked) for stage in stages], lambda _: None)
    run.lock.release()
    return folder, stages, asked


@pytest.mark.smoke
def test_what_a_stage_declares_to_read_and_write_is_what_it_asks_for(three):
    _, stages, asked = three
    for stage in stages:
        named = asked[stage.name]
        assert {name for name in named if not lies_in(name, (*stage.reads, *stage.writes))} == set(), stage.name
        unused = [place for place in (*stage.reads, *stage.writes) if not any(lies_in(n, (place,)) for n in named)]
        assert unused == [], stage.name


@pytest.mark.smoke
def test_three_rounds_are_a_matter_of_configuration(three, capsys):
    folder, _, _ = three
    report = run_loop(THREE, folder)
    assert capsys.readouterr().out.count("done before") == len(stage_names(THREE))
    assert [stage["name"] for stage in report["stages"]] == list(stage_names(THREE))
    assert stage_names(THREE)[-5:] == ("collect_again_2", "refine_2", "gate_3", "improve_3", "evaluate")
    assert report["gate"].keys() == {"gate_1", "gate_2", "gate_3"} and "wovr" in report["success"]
    assert 0 < report["budget"]["real_episodes"] <= THREE.real_episodes
    seeds = [
        {summary.seed for summary in EpisodeStore([folder / each.rollouts]).summaries} for each in rounds(THREE)[:-1]
    ]
    assert seeds[0] and seeds[0].isdisjoint(seeds[1])
    opened = RunFolder(folder)
    assert opened.policy() is opened.policy("improved_3")
    assert opened.world() is opened.world("world_final") and opened.reward() is opened.reward("reward_final")
    page = write_report(folder).read_text()
    assert "Gate 3" in page and "imitated once more" in page


@pytest.mark.smoke
def test_one_round_is_a_run_without_co_evolution_and_can_be_shipped_without_keyframes(smoke_run, tmp_path):
    folder, out = tmp_path / "one", tmp_path / "out"
    fork_run(smoke_run, folder, ONE)
    report = run_loop(ONE, folder)
    assert [stage["name"] for stage in report["stages"]][-2:] == ["improve_1", "evaluate"]
    assert report["gate"].keys() == {"gate_1"} and "wovr" in report["success"]
    assert not list(folder.glob("keyframes-*")) and not (folder / "episodes/fresh.hdf5").exists()
    export_run(folder, out)
    shipped = RunFolder(out)
    assert shipped.policy() is shipped.policy("improved_1") and shipped.world() is shipped.world("world_final")
    assert read_json(out / "provenance.json")["parts"].keys() >= {"checkpoints/base", "checkpoints/improved_1"}


@pytest.mark.smoke
def test_a_stage_of_a_round_that_the_run_does_not_have_is_refused(tmp_path):
    with pytest.raises(UserError, match="unknown stage 'gate_3'; stages: demonstrate"):
        run_loop(TWO, tmp_path / "run", until="gate_3")
