"""The monitor: which policy it keeps, when it stops RL, what it books, and what survives a kill."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

from wovr_lab.episodes import EpisodeStore
from wovr_lab.measure.hallucination import PairedOutcomes
from wovr_lab.measure.intervals import rate_of
from wovr_lab.pace.data import monitored_store, real_env
from wovr_lab.pace.improving import imagined_env
from wovr_lab.pace.monitor import Monitor, MonitorCheck, best, is_over_optimised
from wovr_lab.pace.scales import scale_config
from wovr_lab.pace.stages import enter_run
from wovr_lab.policy.checkpoints import load_policy
from wovr_lab.policy.exploration import ExploringActor
from wovr_lab.rollout import roll_out
from wovr_lab.runs import read_json


def check(updates: int, both: int, imagined_only: int, real_only: int = 0, neither: int = 0) -> MonitorCheck:
    """A check of so many rollouts of each outcome."""
    counts = [both, imagined_only, real_only, neither]
    imagined = np.repeat([True, True, False, False], counts)
    real = np.repeat([True, False, True, False], counts)
    return MonitorCheck.of(updates, PairedOutcomes(imagined, real), frames=48 * len(real))


def test_a_look_counts_by_hand():
    seen = check(8, both=6, imagined_only=2, real_only=1, neither=7)
    assert (seen.episodes, seen.frames) == (16, 768)
    assert (seen.imagined.rate, seen.real.rate, seen.precision.rate) == (8 / 16, 7 / 16, 6 / 8)
    assert MonitorCheck.from_json(asdict(seen)) == seen


def test_the_really_best_policy_is_kept_and_not_the_one_imagined_best():
    checks = [check(0, 8, 2, 0, 10), check(8, 11, 3, 0, 6), check(16, 9, 11, 0, 0)]
    assert checks[2].imagined.rate > checks[1].imagined.rate
    assert best(checks).updates == 8


def test_of_equally_good_policies_the_latest_is_kept():
    assert best([check(0, 8, 2), check(8, 8, 2), check(16, 7, 3)]).updates == 8


@pytest.mark.parametrize(("both", "imagined_only", "stops"), [(40, 20, False), (28, 32, False), (15, 45, True)])
def test_rl_stops_where_real_success_falls_clearly_behind_its_best(both, imagined_only, stops):
    checks = [check(0, 20, 20, 0, 20), check(8, 32, 18, 0, 10), check(16, both, imagined_only)]
    assert is_over_optimised(checks) is stops


def test_a_poor_first_look_does_not_stop_rl_that_may_mend_it():
    assert not is_over_optimised([check(0, 13, 33, 4, 14)])


@pytest.mark.smoke
def test_what_the_monitor_kept_is_written_down_with_its_checks(smoke_run):
    for number in (1, 2):
        written = read_json(smoke_run / f"monitor_{number}.json")
        checks = [MonitorCheck.from_json(row) for row in written["checks"]]
        assert [seen.updates for seen in checks] == [[0, 1, 2], [-1, 0, 1, 2]][number - 1]
        assert written["kept"] == best(checks).updates


@pytest.mark.smoke
def test_what_the_second_phase_is_given_is_kept_if_imitation_and_rl_make_it_worse(smoke_copy):
    run = enter_run(smoke_copy, scale_config("smoke"))
    run.stage = "improve_2"
    given, worse = (load_policy(run.path(f"checkpoints/{name}")) for name in ("improved_1", "half"))
    monitor = Monitor(run, 2, imagined_env(run, "world_evolved", "reward_evolved", 4))
    monitor.check(-1, given)
    monitor.checks = [replace(monitor.checks[0], real=rate_of(np.ones(4, bool)))]  # at this scale nothing succeeds
    monitor.check(0, worse)
    kept = monitor.finish().state_dict()
    assert read_json(smoke_copy / "monitor_2.json")["kept"] == -1
    assert all(bool((kept[name] == weight).all()) for name, weight in given.state_dict().items())


@pytest.mark.smoke
def test_a_look_can_see_the_policy_act_for_real_and_imagine_its_actions(smoke_copy):
    run = enter_run(smoke_copy, scale_config("smoke", monitor_acts=True))
    run.stage = "improve_1"
    policy = load_policy(run.path("checkpoints/base"))
    monitor = Monitor(run, 1, imagined_env(run, "world", "reward", 4))
    monitor.check(0, policy)
    episodes = list(EpisodeStore([run.scratch / "monitored_1/000.hdf5"]))
    env = real_env(run.config, len(episodes), run.config.hold, every_frame=True)
    temperature = run.config.grpo.temperature
    explores = ExploringActor(policy, run.config.grpo.noise)
    acted = roll_out(env, explores, monitor.starts, 0, "improve_1/monitor", temperature, video=True)
    for episode, other in zip(episodes, acted.episodes(), strict=True):
        assert np.array_equal(episode.actions, other.actions)
    assert monitor.checks[0].real.rate == acted.succeeded.mean()


@pytest.mark.smoke
def test_every_look_is_charged_as_real_episodes(smoke_run):
    config, ledger = scale_config("smoke"), read_json(smoke_run / "report.json")["ledger"]
    for number in (1, 2):
        booked = [row for row in ledger if row["stage"] == f"improve_{number}" and row["kind"] == "real"]
        starts = len(config.tasks) * config.monitor_starts
        assert [row["episodes"] for row in booked] == [config.checks(number) * starts]


@pytest.mark.smoke
def test_what_was_executed_is_kept_and_after_pace_other_starts_judge(smoke_run):
    seeds_of = []
    for number in (1, 2):
        checks = read_json(smoke_run / f"monitor_{number}.json")["checks"]
        files = [smoke_run / f"episodes/monitored_{number}/{seen['updates']:03}.hdf5" for seen in checks]
        lengths = [[summary.length for summary in EpisodeStore([file]).summaries] for file in files]
        assert [len(found) for found in lengths] == [seen["episodes"] for seen in checks]
        assert [sum(found) for found in lengths] == [seen["frames"] for seen in checks]
        seeds_of.append({summary.seed for summary in EpisodeStore(files).summaries})
    assert seeds_of[0].isdisjoint(seeds_of[1])


@pytest.mark.smoke
@pytest.mark.parametrize(("weight", "learnt_from"), [(0.0, 0), (1.0, 12)])
def test_the_refinement_learns_from_it_where_the_run_says_so(smoke_copy, weight, learnt_from):
    run = enter_run(smoke_copy, scale_config("smoke", monitored_weight=weight))
    assert len(monitored_store(run)) == learnt_from
