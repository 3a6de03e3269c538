"""Which OpenGL draws here without a display: EGL, else OSMesa. In: nothing. Out: a name, and contexts to draw into.

What does not work can break a process for good (PyOpenGL binds to one platform), so it is tried in another one.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
from functools import cache
from importlib import import_module
from typing import Protocol

from wovr_lab.errors import UserError

PLATFORMS = ("egl", "osmesa")
CURE = "install Debian's libegl1 libgl1 libosmesa6 (`make system-deps`)"
TRIAL = """
import mujoco, mujoco.{platform} as gl
context = gl.GLContext(8, 8)
context.make_current()
mujoco.MjrContext(mujoco.MjModel.from_xml_string("<mujoco/>"), 50)
"""


class GLContext(Protocol):
    """What MuJoCo draws into."""

    def make_current(self) -> None: ...

    def free(self) -> None: ...


@cache
def works(platform: str) -> bool:
    """Whether "egl" or "osmesa" can draw here, tried out in a process of its own."""
    environment = {**os.environ, "MUJOCO_GL": platform, "PYOPENGL_PLATFORM": platform}
    trial = [sys.executable, "-c", TRIAL.format(platform=platform)]
    return subprocess.run(trial, env=environment, capture_output=True, check=False).returncode == 0


@cache
def platform() -> str:
    """The platform to draw with: MUJOCO_GL if it names one, else the first that works. Other processes inherit it.

    Raises UserError naming the packages to install if there is none.
    """
    wanted = os.environ.get("MUJOCO_GL", "").lower()
    chosen = wanted if wanted in PLATFORMS else next((name for name in PLATFORMS if works(name)), None)
    if chosen is None:
        raise UserError(f"LIBERO cannot draw: neither EGL nor OSMesa works here; {CURE}")
    os.environ["MUJOCO_GL"] = os.environ["PYOPENGL_PLATFORM"] = chosen
    return chosen


def make_context(width: int, height: int) -> GLContext:
    """A context of the chosen platform. Raises UserError if it cannot be made."""
    name = platform()
    try:
        context = import_module(f"mujoco.{name}").GLContext(width, height)
        atexit.register(context.free)  # before the interpreter takes PyOpenGL apart
        return context
    except (ImportError, AttributeError, RuntimeError) as error:
        raise UserError(f"LIBERO cannot draw with MUJOCO_GL={name} ({error}); unset it, or {CURE}") from error
