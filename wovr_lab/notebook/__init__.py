"""What notebooks need beyond figures: widgets, key figures that are kept, packages that may be missing."""

from wovr_lab.notebook.record import record
from wovr_lab.notebook.require import require
from wovr_lab.notebook.widgets import Film, episode_browser, gallery, recomputed, slide

__all__ = ["Film", "episode_browser", "gallery", "recomputed", "record", "require", "slide"]
