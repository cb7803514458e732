"""The start of the command line against the bare interpreter, ``python -c pass``, measured in the same run.

Each command is a process that is timed from start to exit, in the folder of the workload, whose catalog ``tasks``
imports. The compiled modules exist: a first, unmeasured run of each command writes them. The processes run
alternately. ``python -m benchmarks.startup 3`` measures three starts of each.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.judge import Limit, judge

STARTS = 15
HELP_LIMIT = 5.0
TASKS_LIMIT = 8.0
PROJECT = Path(__file__).parents[1] / "paidleave"
_PROGRAM = str(Path(sys.executable).with_name("nightferry"))
_COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "nightferry --help": [_PROGRAM, "--help"],
    "nightferry tasks": [_PROGRAM, "tasks"],
}


def main(starts: int = STARTS) -> None:
    """Print the median milliseconds of each command. Exit with 1 above a limit."""
    seconds: dict[str, list[float]] = {name: [] for name in _COMMANDS}
    for command in _COMMANDS.values():
        _run(command)
    for _ in range(starts):
        for name, command in _COMMANDS.items():
            seconds[name].append(_run(command))
    bare = statistics.median(seconds["python -c pass"])
    for name, measured in seconds.items():
        median = statistics.median(measured)
        print(f"{name:20} {median * 1000:7.0f} ms  {median / bare:5.1f} times the bare interpreter")
    judge(
        Limit(
            "nightferry --help / python -c pass",
            statistics.median(seconds["nightferry --help"]) / bare,
            HELP_LIMIT,
            "times",
        ),
        Limit(
            "nightferry tasks / python -c pass",
            statistics.median(seconds["nightferry tasks"]) / bare,
            TASKS_LIMIT,
            "times",
        ),
    )


def _run(command: list[str]) -> float:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    subprocess.run(command, cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
