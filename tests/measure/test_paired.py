"""What both worlds did with the same actions, counted as training would have seen it."""

from dataclasses import fields, replace

import numpy as np
import pytest

from wovr_lab.errors import UserError
from wovr_lab.measure.hallucination import PairedOutcomes
from wovr_lab.measure.intervals import wilson
from wovr_lab.measure.paired import PairedRollouts, confusion_rows, outcomes_at
from wovr_lab.types import Interval


def test_a_rollout_ends_with_the_chunk_of_its_imagined_success(make_pairs):
    assert make_pairs([0, 7, 8, 15, -1], [-1] * 5).ends.tolist() == [8, 8, 16, 16, 16]


def test_a_real_success_counts_only_up_to_that_end(make_pairs):
    pairs = make_pairs([3, 3, 3, -1, -1], [7, 8, -1, 15, -1])
    assert pairs.outcomes.imagined.tolist() == [True, True, True, False, False]
    assert pairs.outcomes.real.tolist() == [True, False, False, True, False]


def test_saved_rollouts_come_back_as_they_were(make_pairs, tmp_path):
    pairs = make_pairs([3, -1], [-1, 4], tasks=("push_red", "green_on_plate"), cube_error=0.01)
    pairs.save(tmp_path / "pairs.safetensors")
    again = PairedRollouts.load(tmp_path / "pairs.safetensors")
    assert again.tasks == pairs.tasks
    for field in fields(pairs):
        before, after = (np.asarray(getattr(each, field.name)) for each in (pairs, again))
        assert before.dtype == after.dtype and (before == after).all(), field.name
    with pytest.raises(UserError, match="does not exist"):
        PairedRollouts.load(tmp_path / "nowhere")


def test_the_confusion_matrix_has_a_row_for_all_and_one_for_each_task():
    tasks = ["push", "push", "push", "lift"]
    outcomes = PairedOutcomes(np.array([True, True, False, True]), np.array([True, False, False, False]))
    everything, lift, push = confusion_rows(tasks, outcomes, alone=np.array([False, False, True, True]))
    assert [row["task"] for row in (everything, lift, push)] == ["all", "lift", "push"]
    assert everything["n"] == 4 and everything["imagined"]["rate"] == 0.75
    assert everything["paired"]["counts"] == {
        "imagined_and_real": 1, "imagined_only": 2, "real_only": 0, "neither": 1,
    }  # fmt: skip
    assert Interval(**everything["paired"]["precision"]) == wilson(1, 3)
    assert Interval(**everything["paired"]["recall"]) == wilson(1, 1)
    assert everything["paired"]["over_optimism"]["rate"] == 0.5
    assert (
        everything["closed_loop"]["real"]["rate"] == 0.5 and everything["closed_loop"]["over_optimism"]["rate"] == 0.25
    )
    assert lift["paired"]["over_optimism"] == {"rate": 1.0, "n": 1, "low": 1.0, "high": 1.0}
    assert lift["closed_loop"]["over_optimism"]["rate"] == 0.0
    assert push["n"] == 3 and push["paired"]["counts"]["imagined_only"] == 1


def test_rows_are_selected_by_mask_and_by_index(make_pairs):
    pairs = replace(make_pairs([0, 1, 2], [-1, -1, -1]), tasks=("a", "b", "c"))
    assert pairs.select(np.array([True, False, True])).tasks == ("a", "c")
    assert pairs.select(np.array([2, 1])).imagined_success.argmax(1).tolist() == [2, 1]


def test_another_threshold_of_the_reward_gives_other_outcomes(make_pairs):
    pairs = make_pairs([3, -1], [5, 5])  # the reward is certain from action 3 on, and never
    assert outcomes_at(pairs, 0.5, consecutive=2).imagined.tolist() == [True, False]
    assert outcomes_at(pairs, 0.5, consecutive=14).imagined.tolist() == [False, False]
    assert outcomes_at(pairs, 0.0, consecutive=1).imagined.tolist() == [True, True]
