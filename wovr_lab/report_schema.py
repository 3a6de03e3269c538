"""What report.json (schema 1) may hold, declared once: for what writes it and for all that read it.

In: the file. Out: its dictionary, every entry that is shown of its declared type; entries of later versions stay.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wovr_lab.borders import as_path
from wovr_lab.errors import UserError
from wovr_lab.runs import read_json

SCHEMA = 1
Share = Annotated[float, Field(ge=0, le=1)]
Signed = Annotated[float, Field(ge=-1, le=1)]
Pair = Annotated[list[float], Field(min_length=2, max_length=2)]
Natural = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)


class _Empty(BaseModel):
    """What was not measured, or has not been run."""

    model_config = ConfigDict(extra="forbid")


class Rate(_Part):
    rate: Share
    n: Natural
    low: Share
    high: Share


class Difference(_Part):
    """The interval of a rate, or of a correlation."""

    rate: Signed
    n: Natural
    low: Signed
    high: Signed


class Policy(_Part):
    name: str
    real: Rate | _Empty | None
    imagined: Rate | _Empty | None
    precision: Rate | _Empty | None = None


class Gate(_Part):
    passed: bool = False
    precision: Rate | _Empty | None = None
    policies: list[Policy] = []
    reasons: list[str] = []
    within_group_correlation: Difference | _Empty | None = None
    reward_within_group_correlation: Difference | _Empty | None = None


class Counts(_Part):
    imagined_and_real: Natural
    imagined_only: Natural
    real_only: Natural
    neither: Natural


class Comparison(_Part):
    difference: Difference
    p_value: Share


class World(_Part):
    psnr_by_depth: list[Pair] = []
    psnr_by_depth_copy: list[Pair] = []
    frames_per_second: float | None = None


class Spent(_Part):
    stage: str
    kind: str
    episodes: Natural
    frames: Natural


class Seconds(_Part):
    name: str
    seconds: Annotated[float, Field(ge=0)]


class Report(_Part):
    schema_: Literal[1] = Field(alias="schema")
    scale: str = ""
    seed: int = 0
    protocol: dict[str, Any] = {}
    temperature: float | None = None
    budget: dict[str, Any] = {}
    success: dict[str, Rate | _Empty | None]
    success_by_task: dict[str, dict[str, Rate | _Empty | None]] | None = None
    gate: dict[str, _Empty | Gate] = {}
    hallucination: Counts | _Empty | None = None
    confusion: dict[str, Counts | _Empty | None] | None = None
    comparison: Comparison | _Empty | None = None
    world: World | None = None
    stages: list[Seconds] | None = None
    ledger: list[Spent] | None = None
    machine: dict[str, Any] | None = None
    verdict: str | None = None


def load_report(run: Path | str) -> dict[str, Any]:
    """RUN/report.json. Raises UserError if it is missing, of another schema, lacks the base policy's success, or has an
    entry of another type than is declared."""
    path = as_path(run) / "report.json"
    if not path.exists():
        raise UserError(f"{path} does not exist; finish the run first with `wovr-lab resume`")
    report = read_json(path)
    schema = report.get("schema") if isinstance(report, dict) else None
    if schema != SCHEMA:
        raise UserError(f"{path} is of schema {schema}, this version shows schema {SCHEMA}; evaluate the run again")
    try:
        found = Report.model_validate(report)
    except ValidationError as error:
        first = error.errors()[0]
        place, problem = ".".join(map(str, first["loc"])), first["msg"].lower()
        raise UserError(f"{path}: {place}: {problem}; evaluate the run again, or restore the file") from error
    if not isinstance(found.success.get("base"), Rate):
        raise UserError(f"{path} lacks the base policy's success (success.base); evaluate the run again")
    return report
