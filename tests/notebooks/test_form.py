"""Every notebook is a short, reviewable text with one question, parameters, claims and something to break."""

from __future__ import annotations

from pathlib import Path

import jupytext
import pytest
from nbformat import NotebookNode

FOLDER = Path(__file__).parent.parent.parent / "notebooks"
SOURCES = sorted(FOLDER.glob("[0-9]*.py"))
MOST_CODE_CELLS, MOST_LINES_OF_A_CELL = 12, 10


@pytest.fixture(params=SOURCES, ids=lambda source: source.stem)
def notebook(request: pytest.FixtureRequest) -> NotebookNode:
    return jupytext.read(request.param)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_notebooks():
    assert SOURCES


def test_a_notebook_has_few_and_short_code_cells(notebook: NotebookNode):
    lengths = [sum(bool(line.strip()) for line in cell.source.splitlines()) for cell in code_cells(notebook)]
    assert 0 < len(lengths) <= MOST_CODE_CELLS
    assert max(lengths) <= MOST_LINES_OF_A_CELL


def test_a_notebook_has_the_parameters_that_all_have(notebook: NotebookNode):
    (cell,) = [cell for cell in code_cells(notebook) if "parameters" in cell.metadata.get("tags", [])]
    names = [line.split(" = ")[0] for line in cell.source.splitlines()]
    assert {"scale", "seed", "run"} <= set(names)


def test_a_notebook_asks_claims_and_invites_to_break_it(notebook: NotebookNode):
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    for part in ("**Question.**", "you are here", "## What we learnt", "## Try to break it"):
        assert part in text, f"the notebook lacks {part!r}"
    assert any(line.startswith("assert ") for cell in code_cells(notebook) for line in cell.source.splitlines())
