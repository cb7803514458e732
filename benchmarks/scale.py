"""The local engine at scale: the time for each item and the memory, with ten times as many items.

An engine whose work for one item depends on the number of items becomes slower with each of them. Each case runs with
a size and with ten times the size, in turn, each in a process of its own, and its limit is the time for one item with
more items, as a multiple of that with fewer. It may exceed 1 by 0.2, or by 0.3 with a single run: the larger indexes of
the store and the larger dictionaries fit less well into the caches of the processor.

- *Queued runs*: 1,000 and 10,000 runs of ``true`` are queued, and the engine works off 150 of them, four at once.
  ``python -m benchmarks.scale queue`` works off all of them instead, which takes two minutes.
- *Waiting executions*: 1,000 and 10,000 executions of one Pass state, all of which are worked off, 100 at once.
- *Objects*: a trigger watches a folder of 10,000 and 100,000 empty files, in which one new file appears. Its limit is
  1.5, because a sweep compares each file with a dictionary, and reads its status from the kernel's tables.
- *Schedules*: 100 and 1,000 hourly schedules, all of which are due at once.
- *Map*: a distributed Map of 1,000 and 10,000 items that publish a notification each, 100 at once, and an inline Map
  of 600 and 6,000 items. With 10,000, it would exceed the 25,000 events of a Standard execution, here as on AWS.

``python -m benchmarks.scale 10`` divides all sizes by ten, for a quick check.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict

from benchmarks.judge import Limit, judge
from benchmarks.scale_cases import ALL

SIZES = {
    "queue": 1_000, "executions": 1_000, "objects": 10_000, "schedules": 100, "map": 1_000, "inline map": 600,
}  # fmt: skip
FACTOR = 10
RUNS = {"queue": 3, "executions": 1, "objects": 1, "schedules": 3, "map": 3, "inline map": 3}
GROWTH_LIMIT = 1.2
SINGLE_GROWTH_LIMIT = 1.3
OBJECTS_GROWTH_LIMIT = 1.5
MEMORY_LIMIT = 1.15  # of queued work: the pages of SQLite's cache, at most 2 MB, and what is active
IDLE_LIMIT_PERCENT = 8.0  # a sweep pauses for 20 times its processor time, an ordinary poll for 5 times
START_LIMIT_SECONDS = 5.0  # 2 s until the file has settled, two polls, and a pause after a sweep
LATE_LIMIT_SECONDS = 5.0  # the lateness of a scheduled start above which /health reports a problem

Figures = dict[str, float]


def main(divisor: int = 1) -> None:
    """Print the figures. Exit with 1 if one misses its limit."""
    figures: list[Limit] = []
    for case, few in SIZES.items():
        small, large = _compare(case, few // divisor)
        size = few // divisor * FACTOR
        limit = SINGLE_GROWTH_LIMIT if RUNS[case] == 1 else GROWTH_LIMIT
        growth = Limit(
            f"{case}: time per item, {size:,} / {size // FACTOR:,}",
            large["seconds"] / small["seconds"],
            OBJECTS_GROWTH_LIMIT if case == "objects" else limit,
            "times",
        )
        print(
            f"{case:12} {size:8,} items {1e6 * large['seconds']:10,.1f} µs each, with {size // FACTOR:,} "
            f"{1e6 * small['seconds']:,.1f}",
            flush=True,
        )
        figures += [growth, *_describe(case, size, small, large)]
    judge(*figures)


def _describe(case: str, size: int, small: Figures, large: Figures) -> list[Limit]:
    """Return the figures of a case besides the growth of its time."""
    memory = Limit(
        f"{case}: peak memory, {size:,} / {size // FACTOR:,}", large["memory"] / small["memory"], None, "times"
    )
    match case:
        case "queue" | "executions":
            memory = Limit(memory.name, memory.value, MEMORY_LIMIT, "times")
        case "objects":
            return [
                Limit("objects: memory per object", large["memory"], None, "KB"),
                Limit(f"objects: memory after 10 sweeps / before, {size:,}", large["growth"], 1.05, "times"),
                Limit(f"objects: processor while idle, {size:,}", 100 * large["idle"], IDLE_LIMIT_PERCENT, "%"),
                Limit(f"objects: new object to start, {size:,}", large["start"], START_LIMIT_SECONDS, "s"),
                Limit(f"objects: first registration of {size:,}", size * large["register"], None, "s"),
            ]
    if case == "schedules":
        return [
            memory,
            Limit(f"schedules: lateness of the last of {size:,} due", large["late"], LATE_LIMIT_SECONDS, "s"),
            Limit("schedules: longest block of the event loop", large["longest"], 0.5, "s"),
            Limit(f"schedules: processor while idle, {size:,}", 100 * large["idle"], 1.0, "%"),
        ]
    if "history" in large:
        return [memory, Limit(f"{case}: history per item", large["history"] / 1024, None, "KB")]
    return [memory]


def _compare(case: str, few: int) -> tuple[Figures, Figures]:
    """Return the medians of a case with ``few`` items, and with :data:`FACTOR` times as many, which run in turn."""
    runs = [(_run(case, few), _run(case, few * FACTOR)) for _ in range(RUNS[case])]
    return _take_medians([small for small, _ in runs]), _take_medians([large for _, large in runs])


def _run(case: str, size: int) -> Figures:
    command = [sys.executable, "-m", "benchmarks.scale_cases", case, str(size)]
    found: Figures = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return found


def _take_medians(runs: list[Figures]) -> Figures:
    values: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        for name, value in run.items():
            values[name].append(value)
    return {name: statistics.median(found) for name, found in values.items()}


def work_off_queue() -> None:
    """Print the figures of queues that are worked off completely."""
    os.environ[ALL] = "yes"
    for size in (SIZES["queue"], FACTOR * SIZES["queue"]):
        found = _run("queue", size)
        print(f"{size:6,} queued runs: {1 / found['seconds']:.0f} starts/s, {found['memory']:.0f} MB", flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["queue"]:
        work_off_queue()
    else:
        main(*(int(argument) for argument in sys.argv[1:]))
