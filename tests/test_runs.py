"""Files that survive: the old version or the new one, one clear message, every metric once."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import nn

from wovr_lab.errors import UserError
from wovr_lab.fields import Count
from wovr_lab.runs import (
    Metrics,
    load_into,
    load_metrics,
    load_tensors,
    read_json,
    read_object,
    replacing,
    save_tensors,
    write_json,
    write_text,
)
from wovr_lab.training_state import optimizer_tensors, restore_optimizer


@contextmanager
def full_disk(largest: int = 20_000) -> Iterator[None]:
    """No file can grow beyond `largest` bytes: writes fail as they do when the disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_full_disk_leaves_the_old_file_and_says_what_to_do(tmp_path):
    weights, note = tmp_path / "a.safetensors", tmp_path / "note.json"
    save_tensors(weights, {"w": torch.arange(3)})
    write_json(note, [1])
    with full_disk():
        with pytest.raises(UserError, match="free some space"):
            save_tensors(weights, {"w": torch.zeros(10_000)})
        with pytest.raises(UserError, match="free some space"):
            write_text(note, "x" * 30_000)
    assert load_tensors(weights)["w"].tolist() == [0, 1, 2] and read_json(note) == [1]
    assert names(tmp_path) == ["a.safetensors", "note.json"]


def test_a_full_disk_leaves_the_old_folder(tmp_path):
    folder = tmp_path / "model"
    with replacing(folder, "model") as partial:
        partial.mkdir()
        save_tensors(partial / "w.safetensors", {"w": torch.ones(2)})
    with pytest.raises(UserError, match="cannot write"), full_disk(), replacing(folder, "model") as partial:
        partial.mkdir()
        save_tensors(partial / "w.safetensors", {"w": torch.zeros(10_000)})
    assert names(tmp_path) == ["model"] and load_tensors(folder / "w.safetensors")["w"].tolist() == [1, 1]


def test_a_new_folder_replaces_the_old_one_whole(tmp_path):
    for name in ("old", "new"):
        with replacing(tmp_path / "model", "model") as partial:
            partial.mkdir()
            (partial / name).write_text(name)
    assert names(tmp_path) == ["model"] and "old" not in names(tmp_path / "model")


def test_an_error_while_writing_leaves_the_old_file_and_no_rubbish(tmp_path):
    write_text(tmp_path / "a", "old")
    with pytest.raises(RuntimeError, match="broken"), replacing(tmp_path / "a") as partial:
        partial.write_text("half")
        raise RuntimeError("broken")
    assert (tmp_path / "a").read_text() == "old" and names(tmp_path) == ["a"]


def test_json_is_strict_and_its_defects_are_named(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"rate": float("nan")})
    with pytest.raises(UserError, match="does not exist"):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_text('{"half": ')
    with pytest.raises(UserError, match="not valid JSON"):
        read_json(tmp_path / "a.json")


def test_json_is_read_in_one_way_and_every_defect_is_one_error(tmp_path):
    path = tmp_path / "a.json"
    for content in (b"\xff\xfe", b"[" * 100_000, b"NaN", b'{"rate": Infinity}', b"", b"{", b"\x00"):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"a\.json is not valid JSON"):
            read_json(path)
    for value, named in (
        ([], "holds a list"),
        (3, "holds a int"),
        ({}, "names no steps"),
        ({"steps": 1.5}, "steps is 1.5"),
    ):
        write_json(path, value)
        with pytest.raises(UserError, match=named):
            read_object(path, steps=Count)
    with pytest.raises(UserError, match="cannot be read"):
        read_json(tmp_path)
    assert read_json(str(path)) == {"steps": 1.5}


