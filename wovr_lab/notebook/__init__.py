"""What notebooks need beyond figures: widgets, key figures that are kept, packages that may be missing."""

from wovr_lab.notebook.record import keep
from wovr_lab.notebook.require import need
from wovr_lab.notebook.widgets import Film, episode_browser, gallery, recomputed, slide

__all__ = ["Film", "episode_browser", "gallery", "keep", "need", "recomputed", "slide"]
