"""Write DOR files: lines per second, peak memory, and the ratio to writing the same bytes to disk.

Each figure is the median of three runs. Each run is a separate process, so that its peak memory is measured separately.
``python -m benchmarks.dor_generate 20000`` is a quick check.
"""

from __future__ import annotations

import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

from benchmarks.judge import Ratio, judge
from paidleave.dor import encryption, generate
from paidleave.dor.files.formats import WAGE_B
from paidleave.dor.generate.wages import count_wages

RUNS = 3
B_LINES = 300_000


def count_employers(b_lines: int) -> int:
    """Return the number of employers that have at least ``b_lines`` B lines in total."""
    lines = count_wages(0, pl.int_range(1, b_lines // 20, eager=True)).cum_sum()
    return int((lines < b_lines).sum()) + 1


def main(lines: int = B_LINES) -> None:
    """Print the table for files with at least ``lines`` B lines."""
    with tempfile.TemporaryDirectory(prefix="nightferry-bench-") as name:
        folder = Path(name)
        wages, copy = folder / "wages", folder / "copy"
        (folder / "key").write_text(encryption.generate_key("Benchmark").public)
        plain, bare, encrypted = [], [], []
        for _ in range(RUNS):
            plain.append(_measure("plain", lines, wages))
            bare.append(_copy_seconds(wages, copy))
            encrypted.append(_measure("encrypted", lines, wages))
        long = _measure("plain", 3 * lines, None)
        disk = statistics.median(bare)
        print(f"{plain[0]['b_lines']:,} B lines, {plain[0]['lines']:,} lines, {plain[0]['bytes'] / 1e6:,.0f} MB")
        for label, runs in (("plain", plain), ("encrypted", encrypted)):
            seconds = statistics.median(run["seconds"] for run in runs)
            memory = statistics.median(run["memory"] for run in runs)
            print(
                f"{label:10} {seconds:6.2f} s  {runs[0]['lines'] / seconds:10,.0f} lines/s  {memory:5.0f} MB peak"
                f"  {seconds / disk:5.1f} times writing the same bytes to disk ({disk:.2f} s)"
            )
        print(f"{'3 times':10} {long['seconds']:6.2f} s  {'':18}  {long['memory']:5.0f} MB peak")
        judge(
            Ratio("generation / the same bytes copied", disk / statistics.median(run["seconds"] for run in plain)),
            Ratio(
                "encrypted generation / the same bytes copied",
                disk / statistics.median(run["seconds"] for run in encrypted),
            ),
        )


def _measure(kind: str, b_lines: int, target: Path | None) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.dor_generate", kind, str(b_lines), str(target or "/dev/null")]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def _copy_seconds(source: Path, target: Path) -> float:
    """Return the seconds to copy ``source`` in blocks of the generator's size. It is read from the page cache."""
    with source.open("rb") as reading:
        reading.read(1)
        reading.seek(0)
        started = time.perf_counter()
        with target.open("wb") as writing:
            shutil.copyfileobj(reading, writing, 8 * 1024 * 1024)
        return time.perf_counter() - started


def _write(kind: str, b_lines: int, target: Path) -> None:
    population = generate.Population(count_employers(b_lines))
    started = time.perf_counter()
    with target.open("wb") as file:
        if kind == "encrypted":
            key = (target.parent / "key").read_text()
            with encryption.encrypt(file, key) as stream:
                written = generate.write_wage_file(stream, population)
        else:
            written = generate.write_wage_file(file, population)
    result = {
        "seconds": time.perf_counter() - started,
        "lines": written.lines,
        "b_lines": written.good[WAGE_B.name],
        "bytes": written.bytes,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    if sys.argv[2:]:
        _write(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
    else:
        main(*(int(argument) for argument in sys.argv[1:]))
