"""Demonstration files as LIBERO's own script makes them, from a trajectory that is known in full."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from wovr_lab.types import Episode


def replay_as_libero_does(path: Path, trajectory: Episode, instruction: str = "push the red cube") -> None:
    """Step through the trajectory; after each action but the first five keep the picture that results, together with
    the action itself and the state that it was taken in. Success is where the recording ends."""
    pictures, kept = [], []
    for step in range(len(trajectory)):
        upright = trajectory.frames[step + 1]
        if step < 5:
            continue
        pictures.append(np.rot90(upright, 2))
        kept.append(step)
    end = np.arange(len(kept)) == len(kept) - 1
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        problem = {"problem_name": "tabletop", "domain_name": "robosuite", "language_instruction": instruction}
        data.attrs.update({"problem_info": json.dumps(problem), "env_args": "{}", "num_demos": 1, "total": len(kept)})
        group = data.create_group("demo_0")
        group["obs/agentview_rgb"] = np.stack(pictures)
        group["actions"] = trajectory.actions[kept].astype(np.float64)
        group["states"] = trajectory.states[kept]
        group["rewards"] = end.astype(np.uint8)
        group["dones"] = end.astype(np.uint8)
        if trajectory.proprio is not None:  # the robot's readings are those of the picture, after the action
            readings = trajectory.proprio[[step + 1 for step in kept]].astype(np.float64)
            for name, part in (("ee_pos", readings[:, :3]), ("ee_ori", readings[:, 3:6])):
                group[f"obs/{name}"] = part
            group["obs/gripper_states"] = readings[:, 6:]
        group.attrs.update({"num_samples": len(kept), "model_file": "<mujoco/>"})
        group.attrs["init_state"] = trajectory.states[kept[0]]


@pytest.fixture
def make_official_file() -> Callable[..., None]:
    return replay_as_libero_does