def test_a_damaged_row_is_named_by_all_that_read_metrics(tmp_path):
    good = '{"phase": "sft", "step": 0, "loss": 1.0}\n'
    for line in (
        "half a line {",
        "[1]",
        '{"phase": "sft"}',
        '{"phase": 1, "step": 0}',
        '{"phase": "a", "step": 0.5}',
        "\udcff",
    ):
        (tmp_path / "metrics.jsonl").write_bytes((good + line + "\n").encode("utf-8", "surrogateescape"))
        for read in (lambda: load_metrics(tmp_path), lambda: Metrics(tmp_path)):
            with pytest.raises(UserError, match=r"line 2 of .*metrics\.jsonl.*remove that line"):
                read()
    (tmp_path / "metrics.jsonl").write_text(good)  # the advice, taken
    assert len(Metrics(tmp_path).rows()) == 1


def test_missing_truncated_and_foreign_checkpoints_are_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    with pytest.raises(UserError, match="does not exist"):
        load_tensors(path)
    save_tensors(path, {"w": torch.zeros(1000)})
    whole = path.read_bytes()
    for damaged in (whole[:-5], whole[:20], b"", b"PK\x03\x04 a pickle, perhaps"):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="not a whole safetensors file"):
            load_tensors(path)


def test_weights_of_another_architecture_are_refused_and_nothing_is_loaded():
    model = nn.Linear(3, 2)
    before = model.weight.clone()
    for other in (nn.Linear(4, 2), nn.Linear(3, 2, bias=False), nn.Sequential(nn.Linear(3, 2))):
        with pytest.raises(UserError, match="another architecture than Linear"):
            load_into(model, other.state_dict(), Path("other.safetensors"))
    assert (model.weight == before).all()
    same = nn.Linear(3, 2)
    load_into(model, same.state_dict(), Path("same.safetensors"))
    assert (model.weight == same.weight).all()


def adam_steps(model: nn.Module, optimizer: torch.optim.Optimizer, count: int) -> None:
    for _ in range(count):
        optimizer.zero_grad()
        model(torch.ones(1, 3)).square().sum().backward()
        optimizer.step()


def test_an_optimizer_restored_from_a_file_goes_on_as_if_nothing_had_happened(tmp_path):
    one, two = nn.Linear(3, 2), nn.Linear(3, 2)
    first = torch.optim.AdamW(one.parameters(), 0.1)
    adam_steps(one, first, 3)
    save_tensors(tmp_path / "o.safetensors", optimizer_tensors(first))
    two.load_state_dict(one.state_dict())
    second = torch.optim.AdamW(two.parameters(), 0.1)
    restore_optimizer(second, load_tensors(tmp_path / "o.safetensors"), tmp_path / "o.safetensors")
    adam_steps(one, first, 3)
    adam_steps(two, second, 3)
    assert (one.weight == two.weight).all() and (one.bias == two.bias).all()


def test_repeated_steps_are_logged_once_even_by_a_resumed_run(tmp_path):
    for _ in range(2):
        metrics = Metrics(tmp_path)
        for step in (0, 1, 1):
            metrics.log("sft", step, {"loss": 1.0 + step})
        metrics.log("world", 0, {"loss": 5.0})
    rows = [(row["phase"], row["step"], row["loss"]) for row in Metrics(tmp_path).rows()]
    assert rows == [("sft", 0, 1.0), ("sft", 1, 2.0), ("world", 0, 5.0)]


def test_a_last_line_cut_by_a_kill_is_dropped_and_written_again(tmp_path):
    metrics = Metrics(tmp_path)
    for step in range(3):
        metrics.log("sft", step, {"loss": float(step)})
    metrics.path.write_bytes(metrics.path.read_bytes()[:-4])
    resumed = Metrics(tmp_path)
    assert [row["step"] for row in resumed.rows()] == [0, 1]
    resumed.log("sft", 2, {"loss": 2.0})
    assert [row["loss"] for row in resumed.rows()] == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_metric_that_is_not_finite_stops_the_run_and_is_not_logged(tmp_path, value):
    metrics = Metrics(tmp_path)
    with pytest.raises(UserError, match="sft diverged at step 4: loss"):
        metrics.log("sft", 4, {"loss": value, "rate": 1.0})
    assert metrics.rows() == []
