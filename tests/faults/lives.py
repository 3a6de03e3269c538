"""Work done in processes of their own, which may be killed, hang or ask for all memory there is; the caller learns how
they ended and what they said.

Children fork from a server that has imported the package once, so that a life costs no more than its work.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["wovr_lab.cli"])
PATIENCE = 300  # seconds for a process that should end by itself, on a busy machine
FILE_EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree")  # what Python tells its hooks
KILLED = (-signal.SIGKILL, -signal.SIGPROF)


@dataclass(frozen=True)
class Moment:
    """When a process is killed: at its `count`-th change of a file, or after so many `seconds` of computing. Neither
    depends on how busy the machine is."""

    count: int = 0
    seconds: float = 0.0

    def arm(self) -> None:
        """Called in the process that is to die. Nothing handles either signal: the process ends where it stands."""
        if self.seconds:
            signal.signal(signal.SIGPROF, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_PROF, self.seconds)
        if self.count:
            sys.addaudithook(_Countdown(self.count))


class _Countdown:
    def __init__(self, count: int):
        self.left = count

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in FILE_EVENTS and (event != "open" or _writes(arguments)):
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def _writes(arguments: tuple[Any, ...]) -> bool:
    """Whether the arguments of an "open" event (path, mode, flags) say that something may be written."""
    return bool(arguments[2] & (os.O_WRONLY | os.O_RDWR)) if isinstance(arguments[2], int) else False


@dataclass(frozen=True)
class Ending:
    """How a process ended."""

    code: int  # its exit code; minus the signal's number if one ended it
    said: str  # on both streams

    @property
    def was_killed(self) -> bool:
        return self.code in KILLED


def live(
    work: Callable[..., Any], *arguments: Any, log: Path, moment: Moment | None = None, patience: int = PATIENCE
) -> Ending:
    """Runs `work(*arguments)` in a process of its own, whose words go to the file `log`. Raises TimeoutError, having
    ended it, if it takes more than `patience` seconds."""
    process = PROCESSES.Process(target=_lived, args=(log, moment or Moment(), work, arguments))
    process.start()
    process.join(patience)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise TimeoutError(f"{work.__name__}{arguments} did not end within {patience} s: {log.read_text()[-2000:]}")
    return Ending(process.exitcode, log.read_text(errors="replace"))


def command(*arguments: str) -> None:
    """The command line, as typed."""
    from wovr_lab.cli import main

    sys.argv = ["wovr-lab", *arguments]
    main()


def with_file_limit(most: int, *arguments: str) -> None:
    """The command line where no file may have more bytes: what a full disk looks like to a process."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    command(*arguments)


def _lived(log: Path, moment: Moment, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    moment.arm()
    work(*arguments)
