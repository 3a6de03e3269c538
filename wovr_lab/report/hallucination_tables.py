"""Tables of a measurement: outcomes, update efficiency, horizon, objects, uncertainty, control, the probe's own error.

In: parts of measure.json. Out: `Table`s, and one row in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wovr_lab.figures.hallucination_figures import who
from wovr_lab.figures.wording import interval, number, percent, points, sentence_case, spaced
from wovr_lab.measure.tabletop.probes import COLUMNS
from wovr_lab.report.tables import Table

SEEN = "real frames: what the probe can see"


def confusion_table(confusion: Sequence[dict[str, Any]], tasks: bool = False) -> Table:
    """Rates and over-optimism; over all tasks, or by task with both kinds of starts pooled."""
    pooled, rows = "start" if tasks else "task", []
    for row in (row for row in confusion if row[pooled] == "all" and (row["task"] != "all" or not tasks)):
        paired, closed = row["paired"], row["closed_loop"]
        rows.append(
            (
                *_names(row, "task" if tasks else "start"),
                str(row["n"]),
                percent(interval(row["imagined"]), 0),
                percent(interval(paired["real"]), 0),
                _points(paired["over_optimism"]),
                percent(interval(paired["precision"]), 0),
                percent(interval(closed["real"]), 0),
                _points(closed["over_optimism"]),
            )
        )
    columns = (
        "policy", "world", "task" if tasks else "starts", "n", "imagined", "same actions, real", "over- optimism",
        "precision", "on its own, real", "over- optimism",
    )  # fmt: skip
    return Table(columns, tuple(rows), word_columns=3)


def _names(row: dict[str, Any], last: str = "start") -> tuple[str, str, str]:
    return row["policy"], row["world"], spaced(row[last])


def _points(row: dict[str, Any]) -> str:
    return f"{100 * row['rate']:+.0f} [{100 * row['low']:+.0f}, {100 * row['high']:+.0f}]"


def hallucination_sentence(row: dict[str, Any]) -> str:
    """One row of the confusion matrices in words."""
    paired = row["paired"]
    return (
        f"{sentence_case(who(row))}: success {percent(interval(row['imagined']))} imagined, "
        f"{percent(interval(paired['real']))} real with the same actions, "
        f"over-optimism {points(interval(paired['over_optimism']))}; "
        f"{percent(interval(paired['precision']))} of imagined successes are real (n = {row['n']})"
    )


def update_efficiency_table(worth: Sequence[dict[str, Any]]) -> Table:
    """How many groups have both outcomes in each world, and the update efficiency."""
    rows = [
        (*_names(row), f"{row['n']} x {row['group_size']}", *(
            percent(interval(row[name]), 0) for name in ("mixed_imagined", "mixed_real")
        ), percent(interval(row["worth"]), 0) if row["worth"] else "no real group has both outcomes",
        _correlation(row))
        for row in worth
    ]  # fmt: skip
    columns = (
        "policy", "world", "starts", "groups", "both outcomes, imagined", "both outcomes, real",
        "update efficiency", "r within groups",
    )  # fmt: skip
    return Table(columns, tuple(rows), word_columns=3)


def _correlation(row: dict[str, Any]) -> str:
    """Agreement within groups with its interval; measurements of older versions have none."""
    found = interval(row.get("within_group_correlation"))
    return number(found, 2) if found else "not measured"


def horizon_table(horizon: Sequence[dict[str, Any]]) -> Table:
    """The reliability horizon and what the other half of the rollouts does at it."""
    rows = []
    for row in horizon:
        frames, held = row["frames"], row.get("held_out")
        checked = ("", "")
        if held:
            cube = interval(held["object_cm"])
            checked = percent(interval(held["agreement"]), 0), number(cube, 1)
        found = f"{number(interval(frames), 0)} of {row['longest_seen']}"
        rows.append((*_names(row), str(row["n"]), found, *checked))
    columns = (
        "policy", "world", "starts", "n", "horizon (frames)", "other half: outcomes that agree",
        "other half: cube's median error (cm)",
    )  # fmt: skip
    return Table(columns, tuple(rows), word_columns=3)


def objects_table(objects: Sequence[dict[str, Any]]) -> Table:
    """How often imagination breaks the rules about objects, and how often the same rule is a false alarm on real
    videos."""
    names = list(objects[0]["faults"])
    rows = [
        (*_names(row), str(row["n"]), *(
            percent(interval(row["faults"][name][world]), 0) for name in names for world in ("imagined", "real")
        ))
        for row in objects
    ]  # fmt: skip
    columns = [text for name in names for text in (f"cube {spaced(name)}", "the same rule on real videos")]
    return Table(("policy", "world", "starts", "n", *columns), tuple(rows), word_columns=3)


def uncertainty_table(uncertainty: Sequence[dict[str, Any]]) -> Table:
    """How well each score tells wrong outcomes from right ones; 0.5 is chance."""
    scores = {
        "noise": "std over noise seeds",
        "models": "std over checkpoints",
        "reward_margin": "the reward comes near its threshold",
    }
    rows = []
    for row in uncertainty:
        area = interval(row["auroc"])
        text = number(area, 2) if area else "not measurable"
        asked = f"{row['start']} starts, {spaced(row['rollouts'])}"
        rows.append((asked, scores[row["score"]], f"{row['wrong']} of {row['n']}", text))
    return Table(("asked of", "score", "wrong outcomes", "AUROC"), tuple(rows), word_columns=2)


def control_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Correlation and error of counterfactual displacements, by which action channels are left."""
    left = {"both": "both channels", "modulation": "modulation alone", "attention": "cross-attention alone"}
    names = ("correlation", "error_cm", "depth_correlation", "depth_error_cm")
    cells = []
    for row in rows:
        told = f"{row['world']} world, {left[row['channels']]}" if row["world"] != "real" else SEEN
        cells.append((told, str(row["n"]), *(number(interval(row[name]), 2) for name in names)))
    columns = (
        "", "starts", "correlation in the picture", "median error (cm)", "correlation in depth", "median error (cm)",
    )  # fmt: skip
    return Table(columns, tuple(cells))


def probe_table(probe: dict[str, Any]) -> Table:
    """The probe's error in centimetres on frames whose truth is known."""
    names = {"real": "real frames", "through_codec": "real frames, coded and decoded"}
    rows = [
        (names[source], str(found["hand"]["n"]), *(
            f"{found[name]['median_cm']:.1f} ({found[name]['p90_cm']:.1f})" for name in COLUMNS
        ))
        for source, found in probe.items()
    ]  # fmt: skip
    cubes = {"front": "red cube", "back": "blue or green cube"}
    return Table(("median error in cm (90th percentile)", "frames", *(cubes.get(n, n) for n in COLUMNS)), tuple(rows))
