"""What tests of several folders share: episodes made of known noise, a finished run of the loop, plausible reports."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, sync_playwright

from wovr_lab.figures.pictures import save_picture, save_video, strip
from wovr_lab.measure.intervals import wilson
from wovr_lab.seeding import stream
from wovr_lab.types import Episode


def noise_episode(
    seed: int,
    length: int = 12,
    size: int = 8,
    task: str = "push_red",
    success_at: int | None = None,
    states: bool = True,
    labels: bool = False,
    proprio: int = 0,
) -> Episode:
    """An episode whose every frame, action and state is different, so that a shift by one shows."""
    rng = stream(seed, "test episode")
    actions = rng.uniform(-1, 1, (length, 7)).astype(np.float32)
    return Episode(
        task=task,
        instruction=task.replace("_", " the ") + " cube",
        seed=seed,
        frames=rng.integers(0, 256, (length + 1, size, size, 3)).astype(np.uint8),
        actions=actions,
        success=np.arange(length) >= (length if success_at is None else success_at),
        states=rng.normal(size=(length + 1, 5)) if states else None,
        expert_actions=np.clip(actions + 0.1, -1, 1) if labels else None,
        proprio=rng.normal(size=(length + 1, proprio)).astype(np.float32) if proprio else None,
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """LIBERO's tests need its extra; without it they are skipped, each with the reason."""
    if importlib.util.find_spec("libero") is None:
        for item in items:
            if item.get_closest_marker("libero"):
                item.add_marker(pytest.mark.skip(reason="the libero extra is not installed (make libero)"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium without a window; tests that need it are skipped where it is missing."""
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=flags)
        yield browser
        browser.close()


@pytest.fixture
def make_episode() -> Callable[..., Episode]:
    return noise_episode


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished smoke run with its report, made once by the command line. Look only: `smoke_copy` is to touch."""
    from typer.testing import CliRunner

    from wovr_lab.cli import app

    folder = tmp_path_factory.mktemp("runs") / "smoke"
    result = CliRunner().invoke(app, ["run", "--scale", "smoke", "--run", str(folder)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def smoke_copy(smoke_run: Path, tmp_path: Path) -> Path:
    """A copy of the finished smoke run to damage or to go on with."""
    return Path(shutil.copytree(smoke_run, tmp_path / "run"))


REPORTED_TASKS = ("push_red", "push_blue", "place_red", "place_green")


def rate(successes: int, n: int) -> dict[str, Any]:
    """A rate as report.json holds it."""
    found = wilson(successes, n)
    return {"rate": found.rate, "n": n, "low": found.low, "high": found.high}


def gate(passed: bool) -> dict[str, Any]:
    """A gate over four policies."""
    counts = {
        "base, T = 1.0": (22, 30),
        "base, T = 1.3": (15, 26),
        "half-way SFT": (9, 17 if passed else 58),
        "expert, noise 0.3": (61, 58 if passed else 40),
    }
    policies = [{"name": k, "real": rate(r, 64), "imagined": rate(i, 64)} for k, (r, i) in counts.items()]
    reasons = [] if passed else ["only 41 % of imagined successes are real (34-49 %, n = 154); needed: 65 %"]
    return {"passed": passed, "precision": rate(105 if passed else 63, 131), "policies": policies, "reasons": reasons}


@pytest.fixture
def report() -> dict[str, Any]:
    """report.json of a run in which all went well."""
    by_task = dict(zip(REPORTED_TASKS, ((30, 41), (27, 40), (14, 28), (11, 21)), strict=True))
    stages = [
        ("demonstrate", 4), ("sft", 62), ("collect", 31), ("train_reward", 40), ("train_world", 611), ("gate_1", 22),
        ("improve_1", 190), ("collect_again", 25), ("refine", 160), ("gate_2", 22),
        ("improve_2", 120), ("evaluate", 55),
    ]  # fmt: skip
    return {
        "schema": 1,
        "scale": "demo",
        "seed": 0,
        "protocol": {
            "environment": "wovr_lab/Tabletop-v0", "tasks": list(REPORTED_TASKS), "initial_states": "seeds 10000-10199",
            "max_steps": 48, "temperature": 0.0,
        },
        "temperature": 1.2,
        "budget": {
            "demonstrations": 20, "real_episodes": 476, "real_frames": 15012, "pretraining_frames": 68000,
            "imagined_episodes": 6144, "imagined_frames": 151022,
        },
        "success": {
            "base": rate(82, 200), "wovr": rate(130, 200), "base_sampled": rate(60, 200), "wovr_sampled": rate(94, 200),
            "online_grpo": rate(96, 200),
        },
        "success_by_task": {t: {"base": rate(b, 50), "wovr": rate(w, 50)} for t, (b, w) in by_task.items()},
        "comparison": {"difference": {"rate": 0.24, "n": 200, "low": 0.15, "high": 0.33}, "p_value": 0.0000042},
        "gate": {"gate_1": gate(True), "gate_2": gate(True)},
        "confusion": {
            "base": {"imagined_and_real": 44, "imagined_only": 12, "real_only": 6, "neither": 66},
            "improved": {"imagined_and_real": 75, "imagined_only": 22, "real_only": 3, "neither": 28},
        },
        "hallucination": {"imagined_and_real": 75, "imagined_only": 22, "real_only": 3, "neither": 28},
        "world": {
            "psnr_by_depth": [[8, 24.6], [16, 21.6], [24, 19.5], [32, 19.1], [40, 19.0]],
            "psnr_by_depth_copy": [[8, 19.3], [16, 17.0], [24, 15.3], [32, 15.2], [40, 15.2]],
            "frames_per_second": 412.0,
        },
        "ledger": [
            {"stage": "demonstrate", "kind": "demonstrations", "episodes": 20, "frames": 480},
            {"stage": "collect", "kind": "real", "episodes": 220, "frames": 7410},
            {"stage": "train_world", "kind": "pretraining", "episodes": 1800, "frames": 68000},
            {"stage": "gate_1", "kind": "real", "episodes": 128, "frames": 3890},
            {"stage": "improve_1", "kind": "imagined", "episodes": 3072, "frames": 75511},
        ],
        "stages": [{"name": name, "seconds": float(seconds)} for name, seconds in stages],
        "machine": {"cpus": 2, "device": "cpu", "torch": "2.13.0"},
    }  # fmt: skip


@pytest.fixture
def refused_report(report: dict[str, Any]) -> dict[str, Any]:
    """report.json of a run that the gate has stopped before reinforcement learning."""
    success = {name: rate for name, rate in report["success"].items() if name.startswith("base")}
    by_task = {task: {"base": rates["base"]} for task, rates in report["success_by_task"].items()}
    stopped = report | {"success": success, "success_by_task": by_task, "gate": {"gate_1": gate(False), "gate_2": {}}}
    return {key: value for key, value in stopped.items() if key not in ("comparison", "confusion", "hallucination")}


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    """metrics.jsonl of that run."""
    rng = stream(0, "test metrics")
    found: list[dict[str, Any]] = []
    for phase, scale in {"sft": 3.0, "reward": 0.6, "codec": 0.1, "world": 1.0, "refine": 0.4}.items():
        losses = scale * (0.1 + np.exp(-np.arange(30) / 8)) * rng.uniform(0.9, 1.1, 30)
        found += [{"phase": phase, "step": 20 * i, "loss": float(loss)} for i, loss in enumerate(losses)]
    for phase, begin in (("improve_1", 0.5), ("improve_2", 0.68)):
        for step in range(12):
            noise = float(rng.normal(0, 0.02))
            found.append(
                {
                    "phase": phase,
                    "step": step,
                    "reward": begin + 0.02 * step + noise,
                    "mixed_groups": 0.6 + noise,
                    "entropy": 0.9 - 0.02 * step,
                    "approx_kl": 0.01 + abs(noise) / 9,
                    "clip_fraction": 0.1 + abs(noise),
                }
            )
        for step in (0, 6, 12):
            measured = wilson(round(100 * (begin - 0.1 + 0.01 * step)), 100)
            found.append(
                {
                    "phase": f"{phase}/real",
                    "step": step,
                    "success": measured.rate,
                    "n": 100,
                    "low": measured.low,
                    "high": measured.high,
                }
            )
    return found


@pytest.fixture
def frames() -> np.ndarray:
    """A square that moves to the right, uint8 [6, 33, 31, 3]: odd sizes on purpose."""
    film = np.full((6, 33, 31, 3), 180, np.uint8)
    for time, frame in enumerate(film):
        frame[12:20, 3 * time : 3 * time + 8] = (200, 30, 30)
    return film


@pytest.fixture
def run(tmp_path: Path, report: dict[str, Any], rows: list[dict[str, Any]], frames: np.ndarray) -> Path:
    """The whole folder."""
    folder = tmp_path / "run"
    for kind in ("success", "imagined_only"):
        save_picture(folder / "pictures" / f"strip-{kind}-0.png", strip([frames, frames[::-1]], scale=3))
    save_video(folder / "videos" / "base-success-0.mp4", frames, scale=4)
    (folder / "report.json").write_text(json.dumps(report))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder
