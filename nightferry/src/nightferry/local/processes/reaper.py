"""A process that cleans up after a killed engine.

A task's process dies with its engine (:func:`.processes.kill_with_parent`), but the descendants of that process do not.
So every engine starts this small process and registers process groups on its standard input, with lines ``+PID`` and
``-PID``. The end of the input means that the engine has ended, for whatever reason.

It runs as a script without site packages in its own session: ``python -I -S reaper.py``.
"""

import contextlib
import os
import signal
import sys


def main() -> None:
    """Track the registered groups until the engine ends, then kill the remaining ones."""
    groups: set[int] = set()
    for line in sys.stdin:
        with contextlib.suppress(ValueError):
            number = int(line)
            groups.add(number) if number > 0 else groups.discard(-number)
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
