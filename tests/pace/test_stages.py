"""Stages are skipped, redone and resumed as their artefacts say, and the ledger cannot be overspent: toy stages in real
run folders."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from wovr_lab.errors import UserError
from wovr_lab.machine import current_commit
from wovr_lab.pace.data import SEEDS, demonstrate, real_rollouts, seeds, starts, store
from wovr_lab.pace.layout import DEMONSTRATIONS
from wovr_lab.pace.presets import preset
from wovr_lab.pace.settings import changed
from wovr_lab.pace.stages import Entry, Ledger, Run, Stage, digest, open_run, run_stages
from wovr_lab.runs import read_json, write_text
from wovr_lab.types import CHUNK, NOOP, ActionChunk

CONFIG = preset("smoke")


class Kill(Exception):
    """Stops a stage as a kill would: whatever it has written stays."""


def source(run: Run) -> None:
    write_text(run.path("source.txt"), "one")
    run.ledger.debit(run.stage, "real", 2, 20)


def doubled(run: Run) -> None:
    write_text(run.path("doubled.txt"), run.path("source.txt").read_text() * 2)


def length(run: Run) -> None:
    write_text(run.path("length.txt"), str(len(run.path("doubled.txt").read_text())))


CHAIN = (
    Stage("source", source, (), ("source.txt",)),
    Stage("doubled", doubled, ("source.txt",), ("doubled.txt",)),
    Stage("length", length, ("doubled.txt",), ("length.txt",)),
)


def done(folder: Path, stages: tuple[Stage, ...] = CHAIN) -> tuple[Run, list[str]]:
    """Runs the stages; the run, and the names of those that were not skipped."""
    said: list[str] = []
    run = open_run(folder, CONFIG)
    run_stages(run, stages, said.append)
    return run, [line.removesuffix(" ...") for line in said if line.endswith(" ...")]


def test_stages_run_in_order_and_a_second_run_skips_them_all_with_the_same_ledger(tmp_path):
    first, names = done(tmp_path)
    assert names == ["source", "doubled", "length"]
    again, names = done(tmp_path)
    assert names == []
    assert again.ledger.entries == first.ledger.entries == [Entry("source", "real", 2, 20)]
    assert again.seconds == first.seconds
    assert again.commits == first.commits == dict.fromkeys(first.seconds, current_commit())


@pytest.mark.parametrize("missing, redone", [("source.txt", ["source"]), ("length.txt", ["length"])])
def test_a_deleted_artefact_is_made_again_and_what_reads_it_stays_if_it_came_out_the_same(tmp_path, missing, redone):
    done(tmp_path)
    (tmp_path / missing).unlink()
    assert done(tmp_path)[1] == redone
    assert (tmp_path / "length.txt").read_text() == "6"


def test_a_changed_artefact_redoes_what_reads_it_and_what_reads_that(tmp_path):
    done(tmp_path)
    write_text(tmp_path / "source.txt", "three")
    assert done(tmp_path)[1] == ["doubled", "length"]
    assert (tmp_path / "length.txt").read_text() == "10"


def test_a_redone_stage_is_booked_once(tmp_path):
    done(tmp_path)
    (tmp_path / "source.txt").unlink()
    assert done(tmp_path)[0].ledger.used("real") == (2, 20)
    assert done(tmp_path)[0].ledger.used("real") == (2, 20)


def test_a_stage_that_was_stopped_books_nothing_and_goes_on_from_its_scratch_folder(tmp_path):
    def stopped(run: Run) -> None:
        write_text(run.scratch / "half", "done so far")
        run.ledger.debit(run.stage, "real", 1, 1)
        raise Kill

    def finishing(run: Run) -> None:
        write_text(run.path("work.txt"), (run.scratch / "half").read_text())

    with pytest.raises(Kill):
        done(tmp_path, (Stage("work", stopped, (), ("work.txt",)),))
    run, names = done(tmp_path, (Stage("work", finishing, (), ("work.txt",)),))
    assert names == ["work"]
    assert (tmp_path / "work.txt").read_text() == "done so far"
    assert run.ledger.entries == []
    assert not (tmp_path / "resume" / "work").exists()


def test_scratch_of_other_inputs_is_thrown_away(tmp_path):
    def stopped(run: Run) -> None:
        write_text(run.scratch / "half", "of the old source")
        raise Kill

    def finishing(run: Run) -> None:
        assert not (run.scratch / "half").exists()
        doubled(run)

    done(tmp_path, CHAIN[:1])
    with pytest.raises(Kill):
        done(tmp_path, (Stage("doubled", stopped, ("source.txt",), ("doubled.txt",)),))
    write_text(tmp_path / "source.txt", "two")
    done(tmp_path, (Stage("doubled", finishing, ("source.txt",), ("doubled.txt",)),))
    assert (tmp_path / "doubled.txt").read_text() == "twotwo"


def test_a_phase_logged_again_on_other_inputs_leaves_no_old_row(tmp_path):
    run = open_run(tmp_path, CONFIG)
    for step in range(3):
        run.metrics.log("work", step, {"loss": 1.0})
    run.metrics.log("other", 0, {"loss": 5.0})
    again = open_run(tmp_path, CONFIG)
    again.metrics.log("work", 0, {"loss": 2.0})
    again.metrics.log("work", 1, {"loss": 2.0})
    rows = {(row["phase"], row["step"]): row["loss"] for row in again.metrics.rows()}
    assert rows == {("other", 0): 5.0, ("work", 0): 2.0, ("work", 1): 2.0}


def test_a_missing_input_is_named(tmp_path):
    with pytest.raises(UserError, match=r"source\.txt is missing"):
        done(tmp_path, CHAIN[1:])


def test_a_folders_digest_follows_names_and_bytes(tmp_path):
    folder = tmp_path / "folder"
    write_text(folder / "a", "1")
    before = digest(folder)
    assert digest(folder) == before
    (folder / "a").rename(folder / "b")
    renamed = digest(folder)
    write_text(folder / "b", "2")
    assert len({before, renamed, digest(folder)}) == 3


def test_a_run_folder_of_another_configuration_is_refused_by_the_names_of_what_differs(tmp_path):
    open_run(tmp_path / "run", CONFIG)
    before = (tmp_path / "run" / "config.json").read_bytes()
    other = changed(preset("smoke", seed=1), {"rl.keyframe_share": 0.0})
    with pytest.raises(UserError, match=r"other settings \(rl.keyframe_share, seed\)"):
        open_run(tmp_path / "run", other)
    assert (tmp_path / "run" / "config.json").read_bytes() == before


def test_a_folder_that_holds_something_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(UserError, match="is not empty and is not a run"):
        open_run(tmp_path, CONFIG)
    with pytest.raises(UserError, match="is not empty and is not a run"):
        open_run(tmp_path / "thesis.txt", CONFIG)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_the_ledger_counts_by_kind_and_refuses_to_overspend_real_episodes():
    ledger = Ledger(5, [Entry("collect", "real", 3, 30)])
    ledger.debit("demonstrate", "demonstrations", 100, 1000)
    ledger.debit("collect", "real", 2, 25)
    assert ledger.used("real") == (5, 55)
    assert ledger.used("demonstrations") == (100, 1000)
    assert ledger.used("imagined") == (0, 0)
    ledger.reserve("collect_again", 0)
    with pytest.raises(UserError, match="collect_again wants 1 real episodes, 5 of 5 are spent"):
        ledger.reserve("collect_again", 1)
    with pytest.raises(UserError, match="5 of 5 are spent"):
        ledger.debit("collect_again", "real", 1, 10)
    assert ledger.used("real") == (5, 55)


def test_real_episodes_that_the_ledger_refuses_are_never_made(tmp_path):
    class Unasked:
        def act(self, observation, instructions, generator, temperature):
            raise AssertionError("an action was asked for before the budget was")

    run = open_run(tmp_path, CONFIG)
    run.ledger, run.stage = Ledger(1), "collect"
    with pytest.raises(UserError, match="collect wants 2 real episodes, 0 of 1 are spent"):
        real_rollouts(run, Unasked(), starts(CONFIG, [0]), 1.0, "collect")
    assert run.ledger.entries == []


def test_episodes_that_a_killed_stage_kept_are_booked_but_not_made_again(tmp_path):
    class Still:
        def act(self, observation, instructions, generator, temperature):
            return ActionChunk(np.tile(NOOP, (len(instructions), CHUNK, 1)))

    run = open_run(tmp_path / "run", CONFIG)
    run.stage = "collect"
    first = real_rollouts(run, Still(), starts(CONFIG, [0]), 1.0, "collect/1.0")
    again = real_rollouts(run, None, starts(CONFIG, [0]), 1.0, "collect/1.0")  # no one acts
    assert len(first) == len(again) == 2
    for name in ("frames", "actions", "success", "states"):
        assert all(np.array_equal(getattr(a, name), getattr(b, name)) for a, b in zip(first, again, strict=True))
    assert [entry.episodes for entry in run.ledger.entries] == [2, 2]


def test_where_the_expert_fails_the_next_seed_demonstrates(tmp_path, monkeypatch):
    config = changed(CONFIG, {"data.demonstrations": 4, "data.demonstration_noise": 1.0})
    run = open_run(tmp_path / "run", config)
    demonstrate(run)
    shown = list(store(run, DEMONSTRATIONS))
    assert [episode.task for episode in shown] == [task for task in config.tasks for _ in range(4)]
    assert all(episode.success.any() for episode in shown)
    first = [seeds(config, "demonstrations", 4)] * 2
    tried = [[episode.seed for episode in shown if episode.task == task] for task in config.tasks]
    assert tried != first  # some of these failed
    monkeypatch.setitem(SEEDS, "demonstrations", (0, 4))
    with pytest.raises(UserError, match=r"the expert of .* succeeded \d times in 4 attempts; ask for fewer"):
        demonstrate(run)


def test_a_record_that_is_not_json_is_named_with_what_to_do(tmp_path):
    done(tmp_path)
    (tmp_path / "stages" / "source.json").write_text('{"stage": "sou')
    with pytest.raises(UserError, match=r"source\.json is not valid JSON .* delete it"):
        done(tmp_path)
    assert read_json(tmp_path / "stages" / "length.json")["stage"] == "length"


def test_a_folder_in_which_another_process_works_is_refused_until_that_process_ends(tmp_path):
    open_run(tmp_path, CONFIG)
    holding = (
        "import sys, filelock\n"
        "lock = filelock.FileLock(sys.argv[1])\n"
        "lock.acquire()\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", holding, tmp_path / "lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(UserError, match="another process is at work in"):
            open_run(tmp_path, CONFIG)
    finally:
        other.kill()
        other.communicate()
    open_run(tmp_path, CONFIG)


def test_what_a_killed_process_was_just_writing_is_removed(tmp_path):
    open_run(tmp_path, CONFIG)
    write_text(tmp_path / "checkpoints" / "base.123.partial" / "model.safetensors", "half of it")
    (tmp_path / "gate_1.json.123.partial").write_text("{")
    open_run(tmp_path, CONFIG)
    assert not list(tmp_path.rglob("*.partial"))
    assert (tmp_path / "config.json").is_file()
