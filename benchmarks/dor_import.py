"""The DOR import against a bare binary COPY of the rows that it writes, measured in the same run.

The files are encrypted. Each import is a separate ``dor-import`` process, timed from start to exit. The first import
loads an employer file and a wage file into an empty database; the second loads a wage file with the same records in
another order. The bare COPY loads the same rows into the truncated wages table with its primary key, indexes and
foreign keys. It runs twice: with the keys and order of the import, which is faster, and with random keys in random
order, as a program that generates keys line by line would load them.
"""

from __future__ import annotations

import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import psycopg

from benchmarks import database
from benchmarks.database import build_job_environment
from benchmarks.judge import Limit, Ratio, judge
from nightferry.local.services.postgres import Postgres
from paidleave.db.migrate import upgrade
from paidleave.dor import encryption
from paidleave.dor.generate import Population, write_employer_file, write_wage_file
from paidleave.dor.generate.wages import count_wages

MEMORY_LIMIT_MB = 600

_EMPLOYER_FILE = "DORDFMLEMP_20200519120622"
_WAGE_FILE = "DORDFML_20200519120622"
_SHUFFLED_FILE = "DORDFML_20200520120622"
# Linux includes the memory of the parent process in a new process's peak memory. This launcher is small.
_LAUNCHER = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=sys.stderr)
_, status, usage = os.wait4(process.pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""
_RANDOM = """
    SELECT gen_random_uuid() AS wage_and_contribution_id, account_key, filing_period, employee_id, employer_id,
           is_independent_contractor, is_opted_in, employee_ytd_wages, employee_qtr_wages, employee_med_contribution,
           employer_med_contribution, employee_fam_contribution, employer_fam_contribution, latest_import_log_id,
           created_at, updated_at
    FROM rows ORDER BY random()
"""


@dataclass(frozen=True)
class Files:
    """The encrypted files of two days. ``wages`` is the number of B lines in each wage file."""

    folder: Path
    private_key: str
    wages: int


@dataclass(frozen=True)
class Measurement:
    """The duration of a process in seconds, and its peak memory in MB."""

    seconds: float
    memory: float


def main(lines: int = 1_000_000, repeat: int = 3) -> None:
    """Print medians of ``repeat`` runs with about ``lines`` B lines, and the peak memory with three times as many."""
    with database.directory() as directory, database.server(directory) as server:
        files = _write_files(directory / "files", lines)
        print(f"{files.wages:,} B lines with their employers and A lines, encrypted; medians of {repeat} runs")
        first, unchanged, ordered, shuffled = [], [], [], []
        for _ in range(repeat):
            with _create_database(server) as conninfo:
                first.append(_import(conninfo, files, [_EMPLOYER_FILE, _WAGE_FILE]))
                unchanged.append(_import(conninfo, files, [_SHUFFLED_FILE]))
                ordered.append(_copy(conninfo, "SELECT * FROM rows ORDER BY wage_and_contribution_id"))
                shuffled.append(_copy(conninfo, _RANDOM))
        in_order, in_disorder = statistics.median(ordered), statistics.median(shuffled)
        print(f"{'':34}{'seconds':>9}{'lines/s':>10}{'MB':>6}")
        seconds = _print_row("first import", first, files.wages)
        _print_row("same records, other order", unchanged, files.wages)
        print(f"{'bare COPY, the import’s order':34}{in_order:9.1f}{files.wages / in_order:10,.0f}")
        print(f"{'bare COPY, random order':34}{in_disorder:9.1f}{files.wages / in_disorder:10,.0f}")
        shutil.rmtree(files.folder)
        with _create_database(server) as conninfo:
            more = _write_files(directory / "more", 3 * lines)
            measured = _import(conninfo, more, [_EMPLOYER_FILE, _WAGE_FILE])
        print(f"peak memory with {more.wages:,} B lines: {measured.memory:.0f} MB")
        judge(
            Ratio("first import / bare COPY, the import’s order", in_order / seconds, 0.7),
            Ratio("first import / bare COPY, random order", in_disorder / seconds, 0.7),
            Limit("peak memory", measured.memory, MEMORY_LIMIT_MB, "MB"),
        )


def _print_row(name: str, measured: list[Measurement], lines: int) -> float:
    seconds = statistics.median(each.seconds for each in measured)
    print(f"{name:34}{seconds:9.1f}{lines / seconds:10,.0f}{max(each.memory for each in measured):6.0f}")
    return seconds


@contextmanager
def _create_database(server: Postgres) -> Iterator[str]:
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS bench WITH (FORCE)")
        connection.execute("CREATE DATABASE bench")
    upgrade(lambda: psycopg.connect(server.conninfo("bench")))
    yield server.conninfo("bench")


def _write_files(folder: Path, lines: int) -> Files:
    folder.mkdir()
    key = encryption.generate_key("DOR import benchmark")
    population, wages = _make_population(lines)
    plain = folder / "plain"
    with plain.open("wb") as stream:
        write_wage_file(stream, population)
    _encrypt(plain, folder / _WAGE_FILE, key)
    # The file is shuffled in memory, because the memory of this process is not measured.
    content = plain.read_bytes().splitlines(keepends=True)
    random.Random(1).shuffle(content)
    plain.write_bytes(b"".join(content))
    del content
    _encrypt(plain, folder / _SHUFFLED_FILE, key)
    with plain.open("wb") as stream:
        write_employer_file(stream, population)
    _encrypt(plain, folder / _EMPLOYER_FILE, key)
    plain.unlink()
    return Files(folder, key.private.get_secret_value(), wages)


def _make_population(lines: int) -> tuple[Population, int]:
    """Return a population whose wage file has at least ``lines`` B lines, and its number of B lines.

    The number of employers is the smallest possible multiple of a hundred.
    """
    employers = 100
    while (wages := _count_wages(employers)) < lines:
        employers += max(100, (lines - wages) * employers // wages // 100 * 100)
    return Population(employers), wages


def _count_wages(employers: int) -> int:
    return int(count_wages(Population(employers).seed, pl.int_range(1, employers + 1, eager=True)).sum())


def _encrypt(plain: Path, target: Path, key: encryption.KeyPair) -> None:
    with (
        plain.open("rb") as source,
        target.open("wb") as encrypted,
        encryption.encrypt(encrypted, key.public) as stream,
    ):
        shutil.copyfileobj(source, stream, 1 << 20)


def _import(conninfo: str, files: Files, names: list[str]) -> Measurement:
    """Import the files ``names`` in a process; raises CalledProcessError if it fails."""
    received = files.folder / "dor" / "received"
    received.mkdir(parents=True, exist_ok=True)
    for name in names:
        (received / name).hardlink_to(files.folder / name)
    environment = {
        **build_job_environment(conninfo),
        "FOLDER_PATH": str(received),
        "QUIET_SECONDS": "0",
        "DECRYPT": "true",
        "GPG_DECRYPTION_KEY": files.private_key,
    }
    started = time.perf_counter()
    launched = subprocess.run(
        [sys.executable, "-c", _LAUNCHER, Path(sys.executable).with_name("dor-import")],
        env=environment,
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - started
    if launched.returncode != 0:
        sys.stderr.write(launched.stderr)
        launched.check_returncode()
    return Measurement(seconds, int(launched.stdout) / 1024)


def _copy(conninfo: str, rows: str) -> float:
    """Return the seconds to COPY the result of the query ``rows`` into the truncated wages table.

    The query selects from the table ``rows``, which contains the rows that the import wrote.
    """
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS rows AS SELECT * FROM wages_and_contributions")
        connection.execute("TRUNCATE wages_and_contributions CASCADE")
        with connection.cursor().copy(f"COPY ({rows}) TO STDOUT (FORMAT binary)".encode()) as copy:
            data = [bytes(block) for block in copy]
        columns = [column.name for column in connection.execute(f"{rows} LIMIT 0".encode()).description or []]
        connection.execute("CHECKPOINT")
        started = time.perf_counter()
        with connection.cursor().copy(
            f"COPY wages_and_contributions ({', '.join(columns)}) FROM STDIN (FORMAT binary)".encode()
        ) as copy:
            for block in data:
                copy.write(block)
        return time.perf_counter() - started


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
