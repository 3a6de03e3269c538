"""report.json (schema 1): every number of a run that tools outside the repository read."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict
from typing import Any

import torch

from wovr_lab.machine import package_version
from wovr_lab.pace.config import RunConfig
from wovr_lab.pace.data import SEEDS
from wovr_lab.pace.layout import EVALUATION, REPORT
from wovr_lab.pace.rounds import Round, Simulator, rounds
from wovr_lab.pace.stages import Run
from wovr_lab.real.env import TRAINING_SEEDS
from wovr_lab.runs import read_object, write_json


def write_report_json(run: Run) -> None:
    """Gathers what the stages wrote."""
    config, found = run.config, read_object(run.path(EVALUATION))
    improved = found.get("wovr")
    report: dict[str, Any] = {
        "schema": 1,
        "scale": config.scale,
        "seed": config.seed,
        "forced": run.force,
        "protocol": protocol_of(config),
        "budget": _budget(run),
        "success": _success(found),
        "success_by_task": {
            task: {name: found[name]["by_task"][task] for name in ("base", "wovr") if name in found}
            for task in found["base"]["by_task"]
        },
        "gate": {each.gate: _verdict(run, each) for each in rounds(config)},
        "hallucination": (improved or found["base"])["confusion"],
        "imagined_success_precision": (improved or found["base"])["imagined_success_precision"],
        "confusion": {"base": found["base"]["confusion"]} | ({"improved": improved["confusion"]} if improved else {}),
        "reward": read_object(run.path(Simulator.of().quality)),
        "world": found["world"],
        "stages": _stages(run),
        "ledger": [asdict(entry) for entry in run.ledger.entries],
        "machine": {
            "cpus": os.cpu_count(),
            "device": _device(),
            "torch": torch.__version__,
            "system": platform.system(),
            "version": package_version(),
            "commit": ", ".join(dict.fromkeys(run.commits.values())),
        },
    }
    if "comparison" in found:
        report["comparison"] = found["comparison"]
    report["verdict"] = verdict(report)
    write_json(run.path(REPORT), report)


def _verdict(run: Run, phase: Round) -> dict[str, Any]:
    """What the gate of a round has found; nothing where the run did not come to it."""
    return read_object(run.path(phase.verdict)) if phase.gate in run.seconds else {}


def verdict(report: dict[str, Any]) -> str:
    """The run in one sentence."""
    base, gate = report["success"]["base"], report["gate"]["gate_1"]
    text = f"base {base['rate']:.1%} [{base['low']:.1%}, {base['high']:.1%}]"
    if "wovr" in report["success"]:
        wovr, change = report["success"]["wovr"], report["comparison"]["difference"]
        text += f" -> improved {wovr['rate']:.1%} [{wovr['low']:.1%}, {wovr['high']:.1%}]"
        text += f", {100 * change['rate']:+.1f} points [{100 * change['low']:+.1f}, {100 * change['high']:+.1f}]"
    text += f" on n = {base['n']} held-out starts; the gate {'passed' if gate['passed'] else 'did not pass'}"
    if "wovr" not in report["success"]:
        text += ", so nothing was trained in imagination"
    elif not gate["passed"]:
        text += " and was overruled"
    return text


def protocol_of(config: RunConfig) -> dict[str, Any]:
    """How a run is evaluated, and what its training may see."""
    first, count = TRAINING_SEEDS, config.evaluation.starts
    return {
        **config.real.protocol,
        "tasks": list(config.tasks),
        "initial_states": f"seeds {first}-{first + count - 1} for every task",
        "training_seeds": {purpose: f"{low}-{low + size - 1}" for purpose, (low, size) in SEEDS.items()},
        "max_steps": config.max_steps,
        "resolution": config.resolution,
        "temperature": 0.0,
        "sampled_temperature": config.rl.temperature,
        "interval": "95 % Wilson; differences: 95 % paired bootstrap, McNemar's exact p",
    }


def _budget(run: Run) -> dict[str, int]:
    ledger = run.ledger
    return {
        "demonstrations": ledger.used("demonstrations")[0],
        "real_episodes": ledger.used("real")[0],
        "real_frames": ledger.used("real")[1],
        "real_episodes_allowed": ledger.budget,
        "pretraining_frames": ledger.used("pretraining")[1],
        "imagined_episodes": ledger.used("imagined")[0],
        "imagined_frames": ledger.used("imagined")[1],
    }


def _success(found: dict[str, Any]) -> dict[str, Any]:
    rows = {name: found[name] for name in ("base", "wovr") if name in found}
    greedy = {name: row["greedy"] for name, row in rows.items()}
    return greedy | {f"{name}_sampled": row["sampled"] for name, row in rows.items()}


def _stages(run: Run) -> list[dict[str, Any]]:
    return [{"name": name, "seconds": round(seconds, 1)} for name, seconds in run.seconds.items()]


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
