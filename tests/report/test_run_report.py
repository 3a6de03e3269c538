import json
import re
import shutil

import pytest
from playwright.sync_api import sync_playwright
from rich.console import Console

from wovr_lab.errors import UserError
from wovr_lab.figures.reward_figures import reward_errors_figure
from wovr_lab.report.markup import LARGEST_FILM
from wovr_lab.report.run_report import write_report
from wovr_lab.report.sentences import headline, load_report, refusal
from wovr_lab.report.tables import facts_table, gate_table, ledger_table, success_table
from wovr_lab.report.terminal import print_report
from wovr_lab.runs import load_metrics

CHROMIUM = shutil.which("chromium")


def body(run):
    """The page without plotly.js, which is the one script of megabytes."""
    return re.sub(r"<script>.{1000000,}?</script>", "", write_report(run).read_text(), flags=re.DOTALL)


def rewrite(run, report):
    (run / "report.json").write_text(json.dumps(report))


def printed(report, html=None):
    console = Console(width=120, record=True, force_terminal=False)
    print_report(report, console, html)
    return console.export_text()


def test_the_page_says_the_verdict_and_holds_every_part(run):
    page = body(run)
    verdict = "Real success, greedy: base 41.0 % [34.4, 47.9] → improved 65.0 % [58.2, 71.3] on n = 200 starts"
    assert verdict in page
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    assert titles == [
        "Success in the real simulator",
        "Learning in imagination",
        "Reliability gate: may this world model be trained in?",
        "Hallucination: imagined outcomes against real ones",
        "Error by horizon",
        "Side by side",
        "Films",
        "Training",
        "What it cost",
        "How it was measured",
    ]
    for name in ("success", "success-by-task", "learning", "grpo", "gate_1", "gate_2", "confusion", "depth", "stages"):
        assert page.count(f'<div id="{name}"') == 1, name
    assert "+24.0 points" in page and "p &lt; 0.001" in page
    assert page.count('src="data:image/png;base64,') == 2 and page.count('src="data:video/mp4;base64,') == 1
    assert "False success: imagined" in page


def test_the_verdict_that_the_run_came_to_comes_before_our_own(run, report):
    rewrite(run, report | {"verdict": "imagination paid off"})
    assert '<p class="verdict">Imagination paid off</p>' in body(run)


def test_plotly_is_inside_once_and_nothing_is_fetched(run):
    whole = write_report(run).read_text()
    assert len(re.findall(r"plotly\.js v\d", whole)) == 1
    page = body(run)
    assert len(page) < len(whole) / 10
    assert not re.findall(r"""(?:src|href)\s*=\s*["']?\s*(?:https?:)?//""", page)
    assert not re.findall(r"url\(|@import|<link", page)


def test_the_same_run_gives_the_same_bytes(run):
    assert write_report(run).read_bytes() == write_report(run).read_bytes()


def test_names_from_outside_are_text_and_nothing_else(run, report):
    nasty = "<script>alert(1)</script>"
    report["success_by_task"] = {nasty: report["success_by_task"]["push_red"]}
    report["gate"]["gate_1"]["policies"][0]["name"] = nasty
    report["ledger"][0]["stage"] = report["stages"][0]["name"] = report["scale"] = report["verdict"] = nasty
    report["gate"]["gate_2"] |= {"passed": False, "reasons": [nasty]}
    report["protocol"][nasty] = report["machine"]["device"] = nasty
    rewrite(run, report)
    (run / "pictures" / "strip-<b>-0.png").write_bytes((run / "pictures" / "strip-success-0.png").read_bytes())
    page = body(run)
    assert "<script>alert" not in page.lower() and "<b>-0" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_a_refused_run_says_why_and_what_to_do(run, refused_report, rows):
    rewrite(run, refused_report)
    (run / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows if "improve" not in r["phase"]))
    page = body(run)
    assert "there is no improved policy" in page
    assert "Gate 1 did not pass: only 41 % of imagined successes are real" in page
    assert "Train the world model for longer" in page and "--force" in page
    assert "Difference" not in page and '<div id="learning"' not in page and '<div id="gate_2"' not in page


