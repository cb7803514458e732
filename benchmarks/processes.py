"""Run a process, and measure its duration, its processor time and its peak memory."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# Linux includes the memory of the parent process in a new process's peak memory. This launcher is small. It measures
# the time, so that its own start is not included.
_LAUNCHER = """
import os, subprocess, sys, time
started = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=sys.stderr)
_, status, usage = os.wait4(process.pid, 0)
print(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def exit_on_sigterm() -> None:
    """Let SIGTERM end this process as an error does, so that it stops its servers and removes its files."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


@dataclass(frozen=True)
class Measurement:
    """The duration of a process and its processor time with that of its children, in seconds; its peak memory in MB."""

    seconds: float
    processor: float
    memory: float


def measure(command: Sequence[str | Path], environment: Mapping[str, str], folder: Path | None = None) -> Measurement:
    """Run ``command`` in ``folder`` to its end. If it fails, print its output and raise CalledProcessError."""
    launched = subprocess.run(
        [sys.executable, "-c", _LAUNCHER, *command], env=environment, cwd=folder, capture_output=True, text=True
    )
    if launched.returncode != 0:
        sys.stderr.write(launched.stderr)
        launched.check_returncode()
    seconds, processor, kilobytes = launched.stdout.split()
    return Measurement(float(seconds), float(processor), int(kilobytes) / 1024)
