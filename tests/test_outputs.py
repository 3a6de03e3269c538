"""Nothing of a person's is ever lost: only what this program made for the same purpose is ever replaced."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from wovr_lab.errors import UserError
from wovr_lab.outputs import MARKER, claim_file, claim_folder, claim_work_folder, json_with, mark, recover, replacing
from wovr_lab.runs import write_json, write_text

HERE = json_with("rows", command="wovr-lab measure")


def contents(folder: Path) -> dict[str, object]:
    """Every entry with its bytes, or where it leads to."""
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else path.is_file() and path.read_bytes()
        for path in folder.rglob("*")
    }


def make(folder: Path, what: str = "policy", text: str = "new") -> None:
    with replacing(folder, what) as partial:
        (partial / "deep").mkdir(parents=True)
        (partial / "deep/weights").write_text(text)


def a_thesis(place: Path) -> None:
    place.mkdir()
    (place / "one.txt").write_text("precious")


def a_file(place: Path) -> None:
    place.write_text("precious")


def another_kind(place: Path) -> None:
    make(place, "probe", "precious")


def one_file_more(place: Path) -> None:
    make(place, "policy")
    (place / "deep/notes.txt").write_text("precious")


def one_link_more(place: Path) -> None:
    make(place, "policy")
    (place / "link").symlink_to(place.parent)


def a_marker_that_is_not_ours(place: Path) -> None:
    a_thesis(place)
    (place / MARKER).write_text('["policy"]')


def a_pipe(place: Path) -> None:
    os.mkfifo(place)


PRECIOUS = [a_thesis, a_file, another_kind, one_file_more, one_link_more, a_marker_that_is_not_ours, a_pipe]


@pytest.mark.parametrize("there", PRECIOUS, ids=lambda each: each.__name__)
@pytest.mark.parametrize("linked", [False, True], ids=["itself", "through a link"])
def test_what_was_not_made_here_for_the_same_purpose_is_refused_and_untouched(tmp_path, there, linked):
    place = tmp_path / "place"
    there(place)
    target = tmp_path / "link"
    if linked:
        target.symlink_to(place)
    else:
        target = place
    before = contents(tmp_path) if there is not a_pipe else None
    for attempt in (claim_folder, lambda path, what: make(path, what)):
        with pytest.raises(UserError, match="choose another"):
            attempt(target, "policy")
    with pytest.raises(UserError, match=r"another|name of a file"):
        claim_file(target, HERE)
    if there is not another_kind:
        with pytest.raises(UserError):
            claim_work_folder(target, "pretraining", ("play", "codec.*"))
    assert before is None or contents(tmp_path) == before


def test_its_own_earlier_work_and_empty_places_are_replaced_and_nothing_is_left_aside(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty", "new", "a/b/c"):
        make(claim_folder(tmp_path / name, "policy"), text=name)
        assert (tmp_path / name / "deep/weights").read_text() == name
    assert not [name for name in contents(tmp_path) if "partial" in name or ".old" in name]


def test_links_are_written_through(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    (tmp_path / "model").symlink_to(disk / "model")  # leads nowhere yet
    (tmp_path / "note.json").symlink_to(disk / "note.json")
    for text in ("one", "two"):
        make(tmp_path / "model", text=text)
        write_text(tmp_path / "note.json", text)
        assert (disk / "model/deep/weights").read_text() == (disk / "note.json").read_text() == text
    assert (tmp_path / "model").is_symlink() and (tmp_path / "note.json").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk", "model", "note.json"]


def test_the_input_its_parents_and_where_one_stands_are_refused(tmp_path, monkeypatch):
    make(tmp_path / "runs/demo", "shipped run")
    (tmp_path / "link").symlink_to(tmp_path / "runs/demo")
    monkeypatch.chdir(tmp_path)
    for out in ("runs/demo", "runs", ".", "..", "/", "link", tmp_path / "runs/../runs/demo"):
        with pytest.raises(UserError, match=r"is or holds|no shipped run"):
            claim_folder(out, "shipped run", inputs=[Path("runs/demo")])
    monkeypatch.chdir(tmp_path / "runs/demo")
    with pytest.raises(UserError, match="the folder that you are in"):
        claim_folder(tmp_path / "runs", "shipped run")


@pytest.mark.parametrize("out", ["file/x", "x" * 300, "a\0b", "", "/proc/nowhere/x", "/dev/null", "/dev/full/x"])
def test_places_that_cannot_be_written_are_refused_before_any_work(tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("precious")
    for claim in (lambda: claim_file(out, HERE), lambda: claim_folder(out, "policy")):
        with pytest.raises(UserError):
            claim()
    assert contents(tmp_path) == {"file": b"precious"} and Path("/dev/null").is_char_device()


def test_a_table_takes_the_place_of_one_by_the_same_command_only(tmp_path):
    path = tmp_path / "table.json"
    for other in ({"rows": [], "command": "wovr-lab ablate x"}, {"rows": 1}, [], {"command": "wovr-lab measure"}):
        write_json(path, other)
        with pytest.raises(UserError, match="not made by this command"):
            claim_file(path, HERE)
    for text in ("[" * 100_000, "\xff", "{"):
        path.write_text(text)
        with pytest.raises(UserError, match="not made by this command"):
            claim_file(path, HERE)
    for fine in ({"rows": [], "command": "wovr-lab measure runs/demo"},):
        write_json(path, fine)
        assert claim_file(path, HERE) == path
    path.write_text("")
    assert claim_file(path, HERE) == path


def test_the_home_folder_is_meant_by_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()
    make("~/model")
    assert (tmp_path / "home/model/deep/weights").exists() and not (tmp_path / "~").exists()


def test_work_goes_on_in_a_folder_of_its_own_or_from_before_there_were_markers(tmp_path):
    for name in ("new", "old"):
        (tmp_path / "old").mkdir(exist_ok=True)
        (tmp_path / "old/codec.training").write_text("half")
        for _ in range(2):
            assert claim_work_folder(tmp_path / name, "pretraining", ("play", "codec.*")) == tmp_path / name
    with pytest.raises(UserError, match="is a pretraining, not a ablation"):
        claim_work_folder(tmp_path / "old", "ablation", ("*",))


def test_a_folder_of_a_run_from_before_there_were_markers_can_be_made_again(tmp_path):
    for path in ("stages/sft.json", "config.json", "checkpoints/base/weights"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("{}")
    make(tmp_path / "checkpoints/base")
    assert not (tmp_path / "checkpoints/base/weights").exists()


KILLED_HALF_WAY = """
import os, signal, sys
from pathlib import Path
import wovr_lab.outputs as outputs
moment, replace, remove = int(sys.argv[1]), Path.replace, outputs._remove
def count(work):
    def counted(*arguments):
        global moment
        moment -= 1
        if not moment:
            os.kill(os.getpid(), signal.SIGKILL)
        return work(*arguments)
    return counted
