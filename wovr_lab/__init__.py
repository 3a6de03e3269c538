"""wovr_lab: world models as reliable simulators for post-training VLA policies.

Importing it registers the tabletop with gymnasium; the names below are imported when they are first used, so that
`import wovr_lab` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import gymnasium

if TYPE_CHECKING:
    from wovr_lab.checks import check_chunk_env
    from wovr_lab.face import evaluate, imagine, improve, load
    from wovr_lab.pace.config import RunConfig
    from wovr_lab.pace.loop import run_loop
    from wovr_lab.pace.run_folder import RunFolder

__all__ = [
    "RunConfig",
    "RunFolder",
    "__version__",
    "check_chunk_env",
    "evaluate",
    "imagine",
    "improve",
    "load",
    "run_loop",
]
_MODULES = {
    "RunConfig": "wovr_lab.pace.config",
    "RunFolder": "wovr_lab.pace.run_folder",
    "check_chunk_env": "wovr_lab.checks",
    "evaluate": "wovr_lab.face",
    "imagine": "wovr_lab.face",
    "improve": "wovr_lab.face",
    "load": "wovr_lab.face",
    "run_loop": "wovr_lab.pace.loop",
}

gymnasium.register(id="wovr_lab/Tabletop-v0", entry_point="wovr_lab.real.tabletop.env:TabletopEnv")


def __getattr__(name: str) -> Any:
    """The public names, on first use."""
    if name == "__version__":
        return import_module("wovr_lab.machine").package_version()
    if name not in _MODULES:
        raise AttributeError(f"wovr_lab has no {name!r}; it offers {', '.join(__all__)}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
