"""A run folder's results, read and put into words, so that report, terminal and notebooks say the same.

In: report.json (schema 1), measure.json. Out: dictionaries as they are, sentences.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wovr_lab.errors import UserError
from wovr_lab.figures.wording import interval, number, percent, points, sentence_case, spaced
from wovr_lab.report_schema import load_report as load_report
from wovr_lab.runs import read_json

MEASURE_SCHEMA = 1


def load_measure(run: Path) -> dict[str, Any]:
    """RUN/measure.json, empty if the run was not measured. Raises UserError if it is broken or of another schema."""
    path = run / "measure.json"
    found = read_json(path) if path.exists() else {"schema": MEASURE_SCHEMA}
    schema = found.pop("schema", None) if isinstance(found, dict) else None
    if schema != MEASURE_SCHEMA:
        raise UserError(f"{path} is of schema {schema}, this version shows {MEASURE_SCHEMA}; measure the run again")
    return found


def temperature_name(report: dict[str, Any]) -> str:
    """What sampled evaluation is called, with its temperature where the report says it."""
    temperature = report.get("temperature", report.get("protocol", {}).get("sampled_temperature"))
    return "sampled" if temperature is None else f"sampled (T = {temperature:g})"


def headline(report: dict[str, Any]) -> str:
    """The one sentence: the report's verdict, or real success of the base and the improved policy."""
    if report.get("verdict"):
        return sentence_case(str(report["verdict"]))
    base, improved = (interval(report["success"].get(name)) for name in ("base", "wovr"))
    begin = f"Real success, greedy: base {percent(base)}"
    starts = f"on n = {base.n} starts that no training has used" if base else ""
    if improved is None:
        return f"{begin} {starts}; there is no improved policy."
    return f"{begin} → improved {percent(improved)} {starts}."


def compared(report: dict[str, Any]) -> str:
    """The paired difference and its p-value, "" if the report has none."""
    comparison = report.get("comparison") or {}
    difference = interval(comparison.get("difference"))
    if difference is None:
        return ""
    p_value = comparison["p_value"]
    chance = "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
    return f"{points(difference)} on the same {difference.n} starts ({chance}, McNemar)"


def gates(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The gates that were computed, in order: {"gate_1": {...}}."""
    return {name: gate for name, gate in sorted(report.get("gate", {}).items()) if gate}


def gate_sentence(name: str, gate: dict[str, Any]) -> str:
    """Whether a gate passed, and why not."""
    title = sentence_case(spaced(name))
    precision = interval(gate.get("precision"))
    real = "its precision was not measured"
    if precision:
        real = f"{percent(precision)} of the imagined successes are real (n = {precision.n})"
    groups = interval(gate.get("within_group_correlation"))
    if groups:
        real += f"; within {groups.n} groups of the base policy imagined and real success correlate by r = "
        real += number(groups, 2)
    if gate.get("passed"):
        return f"{title} passed: {real}."
    reasons = "; ".join(gate.get("reasons", [])) or real
    return f"{title} did not pass: {reasons}."


def refusal(report: dict[str, Any]) -> str:
    """Why there is no improved policy and what to do about it, "" if there is one."""
    if interval(report["success"].get("wovr")) is not None:
        return ""
    shut = [gate_sentence(name, gate) for name, gate in gates(report).items() if not gate.get("passed")]
    why = " ".join(shut) or "The run ended before reinforcement learning."
    return (
        f"No policy was trained in imagination. {why} A policy trained in a simulator that it cannot trust learns to"
        " exploit it. Train the world model for longer or on more real episodes (a larger scale, a larger budget) and"
        " run again; or train all the same with `wovr-lab run --force` and judge by real success alone."
    )
