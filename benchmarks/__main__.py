"""``make bench``: run every benchmark in a separate process, so that the peak memory of each is measured separately."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time

BENCHMARKS = {
    "dor_generate": "DOR files: generation",
    "dor_read": "DOR files: the reader against a plain Polars decode",
    "dor_import": "DOR import: first import, unchanged records, and a bare COPY",
    "eligibility_feed": "Eligibility feed against COPY (SELECT …) TO",
    "employer_load": "Employer load against the simulator at 50 ms latency",
    "employee_updates": "Employee updates against a bare COPY",
    "states": "The interpreter against moto's, in memory and durable",
    "synth": "Synthesis of 39 tasks, 19 schedules and 3 triggers",
    "getting_started": "The page nightferry/docs/getting-started.md in an empty folder",
    "engine": "The durable engine and the start of a task",
    "dashboard": "The dashboard on 100,000 runs, 10,000 executions and 1,000,000 lines, served by nightferry up",
}


def main() -> int:
    """Run the benchmarks on the command line, or all. Return 1 if one failed."""
    chosen = sys.argv[1:] or list(BENCHMARKS)
    if unknown := [name for name in chosen if name not in BENCHMARKS]:
        print(f"Unknown benchmark: {', '.join(unknown)}. Available: {', '.join(BENCHMARKS)}.", file=sys.stderr)
        return 2
    print(
        f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}"
    )
    failed = []
    for name in chosen:
        print(f"\n── {BENCHMARKS[name]} (benchmarks/{name}.py) ──", flush=True)
        started = time.monotonic()
        command = [sys.executable, "-m", f"benchmarks.{name}"]
        if subprocess.run(command, env={**os.environ, "PYTHONPATH": "nightferry"}).returncode != 0:
            failed.append(name)
        print(f"   took {time.monotonic() - started:.0f} s", flush=True)
    if failed:
        print(f"\nFailed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
