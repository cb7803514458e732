"""Child processes that get just the environment they are meant to have, and that never outlive their engine."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from nightferry.contract import RUN_VARIABLE

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def base_environment(state: Path) -> dict[str, str]:
    """Return what every child gets beside what is declared: paths of programs and modules, an own home, UTF-8, UTC."""
    home = state / "home"
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    programs = Path(sys.executable).parent
    return {
        **({"PYTHONPATH": os.pathsep.join(folders)} if (folders := _project_folders()) else {}),
        "PATH": f"{programs}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
    }


def _project_folders() -> list[str]:
    """Return the folders that this process imports from and that a Python of its own would not."""
    own = tuple(f"{prefix}{os.sep}" for prefix in {sys.prefix, sys.base_prefix})
    return [path for path in sys.path if path and not path.startswith(own)]


def kill_with_parent(
    parent: int, reaper: Reaper | None = None, processors: frozenset[int] = frozenset()
) -> Callable[[], None]:
    """What a child runs between fork and exec: be killed when the engine's process ends, however it ends.

    The child must be started by the engine's main thread, whose end counts as the engine's. Linux only; elsewhere,
    the ``reaper`` does it, which also ends what the child started: the child, a group of its own, announces itself.
    Where ``processors`` are given, the child and its own run on those only.
    """

    def prepare() -> None:
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # the engine died before the call
                os._exit(1)
        if reaper is not None:
            reaper.begin(os.getpid())
        if processors:
            os.sched_setaffinity(0, processors)

    return prepare


class Reaper:
    """A process that ends the groups announced to it when this process dies; see :mod:`.reaper`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("reaper.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={},
            start_new_session=True,
        )
        assert self._process.stdin is not None
        self._pipe = self._process.stdin.fileno()

    def begin(self, group: int) -> None:
        """The group is to be killed with this process. A line is written at once and whole, also by a child."""
        os.write(self._pipe, b"+%d\n" % group)

    def end(self, group: int) -> None:
        """The group has ended."""
        with contextlib.suppress(BrokenPipeError):  # somebody killed the reaper: the next start cleans up instead
            os.write(self._pipe, b"-%d\n" % group)

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()


def read_creation_time(pid: int) -> float:
    """When a process was created, which tells it from a later one with its number; 0 when it is gone."""
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).create_time()
    return 0.0


def kill_orphans(group: int, created: float) -> None:
    """Kill what is left of a group whose first process was created at that time.

    While one of its members lives, no other process gets a group's number: unless another process has it by now,
    what bears the number is what is left.
    """
    if read_creation_time(group) in (created, 0.0):
        kill_group(group, 0)


def kill_group(pid: int, grace: float) -> None:
    """SIGTERM to a process group, SIGKILL after ``grace`` seconds to what is left of it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if grace > 0:
            os.killpg(pid, signal.SIGTERM)
            deadline = time.monotonic() + grace
            while time.monotonic() < deadline:
                if not any(_is_running(member) for member in _list_group(pid)):
                    return
                time.sleep(0.02)
        os.killpg(pid, signal.SIGKILL)


def kill_detached(run: str) -> None:
    """Kill what a run has started and what has left its group since: its environment tells whose it is."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(RUN_VARIABLE) == run:
                process.kill()


def _list_group(pid: int) -> list[psutil.Process]:
    members = []
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        members = [process, *process.children(recursive=True)]
    return members


def _is_running(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
