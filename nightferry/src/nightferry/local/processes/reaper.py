"""A process that cleans up after a killed engine.

Supervisors of tasks notice the end of their engine (:mod:`nightferry.job.supervision`), but a hung one does not.
So every engine starts this small process and registers process groups on its standard input, with lines ``+PID`` and
``-PID``. The end of the input means that the engine has ended, for whatever reason. The first process of a group is the
supervisor of a task, below which all processes of the task are.

It runs as a script without site packages in its own session: ``python -I -S reaper.py``.
"""

import contextlib
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "job" / "supervision"))

import processes  # type: ignore[import-not-found]


def main() -> None:
    """Track the registered groups until the engine ends, then kill the remaining ones."""
    groups: set[int] = set()
    for line in sys.stdin:
        with contextlib.suppress(ValueError):
            number = int(line)
            groups.add(number) if number > 0 else groups.discard(-number)
    for group in groups:
        processes.kill_below(group)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
