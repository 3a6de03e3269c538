"""Qualities of ablated world models become data/results/video.json. In: a folder that `ablate` filled. Out: rows with
intervals, and of every setting whether it is worse than the full model, metric by metric and depth by depth.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from wovr_lab.experiments.ablations import SHIFTED, VARIANTS, AblationConfig
from wovr_lab.measure.video.feature_networks import FeatureNetworks
from wovr_lab.measure.video.quality import Quality
from wovr_lab.pace.config import LoopConfig
from wovr_lab.publish.results import pooled_interval, provenance
from wovr_lab.runs import read_json, write_json

HIGHER_IS_BETTER = ("psnr", "ssim")
REFERENCES = ("codec_alone", "copied_first_frame")
RESAMPLES = 500
Values = dict[tuple[str, int], list[np.ndarray]]  # metric, depth -> of each seed, [rollouts] or [1]


def write_video_table(
    out: Path, path: Path, config: LoopConfig, ablation: AblationConfig, command: str, networks: FeatureNetworks
) -> dict[str, Any]:
    """Pools what `ablate` left in `out` into the table at `path`."""
    names = networks.names
    others = ablation.sampler_steps[1:]
    files = {name: [out / f"{name}-{seed}" / "all.json" for seed in ablation.seeds] for name in VARIANTS}
    files |= {f"full_{steps}_steps": [out / f"full-{seed}" / f"steps_{steps}.json" for seed in ablation.seeds]
              for steps in others}  # fmt: skip
    found = {setting: _values(paths) for setting, paths in files.items()}
    rows = [row for setting, values in found.items() for row in _rows(setting, "all", values, ablation.seeds, found)]
    shifted = [out / f"full-{seed}" / f"{SHIFTED}.json" for seed in ablation.seeds]
    if all(each.exists() for each in shifted):
        rows += _rows("full", f"{SHIFTED} policy", _values(shifted), ablation.seeds, {})
    for setting in REFERENCES:
        rows += _rows(setting, "all", _values([out / f"{setting}.json"]), (), {})
    old = read_json(path) if path.exists() else {"rows": [], "protocol": {}}  # others' rows stay, as of the codecs
    rows += [row for row in old["rows"] if row["setting"] not in {row["setting"] for row in rows}]
    distance, deepest = names[0], max(ablation.horizons)
    table = {
        "schema": 1,
        "title": "Video quality by depth and ablation",
        "command": command,
        **provenance(),
        "protocol": old["protocol"] | _protocol(config, ablation, networks),
        "columns": [["psnr", deepest], *([distance, depth] for depth in ablation.horizons), [names[2], deepest]],
        "rows": rows,
    }
    write_json(path, table)
    return table


def _values(paths: list[Path]) -> Values:
    """Every seed's values by metric and depth."""
    values: Values = {}
    for path in paths:
        quality = Quality(**read_json(path))
        for metric, by_depth in {**quality.rollouts, **quality.sets}.items():
            for depth, each in by_depth.items():
                values.setdefault((metric, int(depth)), []).append(np.atleast_1d(each))
    return values


def _rows(
    setting: str, task: str, values: Values, seeds: tuple[int, ...], found: dict[str, Values]
) -> list[dict[str, Any]]:
    rows = []
    for (metric, depth), per_seed in values.items():
        low, high = pooled_interval(per_seed, RESAMPLES)
        means = [float(each.mean()) for each in per_seed]
        row = {
            "setting": setting, "metric": metric, "task": task, "depth": depth, "value": float(np.mean(means)),
            "low": low, "high": high, "n": sum(len(each) for each in per_seed), "seeds": list(seeds),
            "per_seed": means,
        }  # fmt: skip
        if setting != "full" and "full" in found:
            row |= _against(found["full"][metric, depth], per_seed, metric in HIGHER_IS_BETTER)
        rows.append(row)
    return rows


def _against(full: list[np.ndarray], other: list[np.ndarray], higher_is_better: bool) -> dict[str, Any]:
    """The paired difference to the full model, and its sign in words if the interval leaves zero out."""
    differences = [each - whole for each, whole in zip(other, full, strict=True)]
    low, high = pooled_interval(differences, RESAMPLES)
    value = float(np.mean([each.mean() for each in differences]))
    than = "" if low <= 0 <= high else ("better" if (low > 0) == higher_is_better else "worse")
    return {"difference": {"value": value, "low": low, "high": high}, "than": than}


def _protocol(config: LoopConfig, ablation: AblationConfig, networks: FeatureNetworks) -> dict[str, Any]:
    count, fit = ablation.rollouts, ablation.training.fit
    return {
        "environment": "wovr_lab/Tabletop-v0",
        "held_out": f"{count} rollouts of play and {count} of the base policy (T = {ablation.temperature}), initial "
        f"states of seeds 10000-{10000 + count - 1}; `improved policy`: {count} of the improved policy's",
        "imagined": "first frame replicated, 4-frame context, 8-action chunks, closed loop, the real rollout's actions",
        "depth": "all frames up to it; frame metrics look at the last frame of each chunk, video metrics at 16 frames",
        "networks": f"{', '.join(networks.names)}: {networks.source}",
        "flow_": "weighted as in FloLPIPS, by Lucas and Kanade's optical flow instead of PWC-Net's",
        "fine_tuning": f"{fit.steps} steps of {ablation.training.batch} windows at {fit.learning_rate}, from "
        f"{config.backbone or 'the run itself'}, on play and the run's paid rollouts (scale {config.scale}, seed "
        f"{config.seed}); seeds are of the fine-tuning and the imagined noise",
        "sampler_steps": ablation.sampler_steps[0],
        "intervals": "95 % bootstrap over seeds and, for metrics of single rollouts, over rollouts; better or worse: "
        "the interval of the paired difference to full leaves zero out",
    }
