"""The report's sections on a measurement (`wovr-lab measure RUN`). In: RUN/measure.json, RUN/measure. Out: HTML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wovr_lab.figures import hallucination_figures
from wovr_lab.figures.pictures import strip
from wovr_lab.figures.style import plain
from wovr_lab.measure.tabletop.gallery import KINDS, read_gallery
from wovr_lab.report import hallucination_tables
from wovr_lab.report.markup import image, plot, section, table
from wovr_lab.report.sentences import load_measure

EACH = 2  # cases of a kind in the report, of the last policy in the last world
STRIDE = 4  # every fourth frame of a case is shown


def hallucination_sections(run: Path) -> list[str]:
    """The sections, none if the run has not been measured. Raises UserError if measure.json is of another schema."""
    found = load_measure(run)
    if not found:
        return []
    return [
        _outcomes(found),
        _update_efficiency(found),
        _depth(found),
        _objects(found),
        _uncertainty(found),
        _control(found),
        *_gallery(run),
    ]


def _outcomes(found: dict[str, Any]) -> str:
    confusion, protocol = found["confusion"], found["protocol"]
    return section(
        "Measured: imagined against real outcomes",
        "Every policy acts in every world model; then the simulator executes the same actions from the same starts, "
        "and the policy acts in the simulator on its own. Over-optimism is imagined minus real success, in points; "
        "precision is the share of imagined successes that are real. "
        + plain(
            f"Sampled at temperature {protocol['temperature']:g}; initial states {protocol['initial_states']}; "
            f"keyframes {protocol['keyframes']}; {protocol['outcomes']}."
        ),
        plot(hallucination_figures.outcomes_figure(confusion), "measured-outcomes"),
        table(hallucination_tables.confusion_table(confusion)),
        "<details><summary>By task, both kinds of starts together</summary>"
        + table(hallucination_tables.confusion_table(confusion, tasks=True))
        + "</details>",
    )


def _update_efficiency(found: dict[str, Any]) -> str:
    return section(
        "Measured: update efficiency",
        "GRPO learns from differences within groups that share a start. Here such groups of the base policy's imagined "
        "rollouts are executed for real. The update efficiency is the first-order gain in real success under imagined "
        "advantages, as a share of the gain under real ones: at 25 % four imagined updates do what one real one does.",
        table(hallucination_tables.update_efficiency_table(found["worth"])),
    )


def _depth(found: dict[str, Any]) -> str:
    last = found["depth"][-1]
    return section(
        "Measured: error by horizon, and the reliability horizon",
        "Where the model thinks things are is read from its frames by state probes, small networks trained on real "
        "frames only, and compared with the exact state of the simulator after the same actions. No rollout ends at "
        f"success here, so every horizon is seen by all. Shown: {plain(hallucination_figures.who(last))}. "
        f"The reliability horizon is the longest one with: {plain(found['protocol']['horizon'])}.",
        plot(hallucination_figures.horizon_figure(found["depth"], last["policy"], last["world"]), "measured-depth"),
        table(hallucination_tables.horizon_table(found["horizon"])),
        "<h3>How far the probes can be trusted</h3>",
        table(hallucination_tables.probe_table(found["probe"])),
    )


def _objects(found: dict[str, Any]) -> str:
    return section(
        "Measured: do cubes stay, stay single, and move only by touch?",
        "The share of rollouts in which either cube breaks a rule: hardly a pixel of its colour is left for eight "
        "frames; it is there twice; it moves by more than 3 cm within a chunk while nothing is near it. On the real "
        "videos of the same actions the rules find what they find by mistake.",
        table(hallucination_tables.objects_table(found["objects"])),
    )


def _uncertainty(found: dict[str, Any]) -> str:
    return section(
        "Measured: does the simulator know when it is wrong?",
        "Every chunk is answered several times, with other noise and by the run's other world model. If the answers "
        "differ more where the outcome will be wrong, their standard deviation is a warning: AUROC 1 is a perfect "
        "one, 0.5 none.",
        table(hallucination_tables.uncertainty_table(found["uncertainty"])),
    )


def _control(found: dict[str, Any]) -> str:
    return section(
        "Measured: does it obey?",
        "From the same real frame the hand is told to go six ways for a chunk. Points on the diagonal move as really. "
        "How far away from the camera the hand is, a small blurred frame hardly shows, so depth is listed apart from "
        "what moves in the picture. The table cuts either of the two channels that tell the model of actions.",
        plot(hallucination_figures.control_figure(found["control"]["points"]), "measured-control"),
        table(hallucination_tables.control_table(found["control"]["rows"])),
    )


def _gallery(run: Path) -> list[str]:
    cases = read_gallery(run / "measure")
    if not cases:
        return []
    chosen = [case for kind in KINDS for case in [c for c in cases if c.about["kind"] == kind][-EACH:]]
    shown = []
    for number, case in enumerate(chosen):
        seen = strip([case.real.frames[::STRIDE], case.imagined.frames[::STRIDE]])
        shown += [
            image(seen, hallucination_figures.case_sentence(case.about)),
            plot(hallucination_figures.track_figure(case), f"measured-{number}"),
        ]
    return [
        section(
            "Measured: gallery of hallucinations",
            f"{len(chosen)} of the {len(cases)} mined cases in measure/: every fourth frame, real above imagined, the "
            "same actions; below, the task's cube in truth and as the probe reads it in the imagined frames.",
            *shown,
        )
    ]
