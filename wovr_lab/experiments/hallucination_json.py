"""measure.json (schema 1): every number of a measurement, with n, seeds and 95 % intervals.

In: the parts that `measuring` left in RUN/measure. Out: one dictionary: probe, confusion, worth, depth, horizon,
objects, uncertainty, control, gallery.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from wovr_lab.measure.hallucination import PairedOutcomes
from wovr_lab.measure.intervals import rate_of
from wovr_lab.measure.paired import PairedRollouts, confusion_rows
from wovr_lab.measure.tabletop.gallery import read_gallery
from wovr_lab.measure.tabletop.horizon import AGREEMENT, WITHIN_CM, calibrated_horizon, horizon_curves
from wovr_lab.measure.tabletop.objects import VIOLATIONS
from wovr_lab.pace.data import SEEDS
from wovr_lab.pace.stages import Run
from wovr_lab.runs import read_json

SCHEMA = 1
Parts = list[tuple[dict[str, str], Path]]  # (policy, world, start), folder


def gather(run: Run, parts: Parts) -> dict[str, Any]:
    """Counts what the parts hold."""
    config = run.config
    found = [(names, PairedRollouts.load(folder / "pairs.safetensors")) for names, folder in parts]
    uncertainties = [
        (names, folder / "uncertainty.json") for names, folder in parts if (folder / "uncertainty.json").exists()
    ]
    first, size = SEEDS["confusion"]
    worth = read_json(run.path("measure/update_efficiency.json"))
    return {
        "schema": SCHEMA,
        "scale": config.scale,
        "seed": config.seed,
        "protocol": {
            "initial_states": f"drawn from seeds {first}-{first + size - 1}, which nothing learns from",
            "keyframes": "of the gate's held-out real episodes",
            "temperature": config.rl.temperature,
            "frames": {"initial": config.max_steps, "keyframe": config.rl.keyframe_steps},
            "intervals": "95 %: Wilson for rates, percentile bootstrap over rollouts otherwise",
            "outcomes": "a rollout counts up to the chunk of its imagined success, as in training",
            "horizon": f"at every depth up to it outcomes agree in {AGREEMENT:.0%} of rollouts and the median error of "
            f"the task's cube is within {WITHIN_CM:g} cm; on one half of the rollouts, checked on the other",
        },
        "real_episodes": 2 * sum(len(pairs) for _, pairs in found) + sum(r["n"] * r["group_size"] for r in worth),
        "probe": read_json(run.path("measure/probe.json")),
        "confusion": _confusion(found),
        "worth": worth,
        "depth": [names | {"n": len(pairs), "curves": horizon_curves(pairs)} for names, pairs in found],
        "horizon": [names | {"n": len(pairs)} | calibrated_horizon(pairs, config.seed) for names, pairs in found],
        "objects": [names | {"n": len(pairs), "faults": _violations(pairs)} for names, pairs in found],
        "uncertainty": [names | row for names, path in uncertainties for row in read_json(path)],
        "control": read_json(run.path("measure/control.json")),
        "gallery": [case.about for _, folder in parts for case in read_gallery(folder / "gallery")],
    }


def _confusion(found: list[tuple[dict[str, str], PairedRollouts]]) -> list[dict[str, Any]]:
    """Rows by policy, world model, kind of start ("all" pools them) and task."""
    rows = []
    for policy, world in dict.fromkeys((names["policy"], names["world"]) for names, _ in found):
        chosen = {n["start"]: p for n, p in found if (n["policy"], n["world"]) == (policy, world)}
        groups = {"all": list(chosen.values())} | {kind: [pairs] for kind, pairs in chosen.items()}
        for start, some in groups.items():
            outcomes = [pairs.outcomes for pairs in some]
            pooled = PairedOutcomes(
                np.concatenate([each.imagined for each in outcomes]), np.concatenate([each.real for each in outcomes])
            )
            tasks, alone = [t for pairs in some for t in pairs.tasks], np.concatenate([pairs.alone for pairs in some])
            names = {"policy": policy, "world": world, "start": start}
            rows += [names | row for row in confusion_rows(tasks, pooled, alone)]
    return rows


def _violations(pairs: PairedRollouts) -> dict[str, Any]:
    """How often each rule about objects is broken: in imagination, and by false alarm in the real videos."""
    return {
        name: {
            "imagined": asdict(rate_of(pairs.imagined_violations[:, index])),
            "real": asdict(rate_of(pairs.real_violations[:, index])),
        }
        for index, name in enumerate(VIOLATIONS)
    }
