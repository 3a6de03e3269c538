"""The report of a run in the terminal. In: report.json's content. Out: tables and sentences on a rich console."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from wovr_lab.figures import gate_figures
from wovr_lab.report.sentences import compared, gate_sentence, gates, headline, refusal
from wovr_lab.report.tables import Table, ledger_table, success_table


def print_report(report: dict[str, Any], console: Console, html: Path | None = None) -> None:
    """Prints success, gates, hallucination and ledger, and where the HTML report is if `html` says so."""
    _say(console, headline(report), "bold")
    console.print(_rich(success_table(report)))
    if compared(report):
        _say(console, f"Improved against base: {compared(report)}.")
    for name, gate in gates(report).items():
        _say(console, gate_sentence(name, gate), "green" if gate.get("passed") else "red")
    for name, counts in gate_figures.confusion_counts(report).items():
        _say(console, f"{gate_figures.confusion_sentence(name, counts)}.")
    if refusal(report):
        _say(console, refusal(report), "yellow")
    if report.get("ledger"):
        console.print(_rich(ledger_table(report["ledger"])))
    if html is not None:
        _say(console, f"Look at {html}")


def _say(console: Console, text: str, style: str = "") -> None:
    """Text as it is: rich reads neither tags nor numbers in it."""
    console.print(Text(text, style), soft_wrap=True)


def _rich(table: Table) -> RichTable:
    shown = RichTable()
    for index, column in enumerate(table.columns):
        shown.add_column(Text(column), justify="left" if index < table.word_columns else "right")
    for row in table.rows:
        shown.add_row(*map(Text, row))
    return shown
