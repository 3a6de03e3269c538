"""What the base imagines is executed for real, and which real successes may be imitated before RL."""

import pytest

from wovr_lab.pace.data import own_successes, store
from wovr_lab.pace.layout import BASE_ROLLOUTS, DEMONSTRATIONS, EXAMPLES, IMAGINED_ACTIONS
from wovr_lab.pace.presets import preset
from wovr_lab.pace.stages import enter_run
from wovr_lab.runs import read_json


@pytest.mark.smoke
def test_what_the_base_imagines_is_executed_and_paid_for(smoke_run):
    config = preset("smoke")
    run = enter_run(smoke_run, config)
    executed = list(store(run, IMAGINED_ACTIONS))
    assert sorted(episode.task for episode in executed) == sorted(config.tasks)
    rollouts = {summary.seed for summary in store(run, BASE_ROLLOUTS).summaries}
    assert rollouts.isdisjoint(episode.seed for episode in executed)
    booked = [row for row in read_json(smoke_run / "report.json")["ledger"] if row["stage"] == "confront"]
    assert [(row["kind"], row["episodes"]) for row in booked] == [("real", len(executed))]
    assert booked[0]["frames"] == sum(len(episode) for episode in executed)


@pytest.mark.smoke
def test_only_real_successes_are_imitated_and_never_the_examples(smoke_run):
    run = enter_run(smoke_run, preset("smoke"))
    before, after = own_successes(run, 1), own_successes(run, 2)
    assert all(episode.first_success >= 0 for episode in after)
    shown = {summary.seed for summary in store(run, DEMONSTRATIONS).summaries}
    assert shown <= {episode.seed for episode in before} <= {episode.seed for episode in after}
    examples = {summary.seed for summary in store(run, EXAMPLES).summaries}
    assert examples.isdisjoint(episode.seed for episode in after)
    assert all(episode.expert_actions is None for episode in after if episode.seed not in shown)  # none of the expert's
