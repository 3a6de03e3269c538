"""The one place where robosuite is imported: without its console chatter and its log file in /tmp, after a GL platform
that works has been chosen (it binds to one while it is imported).

In: a task's scene file. Out: robosuite's environment for it, which owns the model, places things, and judges success.
"""

from __future__ import annotations

import importlib.util
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import wovr_lab.real.libero.package  # noqa: F401 (says so if the extra is missing, and settles where files go)
from wovr_lab.errors import UserError
from wovr_lab.real.libero.gl import platform


def _quiet_macros() -> None:
    """Loads `robosuite.macros` before robosuite does, which reads there where to log."""
    found = importlib.util.find_spec("robosuite")
    if found is None or not found.submodule_search_locations:
        raise UserError("the LIBERO package requires robosuite, which is not here; get it by `make libero`")
    path = Path(found.submodule_search_locations[0]) / "macros.py"
    spec = importlib.util.spec_from_file_location("robosuite.macros", path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path} is no Python file; get robosuite again by `make libero`")
    macros = importlib.util.module_from_spec(spec)
    sys.modules["robosuite.macros"] = macros
    spec.loader.exec_module(macros)
    macros.FILE_LOGGING_LEVEL, macros.CONSOLE_LOGGING_LEVEL = None, "ERROR"


platform()
if "robosuite" not in sys.modules:
    _quiet_macros()

from libero.libero.envs.env_wrapper import ControlEnv  # noqa: E402 (after the settings above)
from robosuite.utils.control_utils import nullspace_torques, opspace_matrices, orientation_error  # noqa: E402
from robosuite.utils.errors import RandomizationError  # noqa: E402
from robosuite.utils.transform_utils import axisangle2quat, quat2axisangle, quat2mat  # noqa: E402

__all__ = ["RandomizationError", "axisangle2quat", "build", "global_randomness", "nullspace_torques",
           "opspace_matrices", "orientation_error", "quat2axisangle", "quat2mat"]  # fmt: skip


def build(bddl: Path) -> Any:
    """robosuite's environment for a scene file, without cameras; resets keep the model. Its markers (the gripper's
    axis, a glowing burner) are hidden, as they are from the first reset on: a state may be set and drawn before that.
    """
    wrapper = ControlEnv(
        str(bddl), use_camera_obs=False, has_renderer=False, has_offscreen_renderer=False, hard_reset=False,
        ignore_done=True,
    )  # fmt: skip
    env = wrapper.env
    env.visualize(vis_settings={part: False for part in env._visualizations})
    return env


@contextmanager
def global_randomness(seed: int) -> Iterator[None]:
    """robosuite draws from the global random states: in this block they follow `seed`, after it they are as before."""
    ours, pythons = np.random.get_state(), random.getstate()
    np.random.seed(seed % 2**32)
    random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(ours)
        random.setstate(pythons)
