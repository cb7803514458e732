"""Read DOR files: lines per second and peak memory, against a plain Polars decode of the same file.

The peer reads the whole file into memory and slices, trims and converts the same fields. It does not validate line
lengths, letters, dates or amounts; an invalid line would be lost or abort it. Both use one core (one Polars thread),
except that "with digest" has a second thread. ``python -m benchmarks.dor_read 20000`` is a quick check.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

from benchmarks.dor_generate import count_employers
from benchmarks.judge import Ratio, judge
from paidleave.dor import generate
from paidleave.dor.files import reader
from paidleave.dor.files.formats import WAGE_A, WAGE_B, WAGE_FILE, Field, FieldType, Format
from paidleave.dor.files.streams import Digest

RUNS = 3
B_LINES = 300_000


def main(lines: int = B_LINES) -> None:
    """Print the table for files with at least ``lines`` B lines."""
    with tempfile.TemporaryDirectory(prefix="nightferry-bench-") as name:
        file, long = Path(name) / "wages", Path(name) / "long"
        for path, b_lines in ((file, lines), (long, 3 * lines)):
            with path.open("wb") as stream:
                generate.write_wage_file(stream, generate.Population(count_employers(b_lines)))
        runs: dict[str, list[dict[str, float]]] = {kind: [] for kind in ("reader", "with digest", "plain Polars")}
        for _ in range(RUNS):
            for kind, results in runs.items():
                results.append(_measure(kind, file))
        peer = statistics.median(run["seconds"] for run in runs["plain Polars"])
        for kind, results in runs.items():
            seconds = statistics.median(run["seconds"] for run in results)
            memory = statistics.median(run["memory"] for run in results)
            print(
                f"{kind:13} {seconds:6.2f} s  {results[0]['lines'] / seconds:10,.0f} lines/s  {memory:6,.0f} MB peak"
                f"  {peer / seconds:5.2f} times the plain decode's speed"
            )
        with_digest = statistics.median(run["seconds"] for run in runs["with digest"])
        print(f"{'3 times':13} {'':6}    {'':10}          {_measure('reader', long)['memory']:6,.0f} MB peak")
        judge(Ratio("reader with digest / plain Polars decode", peer / with_digest))


def _measure(kind: str, file: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.dor_read", kind, str(file)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env={**os.environ, "POLARS_MAX_THREADS": "1"})
    result: dict[str, float] = json.loads(done.stdout)
    return result


def _read(kind: str, file: Path) -> None:
    started = time.perf_counter()
    with file.open("rb") as stream:
        if kind == "plain Polars":
            lines = _plain_decode(file)
        elif kind == "with digest":
            with Digest(stream) as digest:
                lines = sum(batch.lines for batch in reader.read(digest, WAGE_FILE))
        else:
            lines = sum(batch.lines for batch in reader.read(stream, WAGE_FILE))
    result = {
        "seconds": time.perf_counter() - started,
        "lines": lines,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(result))


def _plain_decode(file: Path) -> int:
    lines = pl.read_csv(
        file, has_header=False, separator="\x01", quote_char=None, new_columns=["line"], schema={"line": pl.String}
    )
    frames = [
        lines.filter(pl.col("line").str.starts_with(format.letter or "")).select(
            _plain_field(field, format) for field in format.fields
        )
        for format in (WAGE_A, WAGE_B)
    ]
    return sum(len(frame) for frame in frames)


def _plain_field(field: Field, format: Format) -> pl.Expr:
    text = pl.col("line").str.slice(format.offsets[field.name], field.width).str.strip_chars()
    match field.type:
        case FieldType.DATE:
            text = text.str.to_date("%Y%m%d")
        case FieldType.DATETIME:
            text = text.str.to_datetime("%Y%m%d%H%M%S", time_zone="UTC")
        case FieldType.BOOL:
            text = text == "T"
        case FieldType.AMOUNT | FieldType.OPTIONAL_AMOUNT:
            text = text.cast(pl.Decimal(38, 2))
    return text.alias(field.name)


if __name__ == "__main__":
    if sys.argv[2:]:
        _read(sys.argv[1], Path(sys.argv[2]))
    else:
        main(*(int(argument) for argument in sys.argv[1:]))
