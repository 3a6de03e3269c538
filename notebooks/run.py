"""Executes notebooks: `python notebooks/run.py [00_map ...] [-p NAME VALUE ...]`, by default all here, one a core.

In: py:percent sources. Out, in runs/notebooks: executed NAME.ipynb, NAME.html with its figures, NAME.metrics.json with
the numbers it keeps. At its own parameters these must be those of goldens.json, within tolerances that are explained
there. A failure prints the cell, its error and the path of the executed copy, or the number, what it was and is; the
exit code is then 1. A notebook that needs what is not installed is skipped with its reason.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from ast import literal_eval
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import jupytext
import nbformat
import papermill
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbconvert import HTMLExporter
from papermill.exceptions import PapermillExecutionError
from plotly.io import to_html

from wovr_lab.notebook.record import RECORD
from wovr_lab.notebook.require import Skipped

FOLDER = Path(__file__).resolve().parent
OUTPUT = FOLDER.parent / "runs" / "notebooks"
GOLDENS = FOLDER / "goldens.json"
MOST_JOBS = 4  # a kernel with a world model in it takes about 1 GB
KERNEL = "python3"  # the one that is installed beside jupyter
FIGURE = "application/vnd.plotly.v1+json"
SKIPPED = "skipped:"
WIDGET = "application/vnd.jupyter.widget-view+json"
# for kernels that nobody watches: figures as data, which `page` draws, and no loading bars
ENVIRONMENT = {"PLOTLY_RENDERER": "plotly_mimetype", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
# the map of the loop leads nowhere once its lines are wrapped
UNWRAPPED = "<style>.jp-MarkdownOutput :is(pre, pre code) { white-space: pre; font-size: min(1em, 1.4vw) }</style>"
# nbconvert's page shall ask no other machine for scripts
OFFLINE = {
    "mathjax_url": "",
    "require_js_url": "",
    "jquery_url": "",
    "mermaid_js_url": "",
    "jupyter_widgets_base_url": "",
}


def build(source: Path, output: Path) -> Path:
    """The notebook of a py:percent source, not executed, as OUTPUT/NAME.source.ipynb."""
    built = output / f"{source.stem}.source.ipynb"
    output.mkdir(parents=True, exist_ok=True)
    notebook = jupytext.read(source)
    notebook.metadata["kernelspec"] = {"name": KERNEL, "display_name": KERNEL, "language": "python"}
    jupytext.write(notebook, built)
    return built


def typed(built: Path, given: dict[str, str]) -> dict[str, object]:
    """The values, typed as in the notebook's parameters cell.

    Raises ValueError on a value of another type and on a name that is not there (papermill alone would only warn).
    """
    defaults = {name: literal_eval(entry["default"]) for name, entry in papermill.inspect_notebook(str(built)).items()}
    unknown = sorted(given.keys() - defaults.keys())
    if unknown:
        raise ValueError(f"unknown parameter {', '.join(unknown)}; its parameters are {', '.join(defaults)}")
    values = {name: text if isinstance(defaults[name], str) else literal_eval(text) for name, text in given.items()}
    for name, value in values.items():
        if type(value) is not type(defaults[name]):
            raise ValueError(f"parameter {name} is {defaults[name]!r} there, {value!r} is of another type")
    return values


def execute(source: Path, given: dict[str, str], output: Path) -> str:
    """Runs one notebook and writes its page. Returns what went wrong, or that it was skipped, "" if nothing did."""
    built, executed = build(source, output), output / f"{source.stem}.ipynb"
    try:
        papermill.execute_notebook(
            str(built), str(executed), typed(built, given), kernel_name=KERNEL, cwd=str(FOLDER), progress_bar=False,
            store_widget_state=False,
        )  # fmt: skip
        failure = ""
    except ValueError as error:
        return str(error)
    except PapermillExecutionError as error:
        if error.ename == Skipped.__name__:
            return f"{SKIPPED} {error.evalue}"
        failure = f"cell {error.exec_count} failed: {error.ename}: {error.evalue}\n\n{error.source}\n"
    except (DeadKernelError, CellTimeoutError) as error:
        failure = f"its kernel died or hung: {error}"
    notebook = without_widgets(nbformat.read(executed, as_version=4))
    nbformat.write(notebook, executed)
    found = kept(notebook)
    executed.with_suffix(".metrics.json").write_text(json.dumps(found, indent=1) + "\n")
    executed.with_suffix(".html").write_text(page(notebook))
    if not failure and not given and source.parent == FOLDER:
        failure = "\n".join(drifted(found, json.loads(GOLDENS.read_text()).get(source.stem, {})))
    return failure and f"{failure}\nexecuted copy: {executed}"


def timed(source: Path, given: dict[str, str], output: Path) -> tuple[str, float]:
    """What `execute` says, and how many seconds that took."""
    begin = time.monotonic()
    return execute(source, given, output), time.monotonic() - begin


def without_widgets(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Widgets work only where their kernel runs: the picture or figure that stands for one is left, if there is any."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.get("data", {}).pop(WIDGET, None) and set(output.data) == {"text/plain"}:
                output.data = {}
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if output.get("data") != {}]
    return notebook


def kept(notebook: nbformat.NotebookNode) -> dict[str, float]:
    """The numbers that a notebook kept by `wovr_lab.notebook.record.keep`."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return {name: value for o in outputs for name, value in o.get("data", {}).get(RECORD, {}).items()}


