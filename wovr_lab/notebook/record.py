"""A notebook's key figures, shown and left in its outputs, where `notebooks/run.py` finds and compares them."""

from __future__ import annotations

from IPython.display import display

from wovr_lab.errors import UserError

RECORD = "application/vnd.wovr-lab.figures+json"


def record(**figures: float) -> None:
    """Shows the numbers and keeps them; call it once. Raises UserError on one that is not finite."""
    values = {name: float(value) for name, value in figures.items()}
    bad = [name for name, value in values.items() if not abs(value) < float("inf")]
    if bad:
        raise UserError(f"the key figure {bad[0]} is {values[bad[0]]}; only finite numbers can be compared")
    text = "\n".join(f"{name.replace('_', ' ')}: {value:.4g}" for name, value in values.items())
    display({RECORD: values, "text/plain": text}, raw=True)
