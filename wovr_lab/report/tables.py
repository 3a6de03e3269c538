"""Tables of a run, made once, shown three ways: in HTML, in a notebook and in the terminal.

In: parts of report.json. Out: `Table`s of plain text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wovr_lab.figures.style import plain
from wovr_lab.figures.wording import SAMPLED, interval, percent, sentence_case, setting_name, settings, spaced
from wovr_lab.report.sentences import temperature_name

FACTS = {"cpus": "CPU cores", "torch": "PyTorch", "max_steps": "Max steps per episode"}


@dataclass(frozen=True)
class Table:
    """Cells of text; columns but the first few, which hold words, are numbers and stand to the right."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    word_columns: int = 1

    def html(self) -> str:
        """An escaped HTML table."""
        kinds = ["word" if i < self.word_columns else "number" for i in range(len(self.columns))]
        head = "".join(f'<th class="{k}">{plain(cell)}</th>' for k, cell in zip(kinds, self.columns, strict=True))
        rows = [
            "".join(f'<td class="{k}">{plain(cell)}</td>' for k, cell in zip(kinds, row, strict=True))
            for row in self.rows
        ]
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _repr_html_(self) -> str:
        return self.html()


def success_table(report: dict[str, Any]) -> Table:
    """Real success by method, greedy and sampled, then greedy by task."""
    success, by_task = report["success"], report.get("success_by_task", {})
    names = settings(success)
    groups = [("greedy, all tasks", success, "")]
    if any(interval(success.get(name + SAMPLED)) for name in names):
        groups.append((f"{temperature_name(report)}, all tasks", success, SAMPLED))
    groups += [(f"greedy, {spaced(task)}", rates, "") for task, rates in by_task.items()]
    rows = []
    for title, rates, suffix in groups:
        found = [interval(rates.get(name + suffix)) for name in names]
        episodes = sorted({rate.n for rate in found if rate})
        rows.append((title, "-".join(map(str, episodes)) or "0", *map(percent, found)))
    return Table(("real success", "n", *map(setting_name, names)), tuple(rows))


def gate_table(gate: dict[str, Any]) -> Table:
    """The policies of a gate, numbered as in `gate_figure`: real and imagined success with the same actions, and the
    share of imagined successes that are real."""
    rows = []
    for number, policy in enumerate(gate.get("policies", ()), 1):
        real, imagined = interval(policy["real"]), interval(policy["imagined"])
        gap = f"{100 * (imagined.rate - real.rate):+.0f}" if real and imagined else "not measured"
        rates = percent(real, 0), percent(imagined, 0)
        precision = percent(interval(policy.get("precision")), 0)  # gates of older runs have none
        rows.append((str(number), policy["name"], str(real.n if real else 0), *rates, gap, precision))
    columns = ("", "actions of", "n", "real", "imagined", "gap (points)", "imagined that are real")
    return Table(columns, tuple(rows), word_columns=2)


def ledger_table(ledger: Sequence[dict[str, Any]]) -> Table:
    """What was spent, stage by stage: real, pretraining and imagined episodes and frames."""
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    for entry in ledger:
        episodes, frames = sums.get((entry["stage"], entry["kind"]), (0, 0))
        sums[entry["stage"], entry["kind"]] = episodes + entry["episodes"], frames + entry["frames"]
    rows = [(spaced(s), spaced(k), f"{episodes:,}", f"{frames:,}") for (s, k), (episodes, frames) in sums.items()]
    return Table(("stage", "kind", "episodes", "frames"), tuple(rows), word_columns=2)


def facts_table(facts: dict[str, Any]) -> Table:
    """Named facts, one a row, lists joined: protocol, budget, machine."""
    rows = [(FACTS.get(name) or sentence_case(spaced(name)), _fact(value)) for name, value in facts.items()]
    return Table(("", ""), tuple(rows), word_columns=2)


def _fact(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{spaced(str(name))} {_fact(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_fact, value))
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:g}" if isinstance(value, float) else str(value)
