"""How time and memory grow, worked by hand."""

from __future__ import annotations

import pytest

from wovr_lab.errors import UserError
from wovr_lab.figures.scaling_figures import growth_figure


def row(setting: str, metric: str, value: float) -> dict:
    return {"setting": setting, "metric": metric, "value": value}


def test_every_axis_grows_from_its_own_least_setting():
    rows = [row("batch_8", "frames_per_second", 900.0)]  # no axis
    for name, seconds, mebibytes in (("batch_16", 0.6, 60.0), ("batch_4", 0.2, 30.0), ("depth_8", 0.5, 80.0)):
        rows += [row(f"growth/{name}", "seconds", seconds), row(f"growth/{name}", "mebibytes", mebibytes)]
    figure = growth_figure(rows)
    time, memory = ({trace.name: trace for trace in figure.data if trace.xaxis == axis} for axis in ("x", "x2"))
    assert list(time["batch"].x) == [1, 4] and list(time["batch"].y) == pytest.approx([1, 3])
    assert list(memory["batch"].y) == pytest.approx([1, 2]) and list(memory["depth"].y) == [1]
    assert time["batch"].text == ("batch 4: 0.2 seconds", "batch 16: 0.6 seconds")


def test_a_table_without_axes_is_refused():
    with pytest.raises(UserError, match="no growth/ rows"):
        growth_figure([row("batch_8", "seconds", 1.0)])
