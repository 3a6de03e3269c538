from itertools import pairwise

import pytest

from wovr_lab.errors import UserError
from wovr_lab.figures import gate_figures, run_figures
from wovr_lab.figures.style import IMAGINED, REAL


def traces(figure, kind):
    return [trace for trace in figure.to_dict()["data"] if trace["type"] == kind]


def test_success_bars_show_rates_with_their_wilson_intervals_greedy_and_sampled(report):
    success = report["success"]
    figure = run_figures.success_bars(success, "sampled (T = 1.2)")
    bars = {bar["name"]: bar for bar in traces(figure, "bar")}
    assert list(bars) == ["base policy", "improved by WoVR", "online GRPO"]
    improved = bars["improved by WoVR"]
    assert list(improved["y"]) == pytest.approx([0.65, 0.47])
    wovr = success["wovr"]
    assert improved["error_y"]["array"][0] == pytest.approx(wovr["high"] - 0.65)
    assert improved["error_y"]["arrayminus"][0] == pytest.approx(0.65 - wovr["low"])
    assert list(bars["online GRPO"]["y"]) == pytest.approx([0.48])  # its sampled success was not measured
    assert list(figure.layout.xaxis.ticktext) == ["greedy", "sampled (T = 1.2)"]


def test_bars_of_one_group_stand_beside_each_other(report):
    bars = traces(run_figures.success_bars(report["success"]), "bar")
    assert len(bars) == 3
    assert all(right["x"][0] - left["x"][0] > left["width"] for left, right in pairwise(bars))


def test_success_by_task_has_a_group_for_each_task(report):
    figure = run_figures.success_by_task_bars(report["success_by_task"])
    base, improved = traces(figure, "bar")
    assert list(base["y"]) == pytest.approx([0.6, 0.54, 0.28, 0.22])
    assert list(improved["y"]) == pytest.approx([0.82, 0.8, 0.56, 0.42])
    assert list(figure.layout.xaxis.ticktext) == ["push red", "push blue", "place red", "place green"]


def test_long_names_of_tasks_are_folded_so_that_they_do_not_overlap(report):
    rates = report["success_by_task"]["push_red"]
    figure = run_figures.success_by_task_bars({"libero_goal/put_the_bowl_on_the_plate": rates})
    assert list(figure.layout.xaxis.ticktext) == ["libero goal/put<br>the bowl on the<br>plate"]


def test_without_an_improved_policy_there_are_bars_of_the_base_alone(report):
    success = {name: rate for name, rate in report["success"].items() if name.startswith("base")}
    assert [bar["name"] for bar in traces(run_figures.success_bars(success | {"wovr": {}}), "bar")] == ["base policy"]


def test_a_rate_without_its_interval_is_refused(report):
    with pytest.raises(UserError, match="not a rate"):
        run_figures.success_bars({"base": {"rate": 0.4, "n": 200}})


def test_the_second_phase_of_learning_goes_on_where_the_first_ended(rows):
    first, first_real, second, second_real = run_figures.learning_curve(rows).to_dict()["data"]
    assert list(first["x"]) == list(range(12))
    assert list(second["x"]) == list(range(12, 24))
    assert list(first_real["x"]) == [0, 6, 12] and list(second_real["x"]) == [12, 18, 24]
    assert list(second["y"]) == [row["reward"] for row in rows if row["phase"] == "improve_2"]
    assert list(first_real["y"]) == pytest.approx([0.4, 0.46, 0.52])
    assert {first["line"]["color"], second["line"]["color"]} == {IMAGINED}
    assert {first_real["line"]["color"], second_real["line"]["color"]} == {REAL}


def test_pace_is_marked_between_the_phases_and_only_if_there_are_two(rows):
    marked = run_figures.learning_curve(rows).to_dict()["layout"]
    assert [shape["x0"] for shape in marked["shapes"]] == [12]
    assert marked["annotations"][0]["text"] == "PACE"
    alone = [row for row in rows if not row["phase"].startswith("improve_2")]
    assert "shapes" not in run_figures.learning_curve(alone).to_dict()["layout"]


def test_each_real_point_carries_its_interval(rows):
    real = run_figures.learning_curve(rows).to_dict()["data"][1]
    measured = [row for row in rows if row["phase"] == "improve_1/real"]
    assert list(real["error_y"]["array"]) == pytest.approx([row["high"] - row["success"] for row in measured])


def test_the_monitor_is_drawn_beside_imagined_success_where_something_was_imagined(rows):
    seen = [{"phase": "improve_2/monitor", "step": s, "precision": p, "low": 0.3, "high": 0.9, "n": n}
            for s, p, n in ((0, 0.75, 20), (6, 0.0, 0), (12, 0.5, 30))]  # fmt: skip
    lines = run_figures.learning_curve([*rows, *seen]).to_dict()["data"]
    monitor = next(line for line in lines if "monitor" in line["name"])
    assert list(monitor["x"]) == [12, 24] and list(monitor["y"]) == [0.75, 0.5]
    assert list(monitor["error_y"]["arrayminus"]) == pytest.approx([0.45, 0.2])


