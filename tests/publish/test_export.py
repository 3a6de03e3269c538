"""A shipped run is smaller, opens like any other, and says where it comes from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from wovr_lab.episodes import EpisodeStore
from wovr_lab.errors import UserError
from wovr_lab.inspector.models import RunModels
from wovr_lab.inspector.session import Session
from wovr_lab.policy.checkpoints import load_policy
from wovr_lab.publish.export import FEW, export_run
from wovr_lab.runs import read_json
from wovr_lab.starts import import_keyframes
from wovr_lab.world.model import WorldModel

pytestmark = pytest.mark.smoke


@pytest.fixture(scope="module")
def shipped(smoke_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("shipping") / "demo"
    size = export_run(smoke_run, out)
    assert size == sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    return out


def test_models_come_back_at_full_precision_and_almost_equal(smoke_run, shipped):
    before = WorldModel.load(smoke_run / "checkpoints/world_evolved").state_dict()
    after = WorldModel.load(shipped / "checkpoints/world_evolved").state_dict()
    assert all(after[name].dtype == tensor.dtype for name, tensor in before.items())
    assert all(torch.allclose(after[name], tensor, atol=2e-3, rtol=1e-3) for name, tensor in before.items())
    policy = load_policy(smoke_run / "checkpoints/improved_2").state_dict()
    assert all(
        (policy[name] == tensor).all()
        for name, tensor in load_policy(shipped / "checkpoints/improved_2").state_dict().items()
    )


def test_it_opens_in_the_inspector_and_its_keyframes_have_their_episodes(smoke_run, shipped):
    session = Session(RunModels(shipped))
    session.start("push_red", 10_000)
    session.switch(checkpoint="evolved")
    assert session.branch.origin.task == "push_red"
    stores = {name: EpisodeStore([shipped / f"episodes/{name}.hdf5"]) for name in ("base", "fresh")}
    assert all(0 < len(store.select(task="push_red")) <= FEW for store in stores.values())
    checks = ("gate_groups.hdf5", "monitored_1", "imagined_1")
    assert all((smoke_run / "episodes" / name).exists() for name in checks), "the smoke run no longer checks itself"
    assert not any((shipped / "episodes" / name).exists() for name in checks), "episodes that only checked are shipped"
    files = [shipped / f"episodes/{name}.hdf5" for name in ("demonstrations", "examples", "base", "fresh")]
    starts = import_keyframes(shipped / "keyframes-improve_2.json", EpisodeStore(files))
    assert starts and all(start.state is not None for start in starts)


def test_it_says_where_it_comes_from(shipped):
    found = read_json(shipped / "provenance.json")
    assert found["command"].startswith("wovr-lab run --scale smoke --seed 0") and found["shipped_by_commit"]
    assert found["commit_of_the_run"] == found["shipped_by_commit"]
    assert all((shipped / part).is_dir() for part in found["parts"])


def test_half_a_run_is_not_shipped_and_nothing_is_left_behind(smoke_run, tmp_path):
    run = shutil.copytree(smoke_run, tmp_path / "run")
    (run / "gate_2.json").unlink()
    with pytest.raises(UserError, match=r"gate_2.json is missing.*finish it"):
        export_run(run, tmp_path / "out")
    (tmp_path / "run/checkpoints/base/model.safetensors").write_bytes(b"torn")
    shutil.copy(smoke_run / "gate_2.json", run / "gate_2.json")
    with pytest.raises(UserError, match="not a whole safetensors file"):
        export_run(run, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
