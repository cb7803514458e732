"""``make bench``: run every benchmark in a separate process, so that the peak memory of each is measured separately.

At the end, it prints one table of all figures and writes them with the machine and the versions to a file of JSON.
``make bench QUICK=1`` runs every benchmark with small sizes, to check that they work; its figures mean nothing.
``make bench ONLY='dor_import peers'`` runs some of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.judge import QUICK, RECORD
from benchmarks.results import Results, collect, describe_machine, format_table


@dataclass(frozen=True)
class Benchmark:
    """A module of this package: the title of its output, and its arguments in a quick check."""

    title: str
    quick: tuple[str, ...] = ()


BENCHMARKS = {
    "dor_generate": Benchmark("DOR files: generation", ("20000",)),
    "dor_read": Benchmark("DOR files: the reader against a plain Polars decode", ("20000",)),
    "dor_import": Benchmark(
        "DOR import: first import, other order and daily update against the limits of their steps", ("5000", "1")
    ),
    "dor_growth": Benchmark("DOR import: memory and daily update with three times as many wages", ("5000",)),
    "peers": Benchmark(
        "DOR import: pgloader, dlt, executemany and SQLAlchemy's ORM on the same wage file", ("1000", "1")
    ),
    "eligibility_feed": Benchmark("Eligibility feed against COPY (SELECT …) TO", ("5000", "1")),
    "eligibility_feed_s3": Benchmark("Eligibility feed to S3 against the same client alone", ("3000", "1")),
    "employer_load": Benchmark("Employer load against the simulator at 50 ms latency", ("100", "1")),
    "employee_updates": Benchmark("Employee updates against a bare COPY", ("5000", "1")),
    "states": Benchmark("The interpreter against moto's, in memory and durable"),
    "synth": Benchmark("Synthesis of 39 tasks, 19 schedules and 3 triggers; of the workload, against AWS CDK", ("1",)),
    "getting_started": Benchmark("The page nightferry/docs/getting-started.md in an empty folder"),
    "startup": Benchmark("The start of the command line against the bare interpreter", ("3",)),
    "engine": Benchmark("The durable engine and the start of a task", ("3",)),
    "scale": Benchmark("The engine with ten times as many runs, executions, objects, schedules and items", ("10",)),
    "dashboard": Benchmark(
        "The dashboard on 100,000 runs, 10,000 executions and 1,000,000 lines, served by nightferry up"
    ),
}


def main() -> int:
    """Run the benchmarks on the command line, or all. Return 1 if one failed or missed a limit."""
    chosen = sys.argv[1:] or list(BENCHMARKS)
    if unknown := [name for name in chosen if name not in BENCHMARKS]:
        print(f"Unknown benchmark: {', '.join(unknown)}. Available: {', '.join(BENCHMARKS)}.", file=sys.stderr)
        return 2
    print(", ".join(describe_machine().values()))
    is_quick = bool(os.environ.get(QUICK))
    results = run_all(
        {
            name: [sys.executable, "-m", f"benchmarks.{name}", *(BENCHMARKS[name].quick if is_quick else ())]
            for name in chosen
        }
    )
    print(f"\nAll figures, measured in {sum(results.seconds.values()):.0f} s")
    for line in format_table(results):
        print(line)
    if is_quick:
        print("This was a quick check. Its figures mean nothing, and were not stored.")
        return 1 if results.failed else 0
    print(f"Written to {results.write()}")
    return 1 if results.failed or any(figure.missed for figure in results.figures) else 0


def run_all(commands: Mapping[str, Sequence[str]]) -> Results:
    """Run the command of each benchmark, and return the recorded figures, also if some fail or miss their limits."""
    seconds: dict[str, float] = {}
    codes: dict[str, int] = {}
    with tempfile.TemporaryDirectory(prefix="nightferry-bench-") as folder:
        records = {name: Path(folder) / name for name in commands}
        for name, command in commands.items():
            title = f"{BENCHMARKS[name].title} (benchmarks/{name}.py)" if name in BENCHMARKS else name
            print(f"\n── {title} ──", flush=True)
            started = time.monotonic()
            environment = {**os.environ, "PYTHONPATH": "nightferry", RECORD: str(records[name])}
            codes[name] = subprocess.run(command, env=environment).returncode
            seconds[name] = time.monotonic() - started
            print(f"   took {seconds[name]:.0f} s", flush=True)
        return collect(records, seconds, codes)


if __name__ == "__main__":
    sys.exit(main())
