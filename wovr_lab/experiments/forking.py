"""A run that begins where another one stood before RL: other settings of RL, tried without training a simulator again.

In: a run folder with its first gate, a configuration. Out: a new run folder for `run_loop`, with copies of what the
settings of RL cannot have changed. Records of stages are copied as they are, so that the report names whose work it is.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from wovr_lab.errors import UserError
from wovr_lab.pace.config import RunConfig, load_config
from wovr_lab.pace.layout import CONFIG, stage_record
from wovr_lab.pace.loop import preparation
from wovr_lab.pace.settings import differing, to_dict
from wovr_lab.runs import Metrics, write_json

OF_RL = ("rl.", "evaluation.", "world.refinement.", "data.budget")  # settings that no stage up to the first gate knows
LEARNT = {"sft", "reward", "codec", "world"}  # phases of metrics.jsonl up to there


def fork_run(source: Path, folder: Path, config: RunConfig) -> None:
    """Makes `folder`, in which `run_loop(config, folder)` goes on after the first gate of the run in `source`.

    Raises UserError if that run has no gate yet, if it differs in more than RL, or if `folder` exists.
    """
    others = [name for name in differing(load_config(source), config) if not name.startswith(OF_RL)]
    if others:
        names = ", ".join(others)
        raise UserError(f"{source} was prepared with other settings ({names}); only RL's may differ in a fork")
    artefacts = [name for stage in preparation(config) for name in (*stage.writes, stage_record(stage.name))]
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
    write_json(folder / CONFIG, to_dict(config))  # last: without it this is no run