def drifted(found: dict[str, float], goldens: dict[str, dict]) -> list[str]:
    """What differs from the goldens {name: {"value", "tolerance", "why"}}, one message a number."""
    messages = [
        f"{name} is {found[name]:.6g} and has no golden value" for name in sorted(found.keys() - goldens.keys())
    ]
    for name, golden in goldens.items():
        if name not in found:
            messages.append(f"{name} was {golden['value']:.6g} and is not kept any more")
        elif abs(found[name] - golden["value"]) > golden["tolerance"]:
            messages.append(
                f"{name} was {golden['value']:.6g}, is {found[name]:.6g} (tolerance {golden['tolerance']:g}: "
                f"{golden['why']})"
            )
    return messages


def page(notebook: nbformat.NotebookNode) -> str:
    """An executed notebook as HTML with live figures and plotly itself: nbconvert alone would leave the figures out.

    Progress bars on stderr are of no use there; the executed copy keeps them.
    """
    figures = []
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
        figures += [output.data for output in cell.outputs if FIGURE in output.get("data", {})]
    for index, data in enumerate(figures):
        data["text/html"] = to_html(
            {name: data[FIGURE][name] for name in ("data", "layout")},
            include_plotlyjs=index == 0,
            include_mathjax=False,
            full_html=False,
            validate=False,
        )
    html = HTMLExporter(**OFFLINE).from_notebook_node(notebook)[0]
    return html.replace("</head>", f"{UNWRAPPED}</head>", 1)


def chosen(names: list[str]) -> list[Path]:
    """Sources by name or path; all numbered ones of this folder if none is named. Exits if one is missing."""
    sources = [Path(name) if name.endswith(".py") else FOLDER / f"{name}.py" for name in names]
    missing = [str(source) for source in sources if not source.is_file()]
    if missing:
        sys.exit(f"there is no notebook {', '.join(missing)}")
    return sources or sorted(FOLDER.glob("[0-9]*.py"))


def main() -> int:
    """Exit code 1 if a notebook failed; the others are still executed."""
    parser = argparse.ArgumentParser(description="Execute notebooks and make pages of them.")
    parser.add_argument("names", nargs="*", help="names or paths of sources; all if none is given")
    parser.add_argument("-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    parser.add_argument("--output", type=Path, default=OUTPUT)
    cores = os.cpu_count() or 1
    parser.add_argument("--jobs", type=int, default=min(cores, MOST_JOBS), help="how many run at once")
    arguments = parser.parse_args()
    sources, output, failed = chosen(arguments.names), arguments.output.resolve(), False
    jobs = max(1, min(arguments.jobs, len(sources)))
    os.environ.update(ENVIRONMENT)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // jobs)))  # threads of two kernels would spin
    work = partial(timed, given=dict(arguments.parameter), output=output)
    # one job runs here, since a process takes seconds to start
    with ProcessPoolExecutor(jobs, get_context("spawn")) if jobs > 1 else nullcontext() as pool:
        for source, (failure, seconds) in zip(sources, (pool.map if pool else map)(work, sources), strict=True):
            failed |= bool(failure) and not failure.startswith(SKIPPED)
            print(f"{source.stem}: {failure or f'{seconds:.0f} s, {output / source.stem}.html'}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
