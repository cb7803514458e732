"""Synthesis of a whole agency: 39 tasks, 19 schedules, 3 triggers, one workflow, after import; median of five.

Limit: one second, declaring included.
"""

from __future__ import annotations

import statistics
import time

from nightferry.terraform import synthesize
from nightferry.terraform.alarms import longest_gap
from tests.terraform import whole

LIMIT = 1.0  # seconds


def main() -> None:
    """Print the times; exit 1 above the limit."""
    declaring, synthesizing = [], []
    size = 0
    for _ in range(5):
        longest_gap.cache_clear()  # a command synthesizes once
        started = time.perf_counter()
        catalog = whole.make_catalog()
        environment = whole.make_environment(catalog)
        declared = time.perf_counter()
        files = synthesize(catalog, environment)
        synthesizing.append(time.perf_counter() - declared)
        declaring.append(declared - started)
        size = sum(map(len, files.values()))
    print(f"declare    {statistics.median(declaring):.3f} s")
    print(f"synthesize {statistics.median(synthesizing):.3f} s   {len(files)} files, {size / 1000:,.0f} kB")
    if statistics.median(declaring) + statistics.median(synthesizing) > LIMIT:
        raise SystemExit(f"Above the limit of {LIMIT} s.")


if __name__ == "__main__":
    main()
