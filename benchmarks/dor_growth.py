"""The growth of the DOR import with its data: peak memory, and the time per line of a day's update.

A database gets the first files and the files of three days, each of which has a tenth of the lines. This is repeated
with ``factor`` times as many lines. The time per line excludes that of a job that finds no file, which is the same for
any number of lines. Otherwise a slower start would improve the figure. The processor time per line, with that of the
database, is measured in the same way. It shows whether the work grows, or the wait for the disk: the log of a large
update fills ``max_wal_size``, which causes a checkpoint.

``python -m benchmarks.dor_growth 1000000 10`` has ten times as many lines, which takes about ten minutes.
``python -m benchmarks.dor_growth 20000`` is a quick check.
"""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import database
from benchmarks.dor_files import (
    EMPLOYERS,
    WAGES,
    create_database,
    make_population,
    run_import,
    run_import_with_database,
    settle,
)
from benchmarks.judge import Limit, judge
from nightferry.local.services.postgres import Postgres
from paidleave.dor import encryption
from paidleave.dor.files.formats import WAGE_B
from paidleave.dor.files.streams import ByteTarget
from paidleave.dor.generate import Population, write_employer_file, write_wage_file
from paidleave.dor.generate.writing import WriteCounts

DAYS = 3
GROWTH_LIMIT = 1.1
MEMORY_LIMIT_MB = 300


@dataclass(frozen=True)
class Size:
    """The figures with one number of wages: seconds per line of the updates without a job's start, and memory in MB."""

    wages: int
    seconds_per_line: float
    processor_per_line: float
    memory: float


def main(lines: int = 500_000, factor: int = 3) -> None:
    """Print the figures with about ``lines`` B lines and with ``factor`` times as many. Exit with 1 above a limit."""
    with database.directory() as directory, database.server(directory) as server:
        fewer, more = (_measure(server, directory / str(size), size) for size in (lines, factor * lines))
    print(f"The load of the machine after the runs: {os.getloadavg()[0]:.1f}")
    judge(
        Limit(
            f"daily update per line, {more.wages / fewer.wages:.1f} times as many wages",
            more.seconds_per_line / fewer.seconds_per_line,
            GROWTH_LIMIT,
            "times",
        ),
        Limit(
            "its processor time per line, with the database's",
            more.processor_per_line / fewer.processor_per_line,
            GROWTH_LIMIT,
            "times",
        ),
        Limit("peak memory of the import", max(fewer.memory, more.memory), MEMORY_LIMIT_MB, "MB"),
        Limit("peak memory of more lines / fewer lines", more.memory / fewer.memory, GROWTH_LIMIT, "times"),
    )


def _measure(server: Postgres, folder: Path, lines: int) -> Size:
    folder.mkdir()
    key = encryption.generate_key("DOR growth benchmark")
    population, wages = make_population(lines)
    with create_database(server) as conninfo:
        _write(folder / EMPLOYERS, key.public, write_employer_file, population)
        _write(folder / WAGES, key.public, write_wage_file, population)
        first = run_import(conninfo, folder, key.private, EMPLOYERS, WAGES)
        print(f"{wages:,} B lines: {wages / first.seconds:,.0f} lines/s first, {first.memory:.0f} MB", flush=True)
        starts, per_line, processor_per_line, memories = [], [], [], [first.memory]
        for day in range(1, DAYS + 1):
            name = WAGES.replace("20200519", f"202005{19 + day}")
            later = replace(population, update=True, day=day)
            updated = _write(folder / name, key.public, write_wage_file, later).good[WAGE_B.name]
            settle(conninfo)
            start = run_import_with_database(server, conninfo, folder, key.private)
            update = run_import_with_database(server, conninfo, folder, key.private, name)
            starts.append(start.job.seconds)
            per_line.append((update.job.seconds - start.job.seconds) / updated)
            processor_per_line.append((update.processor - start.processor) / updated)
            memories.append(update.job.memory)
    median, processor = statistics.median(per_line), statistics.median(processor_per_line)
    print(
        f"{wages:,} wages: {1 / median:,.0f} lines/s of a day's update after the start of "
        f"{statistics.median(starts):.2f} s, {processor * 1e6:.1f} µs of processor time per line, medians of {DAYS}, "
        f"{max(memories):.0f} MB"
    )
    return Size(wages, median, processor, max(memories))


def _write(
    target: Path, public_key: str, write: Callable[[ByteTarget, Population], WriteCounts], population: Population
) -> WriteCounts:
    with target.open("wb") as encrypted, encryption.encrypt(encrypted, public_key) as stream:
        return write(stream, population)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
