"""What really succeeded is imitated before RL, in the pictures of both worlds."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from wovr_lab.episodes import EpisodeStore
from wovr_lab.pace.data import own_successes, store
from wovr_lab.pace.improving import replay_env
from wovr_lab.pace.layout import DEMONSTRATIONS
from wovr_lab.pace.presets import preset
from wovr_lab.pace.rounds import Simulator
from wovr_lab.pace.self_imitation import as_imagined, balanced, filtered_bc
from wovr_lab.pace.settings import changed
from wovr_lab.pace.stages import enter_run
from wovr_lab.policy.checkpoints import load_policy

CERTAIN, NEVER = -1.0, 2.0  # thresholds of the reward


def test_rare_tasks_are_repeated_until_all_weigh_the_same(make_episode):
    often = [make_episode(seed, 8) for seed in range(3)]
    rare = replace(make_episode(7, 8), task="rare")
    found = balanced([often[0], rare, *often[1:]])
    assert [episode.seed for episode in found] == [0, 1, 2, 7, 7, 7]
    assert balanced([]) == []


@pytest.fixture
def run(smoke_copy):
    run = enter_run(smoke_copy, preset("smoke"))
    run.stage = "improve_1"
    return run


def env_with(run, threshold: float):
    env = replay_env(run, Simulator.of())
    env.reward.threshold.fill_(threshold)
    return env


@pytest.mark.smoke
def test_a_phase_begins_with_the_imitation_of_what_succeeded_in_both_worlds_where_the_run_says_so(run):
    def begun(threshold: float = CERTAIN, **changes) -> torch.Tensor:
        run.config = changed(preset("smoke"), {f"rl.{name}": value for name, value in changes.items()})
        policy = filtered_bc(run, 1, load_policy(run.path("checkpoints/base")), env_with(run, threshold))
        (run.scratch / "imitation_1.training.safetensors").unlink(missing_ok=True)
        return torch.cat([weight.detach().flatten() for weight in policy.parameters()])

    both, real = begun(), begun(**{"filtered_bc.in_imagination": False})
    assert torch.equal(both, begun())
    assert not torch.equal(both, real)
    assert torch.equal(begun(threshold=NEVER), real)
    assert not torch.equal(real, begun(filtered_bc=None))


@pytest.mark.smoke
def test_all_real_successes_are_imitated_once_more_at_the_end(smoke_run):
    run = enter_run(smoke_run, preset("smoke"))
    monitored = EpisodeStore(sorted(run.path("episodes/monitored_2").glob("*.hdf5")))
    gained = sum(episode.first_success >= 0 for episode in monitored)
    assert len(own_successes(run, 3)) == len(own_successes(run, 2)) + gained
    phases = {row["phase"] for row in run.metrics.rows()}
    assert {"imitation_1", "imitation_2", "imitation_3"} <= phases


@pytest.mark.smoke
def test_imagined_copies_keep_the_actions_and_begin_with_a_real_frame(run):
    real = list(store(run, DEMONSTRATIONS))
    copies = as_imagined(env_with(run, CERTAIN), real, 0, "test")
    assert len(copies) == 2 * len(real)
    for episode, copy in zip(real, copies, strict=False):  # the first of two parts: from the beginning
        steps = len(copy)
        np.testing.assert_array_equal(copy.actions, episode.actions[:steps])
        np.testing.assert_array_equal(copy.expert_actions, episode.expert_actions[:steps])
        np.testing.assert_array_equal(copy.frames[0], episode.frames[0])
        assert len(copy.frames) == steps + 1
        assert (copy.frames[1:] != episode.frames[1 : steps + 1]).any()
    for episode, copy in zip(real, copies[len(real) :], strict=True):
        begin = [step for step in range(len(episode)) if (episode.frames[step] == copy.frames[0]).all()]
        assert any(0 < step < episode.first_success for step in begin)
        assert any(np.array_equal(copy.actions, episode.actions[step : step + len(copy)]) for step in begin)


@pytest.mark.smoke
def test_a_success_that_imagination_does_not_see_has_no_imagined_copy(run):
    assert as_imagined(env_with(run, NEVER), list(store(run, DEMONSTRATIONS)), 0, "test") == []
