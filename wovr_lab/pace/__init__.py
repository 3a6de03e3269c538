"""Policy-world-model co-evolution: the whole loop as resumable stages with a budget ledger (paper section 4)."""

from wovr_lab.pace.config import LoopConfig
from wovr_lab.pace.loop import run_loop
from wovr_lab.pace.scales import scale_config

__all__ = ["LoopConfig", "run_loop", "scale_config"]
