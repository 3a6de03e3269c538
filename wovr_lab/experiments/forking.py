"""A run that begins where another one stood before RL: other settings of RL, tried without training a simulator again.

In: a run folder with its first gate, a configuration. Out: a new run folder for `run_loop`, with copies of what the
settings of RL cannot have changed. Records of stages are copied as they are, so that the report names whose work it is.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from wovr_lab.errors import UserError
from wovr_lab.pace.config import LoopConfig
from wovr_lab.pace.loop import PREPARE
from wovr_lab.pace.settings import described, parsed, read_config
from wovr_lab.runs import Metrics, write_json

OF_RL = {  # settings that no stage up to the first gate knows
    "grpo", "mask", "normaliser", "dual_clip", "kl_coef", "iterations", "keyframe_share", "keyframe_steps",
    "monitor_every", "monitor_starts", "monitor_acts", "monitored_weight", "imitate_successes", "imitate_imagined",
    "imitate_last", "fresh", "fresh_weight", "refine", "check_every", "check_starts", "confusion_rollouts",
    "evaluation_starts", "evaluation_first_seed", "budget",
}  # fmt: skip
LEARNT = {"sft", "reward", "codec", "world"}  # phases of metrics.jsonl up to there


def fork_run(source: Path, folder: Path, config: LoopConfig) -> None:
    """Makes `folder`, in which `run_loop(config, folder)` goes on after the first gate of the run in `source`.

    Raises UserError if that run has no gate yet, if it differs in more than RL, or if `folder` exists.
    """
    made_with = parsed(LoopConfig, read_config(source), f"{source}/config.json")
    found, wanted = described(made_with), described(config)
    differing = sorted(key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key))
    if not OF_RL.issuperset(differing):
        names = ", ".join(key for key in differing if key not in OF_RL)
        raise UserError(f"{source} was prepared with other settings ({names}); only RL's may differ in a fork")
    artefacts = [name for stage in PREPARE for name in (*stage.writes, f"stages/{stage.name}.json")]
    missing = [name for name in artefacts if not (source / name).exists()]
    if missing:
        raise UserError(f"{source} has no {missing[0]} yet; run it up to gate_1 first")
    if folder.exists():
        raise UserError(f"{folder} exists; choose another folder for the fork")
    for name in artefacts:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (source / name).is_dir():
            shutil.copytree(source / name, target)
        else:
            shutil.copy2(source / name, target)
    metrics = Metrics(folder)
    for row in Metrics(source).rows():
        phase, step = row.pop("phase"), row.pop("step")
        if phase.split("/")[0] in LEARNT:
            metrics.log(phase, step, row)
    write_json(folder / "config.json", wanted)  # last: without it this is no run
