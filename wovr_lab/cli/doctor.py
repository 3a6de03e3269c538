"""What works on this machine, what is missing and how to get it. In: nothing. Out: findings for `wovr-lab doctor`."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from wovr_lab.errors import UserError
from wovr_lab.real.libero import gl
from wovr_lab.real.tabletop.env import TabletopEnv
from wovr_lab.world.pretraining import load_backbone

FREE_GIGABYTES = 2.0  # a demo run with its checkpoints


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `needed` ones must work for `make demo`."""

    name: str
    works: bool
    needed: bool
    text: str


def findings() -> list[Finding]:
    """Looks at everything, needed things first."""
    return [_python(), _torch(), _tabletop(), _backbone(), _disk(), _chromium(), _libero()]


def _python() -> Finding:
    return Finding("Python", sys.version_info >= (3, 11), True, f"{sys.version.split()[0]} (3.11 or newer is needed)")


def _torch() -> Finding:
    device = f"GPU {torch.cuda.get_device_name()}" if torch.cuda.is_available() else "no GPU, which is fine"
    return Finding("torch", True, True, f"{torch.__version__}, {torch.get_num_threads()} threads, {device}")


def _tabletop() -> Finding:
    env, steps = TabletopEnv(resolution=64), 50
    env.reset(seed=0)
    begin = time.monotonic()
    for _ in range(steps):
        env.step(env.action_space.sample() * 0)
    return Finding("tabletop", True, True, f"{steps / (time.monotonic() - begin):.0f} rendered 64x64 steps a second")


def _backbone() -> Finding:
    try:
        world = load_backbone("backbone")
    except UserError as error:
        return Finding("backbone", False, True, str(error))
    parameters = sum(parameter.numel() for parameter in world.parameters()) / 1e6
    return Finding("backbone", True, True, f"pretrained world model, {parameters:.1f} M parameters")


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    return Finding("disk", free > FREE_GIGABYTES, True, f"{free:.0f} GB free (a run needs {FREE_GIGABYTES:.0f})")


def _chromium() -> Finding:
    found = shutil.which("chromium") or shutil.which("google-chrome")
    text = f"{found}, for browser tests" if found else "browser tests are skipped; get it by `make system-deps`"
    return Finding("chromium", bool(found), False, text)


def _libero() -> Finding:
    if importlib.util.find_spec("libero") is None:
        return Finding("LIBERO", False, False, "the extra is not installed; get it by `make libero`")
    drawing = [name for name in gl.PLATFORMS if gl.works(name)]
    if not drawing:
        return Finding("LIBERO", False, False, f"installed, but neither EGL nor OSMesa draws here; {gl.CURE}")
    text = f"installed; {' and '.join(drawing)} can draw, {gl.platform()} is used (MUJOCO_GL chooses)"
    return Finding("LIBERO", True, False, text)
