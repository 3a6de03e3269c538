"""What LIBERO's own demonstration files hold beside our episodes, so that its tools find everything (paper section 6).

In: an environment. Out: an `Origin` for `write_episodes`: the scene, its words, and, by going through the stored states
once more, the wrist's pictures and the robot's readings after each action; and demonstrations in that layout.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from wovr_lab.episodes import Origin, write_episodes
from wovr_lab.episodes.schema import turned
from wovr_lab.errors import UserError
from wovr_lab.real.libero.env import WRIST, LiberoEnv
from wovr_lab.real.libero.expert import expert_episode
from wovr_lab.types import Episode


def write_demonstrations(folder: Path, env: LiberoEnv, task: str, seeds: Iterable[int], noise: float = 0.0) -> Path:
    """The expert's successful episodes of a task from these seeds, as FOLDER/SUITE/TASK_demo.hdf5, as LIBERO names it.

    Raises UserError if there is no expert for the task, or if it never succeeds.
    """
    env.reset_to(task, 0, None)
    path = folder / env.definition.suite / f"{env.definition.short}_demo.hdf5"
    attempts = (expert_episode(env, task, seed, noise) for seed in seeds)
    write_episodes(path, (attempt for attempt in attempts if attempt.success.any()), origin_of(env))
    return path


def origin_of(env: LiberoEnv) -> Origin:
    """The origin of episodes of `env`'s present task."""
    task, simulator = env.definition, env.simulator
    problem = simulator.env.parsed_problem["problem_name"]
    described = {"problem_name": problem, "domain_name": "robosuite", "language_instruction": task.instruction}
    arguments = {"type": 1, "env_name": problem, "problem_name": problem, "bddl_file": task.bddl.name, "env_kwargs": {}}
    return Origin(
        attributes={
            "tag": "libero-v1",
            "env_name": problem,
            "env_args": json.dumps(arguments),
            "problem_info": json.dumps(described),
            "bddl_file_name": f"{task.suite}/{task.bddl.name}",
            "bddl_file_content": task.bddl.read_text(encoding="utf-8"),
        },
        model_file=simulator.env.sim.model.get_xml(),
        further=lambda episode: _readings(env, episode),
    )


def _readings(env: LiberoEnv, episode: Episode) -> dict[str, np.ndarray]:
    """Datasets of one demonstration, a row after each action. Raises UserError if the episode kept no states."""
    if episode.states is None:
        raise UserError("an episode without simulator states cannot be written as LIBERO does; record its states")
    wrist, hand, joints, turn = [], [], [], []
    for state in episode.states[1:]:
        env.set_state(state)
        wrist.append(env.view(WRIST))
        hand.append(env.simulator.proprioception())
        joints.append(env.simulator.joints())
        turn.append(env.simulator.hand_quaternion())
    readings = np.stack(hand)
    return {
        "obs/eye_in_hand_rgb": turned(np.stack(wrist)),
        "obs/ee_pos": readings[:, :3],
        "obs/ee_ori": readings[:, 3:6],
        "obs/ee_states": readings[:, :6],
        "obs/gripper_states": readings[:, 6:],
        "obs/joint_states": np.stack(joints),
        "robot_states": np.concatenate([readings[:, 6:], readings[:, :3], np.stack(turn)], 1),
    }
