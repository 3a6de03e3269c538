"""What this machine is asked, so that nothing is assumed of it: its cores, its proxies, the version of this package.

In: nothing. Out: an answer everywhere: without git, without a home folder, behind a proxy, on systems without POSIX.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import urllib.request
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from wovr_lab.errors import UserError

PACKAGE = Path(__file__).resolve().parent
UNKNOWN = "unknown"
PROXIES = ("http://", "https://")  # and SOCKS, where its package is installed


def package_version() -> str:
    """The version of this package, as it is installed; "unknown" if it runs from a folder that is not installed."""
    try:
        return version("wovr-lab")
    except PackageNotFoundError:
        return UNKNOWN


def current_commit() -> str:
    """The short hash of this package's own code, whatever folder one works in; "unknown" where it does not lie in a git
    checkout of its own, or git is not there."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    asked = ["git", "-C", str(PACKAGE), "rev-parse", "--short", "--show-toplevel", "HEAD"]
    try:
        found = subprocess.run(asked, capture_output=True, text=True, check=False, env=own)
    except OSError:
        return UNKNOWN
    lines = found.stdout.split("\n")
    is_own = found.returncode == 0 and Path(lines[0]).resolve() == PACKAGE.parent
    return lines[1] if is_own else UNKNOWN


def cores() -> int:
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def cache_folder() -> Path:
    """Where files may be kept between runs. Raises UserError where there is no home folder and none is named."""
    named = os.environ.get("XDG_CACHE_HOME")
    try:
        return Path(named or Path.home() / ".cache") / "wovr_lab"
    except RuntimeError as error:
        raise UserError(f"there is no home folder here ({error}); name a folder by XDG_CACHE_HOME") from error


def check_proxies() -> None:
    """Raises UserError if a proxy that the environment names is of a kind that the page's libraries cannot use."""
    usable = PROXIES + (("socks5://", "socks5h://") if importlib.util.find_spec("socksio") else ())
    for scheme, proxy in urllib.request.getproxies().items():
        if scheme in ("http", "https", "all") and "://" in proxy and not proxy.startswith(usable):
            raise UserError(
                f"{scheme.upper()}_PROXY is {proxy}, which the page cannot use (it knows {', '.join(usable)}); "
                f"unset it for this command: env -u {scheme.upper()}_PROXY -u {scheme}_proxy wovr-lab inspect"
            )


def require_extra(extra: str, *modules: str) -> None:
    """Raises UserError if modules that only an extra of this package brings are not installed."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"this needs {', '.join(missing)}; install the extra: pip install 'wovr-lab[{extra}]'")