Path.replace, outputs._remove = count(replace), count(remove)
with outputs.replacing("model", "policy") as partial:
    partial.mkdir()
    (partial / "weights").write_text("new")
"""


@pytest.mark.parametrize("moment", range(1, 5))
def test_after_a_kill_at_any_moment_the_old_or_the_new_one_is_there_whole_and_nothing_else(tmp_path, moment):
    with replacing(tmp_path / "model", "policy") as partial:
        partial.mkdir()
        (partial / "weights").write_text("old")
    run = [sys.executable, "-c", KILLED_HALF_WAY, str(moment)]
    killed = subprocess.run(run, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])})
    assert killed.returncode == -9
    recover(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (tmp_path / "model/weights").read_text() == ("old" if moment < 3 else "new")


def test_what_a_living_process_is_writing_and_names_of_people_are_left_alone(tmp_path):
    living = tmp_path / f"model.{os.getppid()}.partial"
    for path in (living, tmp_path / "film.partial", tmp_path / "backup.2024.old.txt", tmp_path / "letter.old"):
        path.write_text("precious")
    before = contents(tmp_path)
    recover(tmp_path)
    assert contents(tmp_path) == before


def test_a_marker_names_every_file(tmp_path):
    make(tmp_path / "x")
    mark(tmp_path / "x", "policy")
    assert '"deep/weights"' in (tmp_path / "x" / MARKER).read_text()
