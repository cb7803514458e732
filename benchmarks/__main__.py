"""``make bench``: run every benchmark in a separate process, so that the peak memory of each is measured separately.

At the end, it prints one table of all figures and writes them with the machine and the versions to a file of JSON.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.judge import RECORD
from benchmarks.results import collect, describe_machine, format_table

BENCHMARKS = {
    "dor_generate": "DOR files: generation",
    "dor_read": "DOR files: the reader against a plain Polars decode",
    "dor_import": "DOR import: first import, other order and daily update against the limits of their steps",
    "dor_growth": "DOR import: memory and daily update with three times as many wages",
    "peers": "DOR import: pgloader, dlt, executemany and SQLAlchemy's ORM on the same wage file",
    "eligibility_feed": "Eligibility feed against COPY (SELECT …) TO",
    "employer_load": "Employer load against the simulator at 50 ms latency",
    "employee_updates": "Employee updates against a bare COPY",
    "states": "The interpreter against moto's, in memory and durable",
    "synth": "Synthesis of 39 tasks, 19 schedules and 3 triggers",
    "getting_started": "The page nightferry/docs/getting-started.md in an empty folder",
    "startup": "The start of the command line against the bare interpreter",
    "engine": "The durable engine and the start of a task",
    "dashboard": "The dashboard on 100,000 runs, 10,000 executions and 1,000,000 lines, served by nightferry up",
}


def main() -> int:
    """Run the benchmarks on the command line, or all. Return 1 if one failed."""
    chosen = sys.argv[1:] or list(BENCHMARKS)
    if unknown := [name for name in chosen if name not in BENCHMARKS]:
        print(f"Unknown benchmark: {', '.join(unknown)}. Available: {', '.join(BENCHMARKS)}.", file=sys.stderr)
        return 2
    print(", ".join(describe_machine().values()))
    failed: list[str] = []
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="nightferry-bench-") as folder:
        records = {name: Path(folder) / name for name in chosen}
        for name in chosen:
            print(f"\n── {BENCHMARKS[name]} (benchmarks/{name}.py) ──", flush=True)
            started = time.monotonic()
            command = [sys.executable, "-m", f"benchmarks.{name}"]
            environment = {**os.environ, "PYTHONPATH": "nightferry", RECORD: str(records[name])}
            if subprocess.run(command, env=environment).returncode != 0:
                failed.append(name)
            seconds[name] = time.monotonic() - started
            print(f"   took {seconds[name]:.0f} s", flush=True)
        results = collect(records, seconds)
    print(f"\nAll figures, measured in {sum(seconds.values()):.0f} s")
    for line in format_table(results.figures):
        print(line)
    print(f"Written to {results.write()}")
    if failed:
        print(f"\nFailed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
