"""The gate: what it lets through, and each reason to refuse."""

import json

import numpy as np
import pytest

from wovr_lab.measure.gate import GateBounds, GatedPolicy, GroupOutcomes, evaluate_gate, misranked
from wovr_lab.measure.hallucination import PairedOutcomes
from wovr_lab.measure.intervals import wilson


def outcomes(both: int, imagined_only: int, real_only: int, neither: int) -> PairedOutcomes:
    counts = (both, imagined_only, real_only, neither)
    return PairedOutcomes(np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts))


def policy(name: str, real: int, imagined: int, n: int = 100) -> GatedPolicy:
    return GatedPolicy(name, wilson(real, n), wilson(imagined, n), wilson(0, 0))


def test_the_confusion_matrix_counts_every_pair_once():
    found = outcomes(5, 2, 3, 7)
    assert found.counts() == {"imagined_and_real": 5, "imagined_only": 2, "real_only": 3, "neither": 7}
    assert found.precision == wilson(5, 7) and found.recall == wilson(5, 8)


def test_a_truthful_imagination_passes():
    verdict = evaluate_gate({"weak": outcomes(30, 5, 3, 62), "strong": outcomes(80, 5, 5, 10)})
    assert verdict.passed and verdict.reasons == ()
    assert verdict.precision == wilson(110, 120)
    assert verdict.policies == (
        GatedPolicy("weak", wilson(33, 100), wilson(35, 100), precision=wilson(30, 35)),
        GatedPolicy("strong", wilson(85, 100), wilson(85, 100), precision=wilson(80, 85)),
    )


@pytest.mark.parametrize(
    ("made", "said"), [((64, 36, 0, 0), "only 64% of"), ((7, 3, 0, 90), "too few to tell: 70% of")]
)
def test_imagined_successes_that_are_not_real_or_too_few_to_tell_are_a_reason_to_refuse(made, said):
    verdict = evaluate_gate({"only": outcomes(*made)})
    assert not verdict.passed and len(verdict.reasons) == 1
    assert verdict.reasons[0].startswith(f"{said} imagined successes are real")
    assert f"n = {made[0] + made[1]}" in verdict.reasons[0]


def test_an_imagination_without_a_single_success_is_refused():
    verdict = evaluate_gate({"only": outcomes(0, 0, 50, 50)})
    assert not verdict.passed and verdict.precision == wilson(0, 0)
    assert "not a single success was imagined" in verdict.reasons[0]


def test_the_bounds_on_precision_are_both_used_and_can_be_moved():
    assert wilson(65, 100).low > 0.5 and evaluate_gate({"only": outcomes(65, 35, 0, 0)}).passed
    assert not evaluate_gate({"only": outcomes(65, 35, 0, 0)}, GateBounds(precision=0.7)).passed
    assert not evaluate_gate({"only": outcomes(65, 35, 0, 0)}, GateBounds(precision_low=0.6)).passed


def test_precision_is_pooled_over_policies():
    bad, good = outcomes(10, 20, 0, 70), outcomes(80, 5, 0, 15)
    assert evaluate_gate({"bad": bad, "good": good}).precision == wilson(90, 115)
    assert evaluate_gate({"bad": bad, "good": good}).passed and not evaluate_gate({"bad": bad}).passed


def test_a_wrong_order_of_policies_that_really_differ_is_a_reason_to_refuse():
    verdict = evaluate_gate({"strong": outcomes(40, 0, 45, 15), "weak": outcomes(30, 20, 0, 50)})
    assert not verdict.passed and len(verdict.reasons) == 1
    assert verdict.reasons[0].startswith("strong really succeeds more often than weak (85% > 30%)")
    assert "(40% < 50%)" in verdict.reasons[0]


def test_policies_are_misranked_only_where_their_real_intervals_are_disjoint():
    strong, weak, similar = policy("strong", 85, 40), policy("weak", 30, 50), policy("similar", 80, 50)
    assert misranked([strong, weak]) == misranked([weak, strong]) == [(strong, weak)]
    assert misranked([strong, similar]) == []  # 85 of 100 and 80 of 100 may be equally good
    assert misranked([policy("a", 85, 50), policy("b", 30, 50)]) == []  # a tie is no wrong order
    assert misranked([strong, weak, similar]) == [(strong, weak)]


def test_a_verdict_is_written_as_the_report_has_it():
    verdict = evaluate_gate({"only": outcomes(65, 35, 0, 0)}, GateBounds(0.9))
    written = json.loads(json.dumps(verdict.as_json()))
    assert written["passed"] is False and len(written["reasons"]) == 1
    assert written["precision"].keys() == {"rate", "n", "low", "high"} and written["precision"]["n"] == 100
    assert written["policies"][0]["name"] == "only" and written["policies"][0]["imagined"]["rate"] == 1.0


def groups(judged_right: bool, imagined_right: bool) -> GroupOutcomes:
    """Twelve groups in which two of four succeed; whoever is wrong sees others succeed."""
    real = np.tile([True, True, False, False], (12, 1))
    wrong = np.tile([True, False, True, False], (12, 1))
    return GroupOutcomes(real, real if judged_right else wrong, real if imagined_right else wrong)


def test_groups_that_are_told_apart_pass_and_their_agreement_is_reported():
    verdict = evaluate_gate({"only": outcomes(80, 5, 5, 10)}, groups=groups(judged_right=True, imagined_right=True))
    assert verdict.passed and verdict.correlation.rate == pytest.approx(1) and verdict.correlation.n == 12
    assert verdict.as_json()["within_group_correlation"]["rate"] == pytest.approx(1)
    assert evaluate_gate({"only": outcomes(80, 5, 5, 10)}).as_json()["within_group_correlation"] is None


@pytest.mark.parametrize(("judged_right", "blamed"), [(True, "the world model is at fault"), (False, "the reward")])
def test_groups_that_imagination_cannot_tell_apart_are_refused_and_the_part_that_fails_is_named(judged_right, blamed):
    verdict = evaluate_gate({"only": outcomes(80, 5, 5, 10)}, groups=groups(judged_right, imagined_right=False))
    assert not verdict.passed and len(verdict.reasons) == 1
    assert "within groups" in verdict.reasons[0] and blamed in verdict.reasons[0]
