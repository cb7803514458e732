"""The processes of a job: its end with the supervisor, its descendants, and core dumps."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_OWN_END_SECONDS = 0.5  # for the helpers of multiprocessing, for example
_KILL_SECONDS = 5.0  # a process that waits for a device ends after its call only
_POLL_SECONDS = 0.005


def disable_core_dumps() -> None:
    """Write no core dump of this process and of its descendants, because it would contain the data of the job.

    A kernel that pipes core dumps to a program ignores the limit. The filter leaves the memory out of such a dump.
    """
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):
        Path("/proc/self/coredump_filter").write_text("0", encoding="ascii")


def hide_from_user() -> None:
    """Deny this process's memory and open files to other processes of its user, on Linux; root still has access.

    Otherwise the code of a job could open the pipes of its supervisor below ``/proc``.
    """
    _prctl(_PR_SET_DUMPABLE, 0)


def become_subreaper() -> None:
    """Make this process the parent of each descendant whose parent ends, on Linux."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent: int) -> None:
    """End this process at once when its parent, with this ID, ends, on Linux."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the call
        os._exit(128 + signal.SIGKILL)


def kill_descendants() -> int:
    """Kill all processes that this process or its descendants started, and return their number.

    Those that end on their own in half a second do not count. The caller is a subreaper, so that a process that left
    its session or whose parent has ended is found, too.
    """
    killed: set[int] = set()
    own_end = time.monotonic() + _OWN_END_SECONDS
    while _reap() and time.monotonic() < own_end:
        time.sleep(_POLL_SECONDS)
    deadline = time.monotonic() + _KILL_SECONDS
    while _reap() and time.monotonic() < deadline:  # a process may start another one until it is killed
        for pid in list_descendants(os.getpid()):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        time.sleep(_POLL_SECONDS)
    return len(killed)


def kill_below(supervisor: int) -> None:
    """Kill all descendants of a supervisor of another process, which then ends on its own."""
    deadline = time.monotonic() + _KILL_SECONDS
    while time.monotonic() < deadline and (descendants := list_descendants(supervisor)):
        for pid in descendants:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_POLL_SECONDS)


def list_descendants(ancestor: int) -> list[int]:
    """Return the IDs of the living processes below ``ancestor``; an empty list without ``/proc``."""
    children: dict[int, list[int]] = {}
    for pid, parent in _iterate_processes():
        children.setdefault(parent, []).append(pid)
    found, waiting = [], [ancestor]
    while waiting:
        below = children.pop(waiting.pop(), [])
        found += below
        waiting += below
    return found


def _iterate_processes() -> Iterator[tuple[int, int]]:
    """Yield each process with its parent. The name of a process, in parentheses, may contain blanks and parentheses."""
    with suppress(OSError):
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                with suppress(OSError, ValueError):
                    state, parent, *_ = (folder / "stat").read_bytes().rpartition(b")")[2].split()
                    if state != b"Z":
                        yield int(folder.name), int(parent)


def _reap() -> bool:
    """Collect the children that have ended, and return True if others are left."""
    with suppress(ChildProcessError):
        while True:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return True
    return False


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
