"""Demonstration files made by the benchmark's own wrapper load as they are; ours have every dataset that they have."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from wovr_lab.episodes import EpisodeStore, validate_file

pytestmark = pytest.mark.libero
LENGTH, DROPPED = 12, 5


@pytest.fixture(scope="module")
def official(soup, tmp_path_factory) -> tuple[Path, list[np.ndarray]]:
    """What LIBERO's create_dataset does: its wrapper executes the actions, five of them are left out, pictures and
    readings are kept as they come. Also every picture, in order."""
    from libero.libero.envs import OffScreenRenderEnv
    from robosuite.utils.transform_utils import quat2axisangle

    from wovr_lab.real.libero.robosuite import global_randomness

    task = soup.definition
    with global_randomness(0):
        env = OffScreenRenderEnv(bddl_file_name=str(task.bddl), camera_heights=64, camera_widths=64)
        env.reset()
    env.set_init_state(task.initial_states()[0])
    rows: dict[str, list[np.ndarray]] = {}
    pictures = []
    for step, action in enumerate(np.random.default_rng(0).uniform(-1, 1, (LENGTH, 7))):
        state = env.get_sim_state()
        observation, *_ = env.step(action)
        pictures.append(observation["agentview_image"])
        if step < DROPPED:
            continue
        hand = np.hstack([observation["robot0_eef_pos"], quat2axisangle(observation["robot0_eef_quat"])])
        for name, value in {
            "obs/agentview_rgb": observation["agentview_image"],
            "obs/eye_in_hand_rgb": observation["robot0_eye_in_hand_image"],
            "obs/gripper_states": observation["robot0_gripper_qpos"],
            "obs/joint_states": observation["robot0_joint_pos"],
            "obs/ee_states": hand, "obs/ee_pos": hand[:3], "obs/ee_ori": hand[3:],
            "actions": action, "states": state, "robot_states": env.env.get_robot_state_vector(observation),
            "rewards": np.uint8(step == LENGTH - 1), "dones": np.uint8(step == LENGTH - 1),
        }.items():  # fmt: skip
            rows.setdefault(name, []).append(value)
    path = tmp_path_factory.mktemp("official") / f"{task.short}_demo.hdf5"
    with h5py.File(path, "w") as file:
        demonstration = file.create_group("data").create_group("demo_0")
        for name, values in rows.items():
            demonstration[name] = np.stack(values)
        problem = {"problem_name": env.problem_name, "domain_name": env.domain_name,
                   "language_instruction": env.language_instruction}  # fmt: skip
        arguments = {"type": 1, "env_name": env.problem_name, "problem_name": env.problem_name,
                     "bddl_file": str(task.bddl), "env_kwargs": {}}  # fmt: skip
        file["data"].attrs.update({
            "env_name": env.problem_name, "problem_info": json.dumps(problem), "env_args": json.dumps(arguments),
            "bddl_file_name": str(task.bddl), "bddl_file_content": task.bddl.read_text(), "num_demos": 1,
            "macros_image_convention": "opengl", "tag": "libero-v1", "total": LENGTH - DROPPED,
        })  # fmt: skip
        demonstration.attrs.update({"num_samples": LENGTH - DROPPED, "model_file": env.sim.model.get_xml(),
                                    "init_state": rows["states"][0]})  # fmt: skip
    env.close()
    return path, pictures


def test_an_official_file_loads_as_it_is_and_in_step(official, soup):
    path, pictures = official
    assert validate_file(path) == []
    episode = EpisodeStore([path])[0]
    assert episode.task == soup.definition.short and episode.instruction.lower().startswith("pick")
    assert len(episode) == LENGTH - DROPPED - 1 and episode.success.tolist() == [False] * 5 + [True]
    upright = np.stack([picture[::-1, ::-1] for picture in pictures[DROPPED:]])
    assert np.array_equal(episode.frames, upright)
    soup.reset(options={"task": soup.task, "state": episode.states[2]})
    assert (
        np.abs(soup.render_frame().astype(int) - episode.frames[2]).mean() < 12
    )  # restored, and seen by our own renderer


def contents(file: h5py.File) -> dict[str, tuple]:
    """Each dataset's kind and shape but for lengths, and the names of all attributes."""
    found: dict[str, tuple] = {"data": tuple(sorted(file["data"].attrs))}
    demonstration = file["data/demo_0"]
    found["demo_0"] = tuple(sorted(demonstration.attrs))

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith("wovr"):
            found[name] = (item.dtype.kind, *item.shape[1:])

    demonstration.visititems(visit)
    return found


def test_our_demonstrations_have_every_dataset_and_attribute_of_official_ones(official, soup, tmp_path):
    from wovr_lab.real.libero.official import write_demonstrations

    path = write_demonstrations(tmp_path, soup, soup.task, [0])
    assert path == tmp_path / "libero_object" / f"{soup.definition.short}_demo.hdf5"
    with h5py.File(official[0]) as theirs, h5py.File(path) as ours:
        expected, found = contents(theirs), contents(ours)
        states = expected.pop("states"), found.pop("states")  # ours go on after the official numbers
        missing = {name: value for name, value in expected.items() if found.get(name) != value}
        assert not missing, f"official files have {missing}; ours {[found.get(name) for name in missing]}"
        assert set(found) == {*expected, "expert_actions"}
        official_size = states[0][1]
        first = ours["data/demo_0/states"][0, :official_size]
        assert json.loads(ours["data"].attrs["problem_info"])["language_instruction"] == soup.instruction
        wrist = ours["data/demo_0/obs/eye_in_hand_rgb"][3]
    episode = EpisodeStore([path])[0]
    assert (
        episode.success.any() and episode.task == soup.task and np.array_equal(episode.states[0, :official_size], first)
    )
    soup.reset(options={"state": episode.states[4]})
    assert np.array_equal(soup.render_frame(), episode.frames[4])
    assert np.array_equal(soup.view("robot0_eye_in_hand")[::-1, ::-1], wrist)
