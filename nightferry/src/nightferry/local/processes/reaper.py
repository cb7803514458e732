"""The last to leave: ends what the tasks of a killed engine left behind.

A task's process dies with its engine (:func:`.processes.kill_with_parent`), but nobody tells what that process
has started in turn. So every engine has this small process at its side. Its standard input says which process groups
there are, ``+PID`` and ``-PID``, one a line; where it ends, so has the engine, however that came about.

It is started as a file, without site packages, in a session of its own: ``python -I -S reaper.py``.
"""

import contextlib
import os
import signal
import sys


def main() -> None:
    """Keep the groups in mind until the engine's end, then kill those that are left."""
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
