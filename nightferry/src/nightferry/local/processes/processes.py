"""Child processes with a defined environment that never outlive their engine."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import psutil

from nightferry.contract import RUN_VARIABLE
from nightferry.environments.state_folder import create_state_folder
from nightferry.job import supervision
from nightferry.job.supervision.command import PROGRAM

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def build_base_environment(state: Path) -> dict[str, str]:
    """Return the variables of every child besides the declared ones: paths, a separate home, UTF-8 and UTC."""
    home = create_state_folder(state) / "home"
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    programs = Path(sys.executable).parent
    return {
        **({"PYTHONPATH": os.pathsep.join(folders)} if (folders := _list_project_folders()) else {}),
        "PATH": f"{programs}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
    }


def _list_project_folders() -> list[str]:
    """Return the folders on this process's import path that a new Python process would not have."""
    own = tuple(f"{prefix}{os.sep}" for prefix in {sys.prefix, sys.base_prefix})
    return [path for path in sys.path if path and not path.startswith(own)]


def kill_with_parent(parent: int) -> Callable[[], None]:
    """Return a function for a child to run between fork and exec, which has the child killed when the engine ends.

    The engine's main thread must start the child, because the kernel kills the child when that thread ends. This works
    on Linux only.
    """

    def prepare() -> None:
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # The engine died before the call.
                os._exit(1)

    return prepare


class Reaper:
    """A process that kills the registered process groups when this process dies; see :mod:`.reaper`."""

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
        """Register a process group to kill."""
        with contextlib.suppress(BrokenPipeError):  # The reaper was killed; the next engine cleans up instead.
            os.write(self._pipe, b"+%d\n" % group)

    def end(self, group: int) -> None:
        """Unregister a process group that has ended."""
        with contextlib.suppress(BrokenPipeError):  # see begin
            os.write(self._pipe, b"-%d\n" % group)

    def close(self) -> None:
        """End the reaper."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()


def read_creation_time(pid: int) -> float:
    """Return when a process was created, which distinguishes it from later ones with its ID; 0 if it has ended."""
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).create_time()
    return 0.0


def kill_orphans(group: int, created: float) -> None:
    """Kill the remaining processes of a group whose first process was created at that time.

    The system does not reuse a group's ID while a member of the group lives. So unless the ID belongs to a newer
    process, the processes in the group are those that remain.
    """
    if read_creation_time(group) in (created, 0.0):
        kill_group(group, 0)


def kill_group(pid: int, grace: float) -> None:
    """Send SIGTERM to a process group, and SIGKILL after ``grace`` seconds if processes remain."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if grace > 0:
            os.killpg(pid, signal.SIGTERM)
            deadline = time.monotonic() + grace
            while time.monotonic() < deadline:
                if not any(_is_running(member) for member in _list_group(pid)):
                    return
                time.sleep(0.02)
        os.killpg(pid, signal.SIGKILL)


def build_supervised_command(events: int, processors: Iterable[int], command: Sequence[str]) -> list[str]:
    """Return a command that runs ``command`` under a supervisor, restricted to ``processors`` if there are any.

    ``events`` is a descriptor that the supervisor writes to.
    """
    folder = Path(supervision.__file__).parent
    numbers = ",".join(map(str, processors))
    return [sys.executable, "-I", "-S", "-c", PROGRAM, str(folder), str(events), numbers, *command]


def restrict(pid: int, processors: Iterable[int]) -> None:
    """Restrict a process that has just been started, and has neither threads nor children, to processors."""
    with contextlib.suppress(ProcessLookupError):
        os.sched_setaffinity(pid, processors)


def kill_detached(run: str) -> None:
    """Kill the processes of a run that have left its process group. They are recognized by their environment."""
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
