"""The start of the command line against the bare interpreter, ``python -c pass``, measured in the same run.

Each command is a process that is timed from start to exit, in the folder of the workload, whose catalog ``tasks``
and the completion of names import. The compiled modules and the cache of the catalog exist: a first, unmeasured run of
each command writes them. The commands that are called "evaluated" have no cache, like the first one after a change.
The processes run alternately. ``python -m benchmarks.startup 3`` measures three starts of each.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.judge import Limit, judge

STARTS = 15
HELP_LIMIT = 5.0
TASKS_LIMIT = 8.0
PROJECT = Path(__file__).parents[1] / "paidleave"
_PROGRAM = str(Path(sys.executable).with_name("nightferry"))
_EVALUATED = {"XDG_CACHE_HOME": os.devnull}
_COMPLETION = {
    "_NIGHTFERRY_COMPLETE": "complete_bash",
    "COMP_WORDS": "nightferry\nrun\ndor",
    "COMP_CWORD": "2",
}
_COMMANDS: Mapping[str, tuple[list[str], Mapping[str, str]]] = {
    "python -c pass": ([sys.executable, "-c", "pass"], {}),
    "nightferry --help": ([_PROGRAM, "--help"], {}),
    "nightferry tasks": ([_PROGRAM, "tasks"], {}),
    "nightferry tasks, evaluated": ([_PROGRAM, "tasks"], _EVALUATED),
    "completion of a name": ([_PROGRAM], _COMPLETION),
    "completion of a name, evaluated": ([_PROGRAM], _COMPLETION | _EVALUATED),
}


def main(starts: int = STARTS) -> None:
    """Print the median milliseconds of each command. Exit with 1 above a limit."""
    seconds: dict[str, list[float]] = {name: [] for name in _COMMANDS}
    with tempfile.TemporaryDirectory() as cache:
        for number in range(starts + 1):
            for name, (command, variables) in _COMMANDS.items():
                measured = _run(command, {"XDG_CACHE_HOME": cache, **variables})
                seconds[name] += [measured] if number else []
    bare = statistics.median(seconds["python -c pass"])
    for name, all_measured in seconds.items():
        median = statistics.median(all_measured)
        print(f"{name:31} {median * 1000:7.0f} ms  {median / bare:5.1f} times the bare interpreter")
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


def _run(command: list[str], variables: Mapping[str, str]) -> float:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= variables
    started = time.perf_counter()
    subprocess.run(command, cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
