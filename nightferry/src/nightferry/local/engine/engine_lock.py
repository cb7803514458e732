"""The lock of a state directory, which the engine's process holds, and the address of its pages."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from nightferry.environments.private_paths import open_private
from nightferry.environments.state_folder import create_state_folder

_ATTEMPTS = 3  # because is_running in another process holds the lock for less than a millisecond
_ATTEMPT_SECONDS = 0.005


@contextlib.contextmanager
def lock(state: Path) -> Iterator[bool]:
    """Try to take the engine's lock on a state directory; yield True if successful. The lock ends with the process."""
    with open_private(create_state_folder(state) / "engine.lock", "a+") as file:
        for _ in range(_ATTEMPTS):
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(_ATTEMPT_SECONDS)
        else:
            yield False
            return
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield True


def is_running(state: Path) -> bool:
    """Return True if an engine of this state directory is running."""
    file = state / "engine.lock"
    if not file.exists():
        return False
    with file.open() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def read_engine_pid(state: Path) -> int | None:
    """Return the process ID of the state directory's engine, or None if no engine is running."""
    if not is_running(state):
        return None
    with contextlib.suppress(OSError, ValueError):
        return int((state / "engine.lock").read_text())
    return None


def write_address(state: Path, url: str) -> None:
    """Record the URL of the pages that this process, which holds the lock, serves."""
    with open_private(state / "engine.url", "w") as file:
        file.write(f"{os.getpid()} {url}")


def read_address(state: Path) -> str | None:
    """Return the URL of the pages of the state directory's engine; None if no engine is running, or one without."""
    with contextlib.suppress(OSError, ValueError):
        pid, url = (state / "engine.url").read_text().split(" ")
        return url if int(pid) == read_engine_pid(state) else None
    return None
