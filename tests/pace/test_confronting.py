"""What the base imagines is executed for real, and what really succeeded is imitated before RL."""

from dataclasses import replace

import pytest
import torch

from wovr_lab.pace.data import balanced, confronted_store, own_successes, store
from wovr_lab.pace.improving import imitated
from wovr_lab.pace.scales import scale_config
from wovr_lab.pace.stages import enter_run
from wovr_lab.policy.checkpoints import load_policy
from wovr_lab.policy.imitation import ImitationConfig
from wovr_lab.runs import read_json


def test_rare_tasks_are_repeated_until_all_weigh_the_same(make_episode):
    often = [make_episode(seed, 8) for seed in range(3)]
    rare = replace(make_episode(7, 8), task="rare")
    found = balanced([often[0], rare, *often[1:]])
    assert [episode.seed for episode in found] == [0, 1, 2, 7, 7, 7]
    assert balanced([]) == []


@pytest.mark.smoke
def test_what_the_base_imagines_is_executed_and_paid_for(smoke_run):
    config = scale_config("smoke")
    run = enter_run(smoke_run, config)
    executed = list(confronted_store(run))
    assert sorted(episode.task for episode in executed) == sorted(config.tasks)
    rollouts = {summary.seed for summary in store(run, "base").summaries}
    assert rollouts.isdisjoint(episode.seed for episode in executed)
    booked = [row for row in read_json(smoke_run / "report.json")["ledger"] if row["stage"] == "confront"]
    assert [(row["kind"], row["episodes"]) for row in booked] == [("real", len(executed))]
    assert booked[0]["frames"] == sum(len(episode) for episode in executed)


@pytest.mark.smoke
def test_a_phase_begins_with_the_imitation_of_what_succeeded_where_the_run_says_so(smoke_copy):
    def begun(schedule: ImitationConfig | None) -> torch.Tensor:
        run = enter_run(smoke_copy, scale_config("smoke", imitate_successes=schedule))
        run.stage = "improve_1"
        policy = imitated(run, 1, load_policy(run.path("checkpoints/base")))
        return torch.cat([weight.detach().flatten() for weight in policy.parameters()])

    schedule = scale_config("smoke").imitate_successes
    again = begun(schedule)
    assert not torch.equal(again, begun(None))
    assert torch.equal(again, begun(schedule))


@pytest.mark.smoke
def test_only_real_successes_are_imitated_and_never_the_examples(smoke_run):
    run = enter_run(smoke_run, scale_config("smoke"))
    before, after = own_successes(run, 1), own_successes(run, 2)
    assert all(episode.first_success >= 0 for episode in after)
    shown = {summary.seed for summary in store(run, "demonstrations").summaries}
    assert shown <= {episode.seed for episode in before} <= {episode.seed for episode in after}
    examples = {summary.seed for summary in store(run, "examples").summaries}
    assert examples.isdisjoint(episode.seed for episode in after)
    assert all(episode.expert_actions is None for episode in after if episode.seed not in shown)  # none of the expert's