def test_a_run_that_was_forced_through_a_shut_gate_is_warned_of(run, report, refused_report):
    rewrite(run, report | {"gate": refused_report["gate"]})
    warned = re.findall(r'<p class="warning">(.*?)</p>', body(run))
    assert len(warned) == 1 and warned[0].startswith("Gate 1 did not pass: only 41 %")
    assert refusal(report) == ""


def test_a_policy_that_imitated_after_the_last_look_is_said_to_be_unseen_by_the_monitor(run):
    assert "the monitor never saw" not in body(run)
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"phase": "imitation_3", "step": 0, "loss": 1.0}) + "\n")
    assert "that the monitor never saw" in body(run)


def test_a_report_of_the_bare_schema_without_extras_is_shown(run, report):
    extras = ("comparison", "confusion", "ledger", "temperature", "success_by_task")
    bare = {key: value for key, value in report.items() if key not in extras}
    bare["success"] |= {"base_sampled": {}, "wovr_sampled": {}}
    del bare["world"]["psnr_by_depth_copy"]
    rewrite(run, bare)
    for folder in ("pictures", "videos"):
        shutil.rmtree(run / folder)
    (run / "metrics.jsonl").unlink()
    page = body(run)
    assert "41.0 % [34.4, 47.9]" in page and "Side by side" not in page and "Films" not in page
    assert "of 97 imagined successes are real" in page


def test_a_large_film_is_named_not_embedded(run):
    (run / "videos" / "wovr-failure-0.mp4").write_bytes(b"0" * (LARGEST_FILM + 1))
    page = body(run)
    assert "open videos/wovr-failure-0.mp4" in page and page.count("data:video/mp4") == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist"),
        ("{", "not valid JSON"),
        ("[1]", "schema None"),
        ('{"schema": 2}', "schema 2, this version shows schema 1"),
        ('{"schema": 1, "success": {"base": {}}}', "lacks the base policy's success"),
    ],
)
def test_a_missing_foreign_or_incomplete_report_is_refused_and_the_old_page_stays(run, content, message):
    page = write_report(run)
    before = page.read_bytes()
    (run / "report.json").unlink()
    if content is not None:
        (run / "report.json").write_text(content)
    with pytest.raises(UserError, match=message):
        write_report(run)
    assert page.read_bytes() == before


def test_a_metrics_line_cut_by_a_kill_is_left_out_and_a_broken_one_is_refused(run, rows):
    path = run / "metrics.jsonl"
    with path.open("a") as file:
        file.write('{"phase": "sf')
    assert load_metrics(run) == rows
    path.write_text('{"phase": \n{"phase": "sft", "step": 0}\n')
    with pytest.raises(UserError, match="not JSON"):
        load_metrics(run)


def test_the_terminal_shows_success_gates_hallucination_ledger_and_where_the_page_is(run):
    text = printed(load_report(run), run / "report.html")
    assert re.search(r"greedy, all tasks +│ 200 │ 41.0 % \[34.4, 47.9\] │ 65.0 % \[58.2, 71.3\] │", text)
    assert re.search(r"sampled \(T = 1.2\), all tasks │ 200 │ 30.0 % \[24.1, 36.7\]", text)
    assert re.search(r"greedy, place green +│ +50 │ 22.0 % .* 42.0 %", text)
    assert "Gate 1 passed: 80.2 % [72.5, 86.1] of the imagined successes are real (n = 131)." in text
    assert "Improved by WoVR: 77.3 % [68.0, 84.5] of 97 imagined successes are real" in text
    assert re.search(r"train world +│ pretraining +│ +1,800 │ 68,000", text)
    assert f"Look at {run / 'report.html'}" in text


def test_the_terminal_says_why_there_is_no_improved_policy(refused_report):
    text = printed(refused_report)
    assert "there is no improved policy" in text and "wovr-lab run --force" in text
    assert "improved by WoVR" not in text


def test_the_terminal_prints_what_looks_like_markup_as_it_is(report):
    report["success_by_task"] = {"[red]task[/red]": report["success_by_task"]["push_red"]}
    assert "greedy, [red]task[/red]" in printed(report | {"verdict": "[bold]so[/bold]"})


