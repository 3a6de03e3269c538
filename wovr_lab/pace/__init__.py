"""Policy-world-model co-evolution: the whole loop as resumable stages with a budget ledger (paper section 4)."""

from wovr_lab.pace.config import RunConfig
from wovr_lab.pace.loop import run_loop
from wovr_lab.pace.presets import preset
from wovr_lab.pace.settings import changed

__all__ = ["RunConfig", "changed", "preset", "run_loop"]