def test_training_curves_have_a_panel_for_each_learner_and_none_for_grpo(rows):
    figure = run_figures.training_curves([*rows, {"phase": "improve_1", "step": 99, "loss": 1.0}])
    assert [note.text for note in figure.layout.annotations] == ["sft", "reward", "codec", "world", "refine"]
    assert list(figure.data[0].y) == [row["loss"] for row in rows if row["phase"] == "sft"]


def test_grpo_curves_are_broken_between_the_phases(rows):
    entropy = run_figures.grpo_curves(rows).data[1]
    assert len(entropy.y) == 25 and entropy.y[12] is None
    assert entropy.x[11:14] == (11, 12, 12)


def test_figures_of_nothing_are_empty():
    assert not run_figures.learning_curve([]).data
    assert not run_figures.training_curves([]).data
    assert not run_figures.grpo_curves([]).data


def test_stage_times_are_in_minutes_unless_the_run_was_short(report):
    figure = run_figures.stage_times(report["stages"])
    assert figure.data[0].x[4] == pytest.approx(611 / 60)
    assert figure.layout.xaxis.title.text == "minutes (total 22.4)"
    short = run_figures.stage_times([{"name": "sft", "seconds": 2.5}])
    assert list(short.data[0].x) == [2.5] and short.layout.xaxis.title.text == "seconds (total 2.5)"


def test_the_gate_sets_real_against_imagined_success_of_each_policy(report):
    gate = report["gate"]["gate_1"]
    figure = gate_figures.gate_figure("gate_1", gate)
    points = figure.to_dict()["data"][1]
    assert list(points["x"]) == [policy["imagined"]["rate"] for policy in gate["policies"]]
    assert list(points["y"]) == [policy["real"]["rate"] for policy in gate["policies"]]
    assert points["error_x"]["array"][0] == pytest.approx(gate["policies"][0]["imagined"]["high"] - points["x"][0])
    assert points["error_x"]["color"] == IMAGINED and points["error_y"]["color"] == REAL
    assert list(points["text"]) == ["1", "2", "3", "4"]
    assert figure.layout.title.text == "Gate 1 passed"
    assert gate_figures.gate_figure("gate_1", gate | {"passed": False}).layout.title.text == "Gate 1 did not pass"


def test_the_confusion_matrix_has_imagined_outcomes_as_rows_and_real_ones_as_columns(report):
    base, _ = gate_figures.confusion_figure(gate_figures.confusion_counts(report)).to_dict()["data"]
    assert [[abs(share) * 128 for share in row] for row in base["z"]] == [[44, 12], [6, 66]]
    assert "<b>12</b>" in base["text"][0][1] and "false success" in base["text"][0][1]
    assert base["x"][0] == "real success" and base["y"][0] == "imagined<br>success"


def test_a_report_without_matrices_by_policy_shows_the_single_one(report):
    del report["confusion"]
    assert gate_figures.confusion_counts(report) == {"all rollouts": report["hallucination"]}
    report["hallucination"] = dict.fromkeys(report["hallucination"], 0)
    assert gate_figures.confusion_counts(report) == {}


def test_the_confusion_sentence_counts_precision_and_recall(report):
    sentence = gate_figures.confusion_sentence("improved", report["confusion"]["improved"])
    assert sentence.startswith("Improved by WoVR: 77.3 % [")  # 75 of 97
    assert "of 97 imagined successes are real; 96.2 % [" in sentence  # 75 of 78

    nothing = {"imagined_and_real": 0, "imagined_only": 0, "real_only": 0, "neither": 8}
    assert gate_figures.confusion_sentence("base", nothing) == "Base policy: no success was imagined; none was real"


def test_error_by_horizon_compares_with_the_copied_frame_where_it_was_measured(report):
    world = report["world"]
    model, copy = gate_figures.psnr_by_horizon_figure(world["psnr_by_depth"], world["psnr_by_depth_copy"]).data
    assert list(model.x) == [8, 16, 24, 32, 40] and list(model.y) == [24.6, 21.6, 19.5, 19.1, 19.0]
    assert list(copy.y) == [19.3, 17.0, 15.3, 15.2, 15.2]
    assert len(gate_figures.psnr_by_horizon_figure(world["psnr_by_depth"]).data) == 1


def test_every_axis_with_a_unit_says_it(report, rows):
    world = report["world"]
    titles = [
        run_figures.success_bars(report["success"]).layout.yaxis.title.text,
        run_figures.learning_curve(rows).layout.xaxis.title.text,
        gate_figures.psnr_by_horizon_figure(world["psnr_by_depth"]).layout.yaxis.title.text,
    ]
    assert titles == ["real success (95 % interval)", "GRPO iteration", "PSNR (dB)"]


def test_names_are_escaped_because_plotly_reads_tags(report):
    figure = run_figures.success_by_task_bars({'<a href="x">task</a>': report["success_by_task"]["push_red"]})
    assert list(figure.layout.xaxis.ticktext) == ["&lt;a<br>href=&quot;x&quot;&gt;task&lt;/a&gt;"]
