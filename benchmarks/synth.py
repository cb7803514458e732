"""Synthesis of a large catalog: 39 tasks, 19 schedules, 3 triggers and one workflow; medians of five runs.

Imports are not included. The peer is ``json``, which reads and writes the same files once. The limit, including the
declarations, is one second.
"""

from __future__ import annotations

import json
import statistics
import time

from benchmarks.judge import Limit, Ratio, judge
from nightferry.terraform import synthesize
from nightferry.terraform.monitoring.overdue import find_longest_gap
from tests.terraform import full_catalog

LIMIT_SECONDS = 1.0


def main() -> None:
    """Print the times. Exit with 1 above the limit."""
    declaring, synthesizing, writing = [], [], []
    size = 0
    for _ in range(5):
        find_longest_gap.cache_clear()  # the real command starts with an empty cache
        started = time.perf_counter()
        catalog = full_catalog.make_catalog()
        environment = full_catalog.make_environment(catalog)
        declared = time.perf_counter()
        files = synthesize(catalog, environment)
        synthesizing.append(time.perf_counter() - declared)
        declaring.append(declared - started)
        size = sum(map(len, files.values()))
        started = time.perf_counter()
        for name, text in files.items():
            if name.endswith(".json"):
                json.dumps(json.loads(text), indent=2)
        writing.append(time.perf_counter() - started)
    print(f"declare    {statistics.median(declaring):.3f} s")
    print(f"synthesize {statistics.median(synthesizing):.3f} s   {len(files)} files, {size / 1000:,.0f} kB")
    ratio = statistics.median(writing) / statistics.median(synthesizing)
    print(f"json alone {statistics.median(writing):.3f} s   synthesis has {ratio:.2f} times its speed")
    seconds = statistics.median(declaring) + statistics.median(synthesizing)
    judge(
        Ratio("synthesis / json alone", ratio),
        Limit("declare and synthesize", seconds, LIMIT_SECONDS, "s"),
    )


if __name__ == "__main__":
    main()
