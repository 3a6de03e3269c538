"""Probes: read-outs are the simulator's, errors are distances, the shipped probe sees real frames truly."""

from __future__ import annotations

import numpy as np
import pytest

from wovr_lab.errors import UserError
from wovr_lab.measure.tabletop.probe_training import ProbeData, ProbeTrainingConfig, make_probe, practice, probe_errors
from wovr_lab.measure.tabletop.probes import (
    COLUMNS,
    SHIPPED,
    StateProbe,
    error_cm,
    load_probe,
    object_columns,
    object_error_cm,
    read_states,
)
from wovr_lab.real.tabletop.env import TabletopEnv
from wovr_lab.real.tabletop.expert import expert_episodes
from wovr_lab.runs import read_json
from wovr_lab.training import FitConfig


@pytest.fixture(scope="module")
def episodes():
    return [next(expert_episodes(task, [3], noise=0.3)) for task in ("push_blue", "green_on_plate")]


def test_read_outs_are_what_the_simulator_says(episodes):
    env = TabletopEnv(resolution=32)
    for episode in episodes:
        env.set_state(episode.states[7])
        view, found = env.readout(), read_states(episode.states)[7]
        assert found[COLUMNS["hand"]] == pytest.approx(view.hand) and found[3] == pytest.approx(view.opening)
        front, back = view.cubes.values()
        assert found[COLUMNS["front"]] == pytest.approx(front) and found[COLUMNS["back"]] == pytest.approx(back)
    assert read_states(np.stack([e.states[:3] for e in episodes])).shape == (2, 3, 10)


def test_every_task_has_its_cube():
    tasks = ["push_red", "push_blue", "red_on_plate", "green_on_plate"]
    assert object_columns(tasks).tolist() == [[4, 5, 6], [7, 8, 9], [4, 5, 6], [7, 8, 9]]


def test_errors_are_distances_in_centimetres():
    truth = np.zeros((1, 2, 10), np.float32)
    found = truth.copy()
    found[0, 0] = [0.03, 0.04, 0, -0.01, 0, 0, 0.02, 0.01, 0, 0]
    errors = {name: error[0, 0] for name, error in error_cm(found, truth).items()}
    assert errors == pytest.approx({"hand": 5, "opening": 1, "front": 2, "back": 1})
    assert object_error_cm(found, truth, ["push_blue"]) == pytest.approx(np.array([[1, 0]]))
    summary = probe_errors(np.repeat(found[0], [9, 1], 0), np.zeros((10, 10), np.float32))
    assert summary["hand"] == pytest.approx({"median_cm": 5, "p90_cm": 5, "n": 10})


def test_the_shipped_probe_sees_what_it_never_saw(episodes):
    data = ProbeData.of(episodes)
    errors = probe_errors(load_probe().read(data.frames), data.readouts)
    assert all(errors[name]["median_cm"] < 1.0 for name in COLUMNS), errors
    claimed = read_json(SHIPPED / "probe.json")["held_out"]
    assert max(claimed[name]["median_cm"] for name in COLUMNS) < 1.0


def test_a_probe_is_made_by_one_call_and_reads_the_same_after_loading(tmp_path):
    config = ProbeTrainingConfig(episodes=3, held_out=3, fit=FitConfig(20, 2e-3), batch=8)
    provenance = make_probe(tmp_path / "probe", config, run_seed=0)
    assert read_json(tmp_path / "probe" / "probe.json")["held_out"] == provenance["held_out"]
    assert provenance["frames"] > 80
    frames = next(practice(1, 1, 0, 32)).frames
    once, twice = (make_and_read(tmp_path / name, config, frames) for name in ("a", "b"))
    assert (once == twice).all() and once.shape == (41, 10)


def make_and_read(folder, config, frames):
    make_probe(folder, config, run_seed=0)
    return load_probe(folder).read(frames)


def test_frames_that_are_not_the_probes_and_episodes_without_states_are_refused(tmp_path, make_episode):
    with pytest.raises(UserError, match=r"reads frames \[\.\.\., 32, 32, 3\].*--resolution"):
        StateProbe().read(np.zeros((2, 16, 16, 3), np.uint8))
    with pytest.raises(UserError, match="divisible by 8"):
        StateProbe(resolution=30)
    with pytest.raises(UserError, match=r"there is no state probe in .*train-probe"):
        load_probe(tmp_path / "nowhere")
    for episodes in ([], [make_episode(0, states=False)]):
        with pytest.raises(UserError, match="with simulator states"):
            ProbeData.of(episodes)
    with pytest.raises(UserError, match="no frames"):
        probe_errors(np.zeros((0, 10)), np.zeros((0, 10)))
