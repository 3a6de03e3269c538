"""Every reader of files, with a file that it reads and what it promises of all that it lets through.

In: a run folder to which `add_files` has added what a smoke run has not. Out: `READERS` by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wovr_lab.cli.configuring import configured
from wovr_lab.episodes import EpisodeStore
from wovr_lab.figures.wording import interval
from wovr_lab.measure.paired import PairedRollouts
from wovr_lab.pace.config import RunConfig, load_config
from wovr_lab.pace.loop import run_loop
from wovr_lab.pace.presets import preset
from wovr_lab.pace.settings import from_dict, to_dict
from wovr_lab.policy.checkpoints import load_policy
from wovr_lab.policy.vla import SIZES
from wovr_lab.report.run_report import write_report
from wovr_lab.report_schema import load_report
from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.rlinf import export_starts, import_start
from wovr_lab.runs import load_metrics, load_tensors, read_rows
from wovr_lab.start_checks import check_start
from wovr_lab.starts import start_at
from wovr_lab.training import FitConfig, fit
from wovr_lab.types import ACTION_DIM, Episode
from wovr_lab.world.protocol import load_world_model

TABLE = "settings.toml"
EPISODES, KEYFRAMES = "episodes/demonstrations.hdf5", "keyframes-improve_1.json"
START = "step_9_traj0_kir.npy"
PAIRS, STATE = "pairs.safetensors", "line.training.safetensors"
FIT = FitConfig(4, 1e-2, 0, ema_decay=0.5, checkpoint_every=2)


@dataclass(frozen=True)
class Reader:
    """`read(folder)` takes in `file`, which is of the format `kind`; `check(found, whole)` raises AssertionError if
    what was let through is not what the reader promises, beside what it reads in the undamaged file."""

    kind: str
    file: str
    read: Callable[[Path], Any]
    check: Callable[[Any, Any], None]


class Line(nn.Module):
    """Something that `fit` trains."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.ones(3))

    def forward(self, batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        loss = (self.slope * batch).square().mean()
        return loss, {}


def add_files(folder: Path) -> None:
    """What the readers need beside a smoke run's own files."""
    episode = EpisodeStore(folder / "episodes/demonstrations.hdf5")[0]
    export_starts(folder, [start_at(episode, 9)])
    (folder / START).exists() or (folder / "step_9_traj0_kir.npy").rename(folder / START)
    lines = ["seed = 3", "world.sampler_steps = 2", 'tasks = ["push_red"]', "rl.groups = 4", "rl.iterations = [1, 1]"]
    (folder / TABLE).write_text("\n".join(lines) + "\n")
    shape, cells = (2, 8), (2, 9, 10)
    numbers = {"probability": np.full(shape, 0.5, np.float32), "psnr": np.full(shape, 20, np.float32)}
    numbers |= {name: np.zeros(cells, np.float32) for name in ("found", "seen", "truth")}
    numbers |= {name: np.zeros(shape, bool) for name in ("imagined_success", "real_success")}
    numbers |= {name: np.zeros((2, 3), bool) for name in ("imagined_violations", "real_violations")}
    PairedRollouts(("push_red", "push_red"), alone=np.zeros(2, bool), **numbers).save(folder / PAIRS)
    fit(Line(), _batch, FIT, "line", folder)


def _batch(step: int) -> Tensor:
    return torch.full((2, 3), 1.0 + step)


def equal(one: Any, other: Any) -> bool:
    """Whether two things that were read are the same to the bit."""
    if isinstance(one, nn.Module):
        return equal(dict(one.state_dict()), dict(other.state_dict()))
    if is_dataclass(one):
        return type(one) is type(other) and all(
            equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(one)
        )
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, np.ndarray | Tensor):
        return one.shape == other.shape and one.dtype == other.dtype and bool((one == other).all())
    return bool(one == other)


def check_episodes(found: list[Episode], whole: list[Episode]) -> None:
    assert found
    for episode in found:
        length = len(episode.actions)
        assert episode.actions.shape == (length, ACTION_DIM) and length and episode.actions.dtype == np.float32
        assert np.abs(episode.actions).max() <= 1 + 1e-6
        assert episode.frames.dtype == np.uint8 and episode.frames.shape[::4] == (length + 1,)
        assert episode.frames.shape[3] == 3 and min(episode.frames.shape) > 0
        assert episode.success.dtype == bool and episode.success.shape == (length,)
        assert (np.diff(episode.success.astype(int)) >= 0).all()
        assert episode.states is None or np.isfinite(episode.states[:-1]).all()
        known = {getattr(each, name) for each in whole for name in ("task", "instruction")}
        for text in (episode.task, episode.instruction):  # a flipped byte leaves a text of the same length
            assert text == "x" or any(len(text) == len(each) for each in known), text
        assert isinstance(episode.seed, int)


def check_network(found: nn.Module, whole: nn.Module) -> None:
    here, there = found.state_dict(), whole.state_dict()
    assert {name: (each.shape, each.dtype) for name, each in here.items()} == {
        name: (each.shape, each.dtype) for name, each in there.items()
    }
    assert all(torch.isfinite(each).all() for each in here.values())
    for part, whole_part in zip(found.modules(), whole.modules(), strict=True):
        config, wanted = getattr(part, "config", None), getattr(whole_part, "config", None)
        for name in wanted if isinstance(wanted, dict) else ():
            if not name.startswith("_"):
                assert type(config[name]) is type(wanted[name]), (name, config[name])
                assert not isinstance(wanted[name], int) or config[name] >= 0