def test_tables_put_nothing_measured_into_words(report):
    table = success_table(report)
    assert table.columns == ("real success", "n", "base policy", "improved by WoVR", "online GRPO")
    assert table.rows[1][-1] == "not measured"
    assert gate_table(report["gate"]["gate_1"]).rows[0][1:] == (
        "base, T = 1.0", "64", "34 % [24, 47]", "47 % [35, 59]", "+12", "not measured",
    )  # fmt: skip
    assert facts_table(
        {"tasks": ["push_red", "b"], "real_frames": 15012, "temperature": 0.0, "training_seeds": {"sft": "0-9"}}
    ).rows == (
        ("Tasks", "push_red, b"),
        ("Real frames", "15,012"),
        ("Temperature", "0"),
        ("Training seeds", "sft 0-9"),
    )


def test_the_ledger_adds_up_what_a_stage_spent_of_one_kind():
    entries = [("collect", "real", 4, 192), ("collect", "real", 2, 54), ("evaluate", "measurement", 16, 0)]
    ledger = [dict(zip(("stage", "kind", "episodes", "frames"), entry, strict=True)) for entry in entries]
    assert ledger_table(ledger).rows == (("collect", "real", "6", "246"), ("evaluate", "measurement", "16", "0"))


def test_the_temperature_of_sampling_is_named_wherever_the_report_has_it(report):
    del report["temperature"]
    assert success_table(report).rows[1][0] == "sampled, all tasks"
    report["protocol"]["sampled_temperature"] = 1.3
    assert success_table(report).rows[1][0] == "sampled (T = 1.3), all tasks"


def test_the_headline_of_a_report_without_an_improved_policy_promises_none(refused_report):
    assert headline(refused_report).endswith("no training has used; there is no improved policy.")


FIGURES = """widest => {
    const plots = [...document.querySelectorAll('.plotly-graph-div')];
    const fits = plot => plot.querySelector('svg.main-svg')?.clientWidth <= plot.parentElement.clientWidth;
    return plots.length === 10 && plots.every(fits) && document.documentElement.scrollWidth <= widest;
}"""


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is missing: make system-deps")
def test_in_a_browser_every_figure_is_drawn_and_fits_and_nothing_is_fetched(run):
    asked, said = [], []
    address = write_report(run).as_uri()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.set_default_timeout(120_000)  # a busy machine is not a fault of the page
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(address)
        page.wait_for_function(FIGURES, arg=1280)
        page.set_viewport_size({"width": 800, "height": 900})
        page.wait_for_function(FIGURES, arg=800)
        playable = page.evaluate("[...document.querySelectorAll('video')].map(film => film.error === null)")
        browser.close()
    assert playable == [True] and not said
    assert address in asked and all(url.startswith(("file:", "data:", "blob:")) for url in asked)


def test_the_rewards_errors_on_the_policys_own_rollouts_are_drawn_where_the_monitor_asked_for_them(run):
    assert "How often the reward was wrong" not in body(run)
    rows = [
        {"phase": f"improve_{phase}/monitor", "step": step, "precision": 0.8, "low": 0.7, "high": 0.9, "n": 40}
        | {"false_positive": rate, "false_negative": 0.1}
        for phase in (1, 2)
        for step, rate in ((0, 0.05), (4, 0.3), (8, 0.1))
    ]
    with (run / "metrics.jsonl").open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    page = body(run)
    assert "How often the reward was wrong" in page and page.count('<div id="reward-errors"') == 1
    figure = reward_errors_figure(rows)
    assert [list(line.y) for line in figure.data] == [[0.05, 0.3, 0.1], [0.1] * 3] * 2
    assert [line.showlegend for line in figure.data] == [True, True, False, False]


def test_the_gates_agreement_within_groups_is_said(run, report):
    gate = report["gate"]["gate_1"] | {"within_group_correlation": {"rate": 0.31, "n": 16, "low": 0.1, "high": 0.5}}
    rewrite(run, report | {"gate": report["gate"] | {"gate_1": gate}})
    said = "within 16 groups of the base policy imagined and real success correlate by r = 0.31 [0.10, 0.50]"
    assert said in body(run)
