"""What the files and folders of a run are called, relative to its folder; `rounds` names those of each round."""

from __future__ import annotations


def checkpoint(name: str) -> str:
    """The folder of a model."""
    return f"checkpoints/{name}"


def episodes(name: str) -> str:
    """A file of real episodes."""
    return f"episodes/{name}.hdf5"


def stage_record(stage: str) -> str:
    """What is written down when a stage is done."""
    return f"stages/{stage}.json"


CONFIG, REPORT, EVALUATION = "config.json", "report.json", "evaluation.json"
COMPARISON = "comparison"  # episodes that people can look at
BASE, HALF = checkpoint("base"), checkpoint("half")
DEMONSTRATIONS, EXAMPLES = episodes("demonstrations"), episodes("examples")
BASE_ROLLOUTS, NEAR_MISSES, PLAY = episodes("base"), episodes("nearly"), episodes("play")
STARTS = (DEMONSTRATIONS, EXAMPLES, BASE_ROLLOUTS)  # episodes that imagination starts in
TRAINING = (*STARTS, NEAR_MISSES)  # what reward and world model learn from before the first round
IMAGINED_ACTIONS = "episodes/confronted"  # what the base does in imagination, executed for real
GATE, GATE_GROUPS = "episodes/gate", episodes("gate_groups")  # held-out rollouts by policy, and from one start each