def check_reward(found: SuccessClassifier, whole: SuccessClassifier) -> None:
    check_network(found, whole)
    texts = list(found.config.instructions)
    assert all(isinstance(each, str) for each in texts) and len(set(texts)) == len(whole.config.instructions)
    assert found.config.consecutive >= 1 and 0 <= float(found.threshold) <= 1


def check_world(found: Any, whole: Any) -> None:
    check_network(found, whole)
    context, sampler = found.context, found.sampler
    assert isinstance(context.anchor, bool) and context.memory in (1, 4) and 0 <= context.noise < 1
    assert type(sampler.steps) is int and 1 <= sampler.steps <= 1000 and 0 < sampler.shift < 1e6


def check_policy(found: Any, whole: Any) -> None:
    check_network(found, whole)
    for name in SIZES:
        assert getattr(found.config, name) == getattr(whole.config, name), name
    assert len(found.instructions.tokenizer) <= whole.config.vocab_size


def check_config(found: RunConfig, whole: RunConfig) -> None:
    assert from_dict(RunConfig, to_dict(found)) == found


def check_rows(found: list[dict[str, Any]], whole: list[dict[str, Any]]) -> None:
    for row in found:
        assert isinstance(row["phase"], str) and type(row["step"]) is int and row["step"] >= -1
        values = [value for name, value in row.items() if name not in ("phase", "step", "another")]
        assert all(isinstance(value, int | float) and np.isfinite(value) for value in values), row


def check_report(found: dict[str, Any], whole: dict[str, Any]) -> None:
    for rate in found["success"].values():
        rate = interval(rate)
        assert rate is None or (0 <= rate.low <= rate.rate <= rate.high <= 1 and rate.n >= 0)
    assert isinstance(found["ledger"], list)


def check_stage(found: dict[str, str], whole: dict[str, str]) -> None:
    assert found == whole


def check_start_of_rlinf(found: Any, whole: Any) -> None:
    check_start(found, found.anchor.shape)
    assert min(found.anchor.shape) > 0 and found.instruction


def check_keyframes(found: list[dict[str, Any]], whole: list[dict[str, Any]]) -> None:
    assert all(isinstance(row["task"], str) and type(row["seed"]) is int and type(row["step"]) is int for row in found)


def check_pairs(found: PairedRollouts, whole: PairedRollouts) -> None:
    for name, array in found._arrays().items():
        wanted = getattr(whole, name)
        assert array.shape == wanted.shape and array.dtype == wanted.dtype, name
        assert np.isfinite(array).all(), name


def check_tensors(found: dict[str, Tensor], whole: dict[str, Tensor]) -> None:
    assert all(isinstance(name, str) for name in found)


def _report(folder: Path) -> dict[str, Any]:
    write_report(folder)
    return load_report(folder)


def _demonstrations(folder: Path) -> str:
    """Goes on with a run that has demonstrated, whose record is read or whose work is done again."""
    run_loop(load_config(folder), folder, until="demonstrate")
    return (folder / "episodes/demonstrations.hdf5").read_bytes().hex()


def _policy(folder: Path) -> Any:
    return load_policy(folder / "checkpoints/base")


def _reward(folder: Path) -> SuccessClassifier:
    return SuccessClassifier.load(folder / "checkpoints/reward")


def _world(folder: Path) -> Any:
    return load_world_model(folder / "checkpoints/world")


def _episodes(folder: Path) -> list[Episode]:
    return list(EpisodeStore(folder / EPISODES))


def _keyframes(folder: Path) -> list[dict[str, Any]]:
    return read_rows(folder / KEYFRAMES, task=str, seed=int, step=int)


NETWORK = "diffusion_pytorch_model.safetensors"
READERS = {
    "episodes": Reader("hdf5", EPISODES, _episodes, check_episodes),
    "weights of a policy": Reader("safetensors", "checkpoints/base/model.safetensors", _policy, check_policy),
    "sizes of a policy": Reader("json", "checkpoints/base/config.json", _policy, check_policy),
    "words of a policy": Reader("json", "checkpoints/base/tokenizer.json", _policy, check_policy),
    "weights of a reward": Reader("safetensors", f"checkpoints/reward/{NETWORK}", _reward, check_reward),
    "sizes of a reward": Reader("json", "checkpoints/reward/config.json", _reward, check_reward),
    "settings of a world": Reader("json", "checkpoints/world/world.json", _world, check_world),
    "sizes of a codec": Reader("json", "checkpoints/world/codec/config.json", _world, check_world),
    "sizes of a transformer": Reader("json", "checkpoints/world/transformer/config.json", _world, check_world),
    "weights of a world": Reader("safetensors", f"checkpoints/world/transformer/{NETWORK}", _world, check_world),
    "settings of a run": Reader("json", "config.json", load_config, check_config),
    "settings in a table": Reader(
        "toml", TABLE, lambda folder: configured(preset("smoke"), folder / TABLE, None), check_config
    ),
    "metrics": Reader("jsonl", "metrics.jsonl", load_metrics, check_rows),
    "report": Reader("json", "report.json", _report, check_report),
    "record of a stage": Reader("json", "stages/demonstrate.json", _demonstrations, check_stage),
    "keyframes": Reader("json", KEYFRAMES, _keyframes, check_keyframes),
    "start": Reader("npy", START, lambda folder: import_start(folder / START), check_start_of_rlinf),
    "paired rollouts": Reader("safetensors", PAIRS, lambda folder: PairedRollouts.load(folder / PAIRS), check_pairs),
    "tensors": Reader("safetensors", PAIRS, lambda folder: load_tensors(folder / PAIRS), check_tensors),
    "training to go on with": Reader(
        "safetensors", STATE, lambda folder: fit(Line(), _batch, FIT, "line", folder), check_network
    ),
}
