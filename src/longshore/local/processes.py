"""Child processes that get just the environment they are meant to have, and that never outlive their engine."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def base_environment(state: Path) -> dict[str, str]:
    """What every child gets beside what is declared: where programs are, an own home, UTF-8, UTC."""
    home = state / "home"
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    programs = Path(sys.executable).parent
    return {
        "PATH": f"{programs}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
    }


def die_with(parent: int) -> Callable[[], None]:
    """What a child runs between fork and exec: be killed when the engine's process ends, however it ends.

    The child must be started by the engine's main thread, whose end counts as the engine's. Linux only; elsewhere,
    orphans are found and ended by the next start.
    """

    def prepare() -> None:
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # the engine died before the call
                os._exit(1)

    return prepare


def is_alive(pid: int, created: float) -> bool:
    """Whether this very process still runs; a number alone may be another process's by now."""
    try:
        process = psutil.Process(pid)
        return process.create_time() == created and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def kill_group(pid: int, grace: float) -> None:
    """SIGTERM to a process group, SIGKILL after ``grace`` seconds to what is left of it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if grace > 0:
            os.killpg(pid, signal.SIGTERM)
            deadline = time.monotonic() + grace
            while time.monotonic() < deadline:
                if not any(_runs(member) for member in _group(pid)):
                    return
                time.sleep(0.02)
        os.killpg(pid, signal.SIGKILL)


def memory_of(pid: int) -> int:
    """Bytes of memory that a process and its descendants use; 0 when it is gone."""
    total = 0
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for member in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += member.memory_info().rss
    return total


def _group(pid: int) -> list[psutil.Process]:
    members = []
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        members = [process, *process.children(recursive=True)]
    return members


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
