"""The report of a run as one HTML file that needs nothing else: no network, no code of ours.

In: a run folder (report.json, metrics.jsonl, pictures/*.png, videos/*.mp4, measure.json, measure/). Out:
RUN/report.html.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wovr_lab.figures import gate_figures, run_figures
from wovr_lab.figures.reward_figures import reward_errors_figure
from wovr_lab.figures.style import plain
from wovr_lab.figures.wording import interval, percent, sentence_case, spaced
from wovr_lab.report.hallucination_page import hallucination_sections
from wovr_lab.report.markup import beside, films, page, picture, plot, section, table, tile, warning
from wovr_lab.report.sentences import compared, gate_sentence, gates, headline, load_report, refusal, temperature_name
from wovr_lab.report.tables import facts_table, gate_table, ledger_table, success_table
from wovr_lab.runs import load_metrics, write_text

REAL = '<span class="real">real</span>'
IMAGINED = '<span class="imagined">imagined</span>'
STRIPS = {  # file names are strip-KIND-NUMBER.png
    "success": "Success in both worlds",
    "failure": "Failure in both worlds",
    "imagined_only": "False success: imagined, but the same actions fail in the real simulator",
    "real_only": "Missed success: real, but imagined as a failure",
}


def write_report(run: Path) -> Path:
    """Writes RUN/report.html and returns its path.

    Raises UserError if report.json is missing, of another schema or incomplete, or if the disk is full.
    """
    report, rows = load_report(run), load_metrics(run)
    parts = [
        _header(report),
        _success(report),
        _learning(report, rows),
        *_gates(report),
        *_confusion(report),
        *_depth(report),
        *hallucination_sections(run),
        *_strips(sorted((run / "pictures").glob("strip-*.png"), key=_strip_order)),
        *_films(sorted(p for p in (run / "videos").glob("*") if p.suffix in (".mp4", ".gif"))),
        *_training(rows),
        _cost(report),
        _setting(report),
    ]
    path = run / "report.html"
    write_text(path, page(_title(report), "\n".join(parts)))
    return path


def _title(report: dict[str, Any]) -> str:
    return f"WoVR, {report.get('scale', 'unnamed')} scale, seed {report.get('seed', '?')}"


def _header(report: dict[str, Any]) -> str:
    success = report["success"]
    base, improved = interval(success["base"]), interval(success.get("wovr"))
    tiles = [_rate_tile("Base policy, real success", base)]
    if improved:
        tiles.append(_rate_tile("Improved by WoVR, real success", improved))
    difference = interval((report.get("comparison") or {}).get("difference"))
    if difference and improved:
        tiles.append(tile("Difference", f"{100 * difference.rate:+.1f} points", _difference_note(report)))
    for name, gate in gates(report).items():
        precision = interval(gate.get("precision"))
        note = f"imagined successes that are real: {percent(precision)}"
        tiles.append(tile(sentence_case(spaced(name)), "passed" if gate.get("passed") else "not passed", note))
    shut = [gate_sentence(name, gate) for name, gate in gates(report).items() if not gate.get("passed")]
    advice = refusal(report) or " ".join(shut)
    return (
        f'<header>\n<h1>{plain(_title(report))}</h1>\n<p class="verdict">{plain(headline(report))}</p>\n'
        f'<div class="tiles">{"".join(tiles)}</div>\n{warning(advice)}\n</header>'
    )


def _rate_tile(title: str, rate: Any) -> str:
    number, _, bounds = percent(rate).partition(" [")
    return tile(title, number, f"[{bounds} %, greedy, n = {rate.n}" if bounds else "")


def _difference_note(report: dict[str, Any]) -> str:
    return compared(report).partition(" points ")[2]


def _success(report: dict[str, Any]) -> str:
    by_task = report.get("success_by_task") or {}
    shown = [plot(run_figures.success_bars(report["success"], temperature_name(report)), "success")]
    if by_task:
        shown.append(plot(run_figures.success_by_task_bars(by_task), "success-by-task"))
    return section(
        "Success in the real simulator",
        "On initial states that no training, tuning or checkpoint choice has used; bars with 95 % Wilson intervals. "
        + plain(_sentence(compared(report))),
        beside(shown),
        table(success_table(report)),
    )


def _sentence(text: str) -> str:
    return f"Improved against base: {text}." if text else ""


def _learning(report: dict[str, Any], rows: Sequence[dict[str, Any]]) -> str:
    title = "Learning in imagination"
    if not run_figures.grpo_rounds(rows):
        return section(
            title, "No iteration was logged." + (" The top of this page says why." if refusal(report) else "")
        )
    return section(
        title,
        f"Success of the policy by GRPO iteration: {IMAGINED} in the rollouts that it is trained on (sampled, a share "
        f"of them from keyframes), {REAL} where it was measured in the real simulator, for this report only. Where "
        "imagined success rises and real success does not, hallucination is being exploited; co-evolution (PACE) is "
        "there to bring them together again. The monitor sees the same actions in both worlds: it stops RL where "
        "real success falls clearly behind, and keeps the policy that really did best." + _imitated_last(rows),
        plot(run_figures.learning_curve(rows), "learning"),
        *_reward_errors(rows),
        "<h3>How the updates behaved</h3>",
        plot(run_figures.grpo_curves(rows), "grpo"),
    )


def _reward_errors(rows: Sequence[dict[str, Any]]) -> list[str]:
    seen = [row for row in rows if row["phase"].endswith("/monitor") and "false_positive" in row]
    if not seen:
        return []
    return [
        "<h3>How often the reward was wrong</h3>",
        f"<p>The monitor's {REAL} rollouts of the policy of the moment, judged by the reward before it learnt from "
        "them: the share of failures that it took for successes (which RL exploits), and of successes that it missed "
        "(which cost RL only samples).</p>",
        plot(reward_errors_figure(seen), "reward-errors"),
    ]


def _imitated_last(rows: Sequence[dict[str, Any]]) -> str:
    after_last = f"imitation_{len(run_figures.grpo_rounds(rows)) + 1}"
    if not any(row["phase"] == after_last for row in rows):
        return ""
    return (
        " At its end this run imitated once more all that had really succeeded, so the policy that is evaluated is one "
        "that the monitor never saw."
    )


def _gates(report: dict[str, Any]) -> list[str]:
    found = gates(report)
    if not found:
        return []
    shown = [
        f"<p>{plain(gate_sentence(name, gate))}</p>"
        + plot(gate_figures.gate_figure(name, gate), name)
        + table(gate_table(gate))
        for name, gate in found.items()
    ]
    return [
        section(
            "Reliability gate: may this world model be trained in?",
            f"Held-out {REAL} rollouts of policies of different strength, {IMAGINED} again with the same actions. "
            "Points on the diagonal are unbiased, points below it over-optimistic. The gate asks that imagined "
            "successes be mostly real and that no two policies that really differ be ranked in the wrong order.",
            beside(shown),
        )
    ]


def _confusion(report: dict[str, Any]) -> list[str]:
    confusion = gate_figures.confusion_counts(report)
    if not confusion:
        return []
    sentences = ". ".join(gate_figures.confusion_sentence(name, counts) for name, counts in confusion.items())
    return [
        section(
            "Hallucination: imagined outcomes against real ones",
            f"The same actions from the same starts in both worlds. {plain(sentences)}.",
            plot(gate_figures.confusion_figure(confusion), "confusion"),
        )
    ]


def _depth(report: dict[str, Any]) -> list[str]:
    world = report.get("world") or {}
    if not world.get("psnr_by_depth"):
        return []
    speed = world.get("frames_per_second")
    spoken = f" Imagination made {speed:,.0f} frames a second (policy, sampling, decoding and reward)." if speed else ""
    return [
        section(
            "Error by horizon",
            "How close imagined frames are to the real ones of the same actions (higher is closer), the "
            "longer the world model has built on its own frames. Copying the first frame is what it has to beat."
            f"{spoken}",
            plot(
                gate_figures.psnr_by_horizon_figure(world["psnr_by_depth"], world.get("psnr_by_depth_copy") or ()),
                "depth",
            ),
        )
    ]


def _strips(paths: Sequence[Path]) -> list[str]:
    if not paths:
        return []
    return [
        section(
            "Side by side",
            f"In each strip, {REAL} frames are above and {IMAGINED} ones of the same actions below; time runs to the "
            "right.",
            *[picture(path, _strip_caption(path)) for path in paths],
        )
    ]


def _strip_kind(path: Path) -> str:
    return path.stem.removeprefix("strip-").rpartition("-")[0]


def _strip_order(path: Path) -> tuple[int, str]:
    kinds = list(STRIPS)
    kind = _strip_kind(path)
    return kinds.index(kind) if kind in kinds else len(kinds), path.name


def _strip_caption(path: Path) -> str:
    return STRIPS.get(_strip_kind(path), spaced(path.stem))


def _films(paths: Sequence[Path]) -> list[str]:
    captions = [spaced(path.stem).replace("-", " ") for path in paths]
    explanation = "Policies at work in the real simulator, on evaluation starts."
    return [section("Films", explanation, films(paths, captions))] if paths else []


def _training(rows: Sequence[dict[str, Any]]) -> list[str]:
    figure = run_figures.training_curves(rows)
    if not figure.data:
        return []
    explanation = "Loss of all that learns from episodes, by step, on a logarithmic axis."
    return [section("Training", explanation, plot(figure, "training"))]


def _cost(report: dict[str, Any]) -> str:
    parts = []
    if report.get("ledger"):
        parts.append("<h3>Ledger</h3>" + table(ledger_table(report["ledger"])))
    if report.get("budget"):
        parts.append("<h3>Total</h3>" + table(facts_table(report["budget"])))
    shown = [beside(parts)] if parts else []
    if report.get("stages"):
        shown += ["<h3>Time by stage</h3>", plot(run_figures.stage_times(report["stages"]), "stages")]
    return section(
        "What it cost",
        "Every real episode that is used for training or selection counts; methods are compared at equal counts.",
        *shown,
    )


def _setting(report: dict[str, Any]) -> str:
    parts = [
        f"<h3>{title}</h3>" + table(facts_table(report[key]))
        for title, key in (("Protocol", "protocol"), ("Machine", "machine"))
        if report.get(key)
    ]
    explanation = "What is needed to read these numbers and to measure them again."
    return section("How it was measured", explanation, beside(parts))
