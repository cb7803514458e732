"""The first import of a wage file against other programs that load its B lines into the same PostgreSQL server.

The database has the employers. Each program is a process, timed from start to exit, which begins with a new copy of
this database; the programs run alternately, and one that takes longer than :data:`LONG_SECONDS` runs once. Ours
decrypts the file and does all that the job does: it checks each line, stores rejected lines, matches people and wages,
saves history, fills the queues for FINEOS and counts. The peers get the B lines only, as plain text, and do less, as
their lines of the table state. A ratio is therefore a figure without a target.

dlt runs in ``.venv-bench``, which ``make bench`` creates. A peer that is not installed is reported.
``python -m benchmarks.peers 20000 1`` is a quick check.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import database
from benchmarks.dor_files import EMPLOYERS, WAGES, Files, create_database, run_import, write_files
from benchmarks.judge import MISSING, Ratio, judge, note_version
from benchmarks.peer_programs.pgloader import write_load_file
from benchmarks.processes import Measurement, measure
from nightferry.local.services.postgres import Postgres
from paidleave.dor.files.formats import WAGE_B, FieldType

ROOT = Path(__file__).parents[1]
DLT_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
_TYPES = {FieldType.DATE: "date", FieldType.BOOL: "bool", FieldType.AMOUNT: "amount"}
FIELDS = [(field.name, field.width, _TYPES.get(field.type, "text")) for field in WAGE_B.fields]
_WAGES_TABLE = "wages_and_contributions"
OURS = "dor-import"
LONG_SECONDS = 15


@dataclass(frozen=True)
class Peer:
    """A program that loads B lines into ``table``: how its version is found, how it is installed, and what it omits.

    ``remark`` is the most important omission, which is part of the name of the ratio.

    ``find_version`` returns an empty string if the program is not installed. ``make_command`` receives the file, the
    connection string and a folder for files of its own.
    """

    name: str
    table: str
    does: str
    omits: str
    remark: str
    install: str
    find_version: Callable[[], str]
    make_command: Callable[[Path, str, Path], list[str | Path]]


def main(lines: int = 60_000, repeat: int = 3) -> None:
    """Print medians of ``repeat`` runs with about ``lines`` B lines, and our speed as a multiple of each peer's."""
    versions = {peer.name: peer.find_version() for peer in PEERS}
    installed = [peer for peer in PEERS if versions[peer.name]]
    measured: dict[str, list[Measurement]] = {OURS: [], **{peer.name: [] for peer in installed}}
    with database.directory() as directory, database.server(directory) as server:
        files = write_files(directory / "files", lines)
        b_lines = _select_b_lines(files)
        with create_database(server, "employers") as conninfo:
            run_import(conninfo, files.folder, files.private_key, EMPLOYERS)
            for _ in range(repeat):
                with create_database(server, template="employers") as conninfo:
                    measured[OURS].append(run_import(conninfo, files.folder, files.private_key, WAGES))
                    loaded = _sum_wages(conninfo, _WAGES_TABLE)
                for peer in installed:
                    if (runs := measured[peer.name]) and runs[0].seconds > LONG_SECONDS:
                        continue
                    measured[peer.name].append(_run(peer, server, b_lines, directory, loaded))
    seconds = {name: statistics.median(one.seconds for one in runs) for name, runs in measured.items()}
    print(f"{files.wages:,} B lines; medians of all runs")
    print(f"The load of the machine after the runs: {os.getloadavg()[0]:.1f}")
    print(f"{'':30}{'runs':>5}{'seconds':>9}{'lines/s':>10}{'MB':>6}")
    _print_row(
        OURS, files.wages, measured[OURS], "all rules, rejected lines, history and queues, from the encrypted file"
    )
    for peer in PEERS:
        note_version(peer.name.partition(",")[0], versions[peer.name] or MISSING)
        if peer not in installed:
            print(f"{peer.name:30}{MISSING}: {peer.install}")
            continue
        _print_row(peer.name, files.wages, measured[peer.name], f"{versions[peer.name]}: {peer.does}")
        print(f"{'':30}without {peer.omits}")
    judge(
        *(Ratio(f"first import / {peer.name}, {peer.remark}", seconds[peer.name] / seconds[OURS]) for peer in installed)
    )


def _print_row(name: str, lines: int, measured: list[Measurement], remark: str) -> None:
    seconds = statistics.median(one.seconds for one in measured)
    memory = max(one.memory for one in measured)
    print(f"{name:30}{len(measured):5}{seconds:9.2f}{lines / seconds:10,.0f}{memory:6.0f}  {remark}")


def _select_b_lines(files: Files) -> Path:
    """Write the B lines of the wage file to a file of their own."""
    target = files.folder / "b-lines"
    with files.plain.open("rb") as source, target.open("wb") as lines:
        lines.writelines(line for line in source if line.startswith(b"B"))
    return target


def _run(peer: Peer, server: Postgres, file: Path, folder: Path, expected: tuple[Any, ...]) -> Measurement:
    """Run a peer, and check that it loaded the same number of lines and the same wages as our import."""
    with create_database(server, template="employers") as conninfo:
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT)}
        found = measure(peer.make_command(file, conninfo, folder), environment)
        loaded = _sum_wages(conninfo, peer.table)
    assert loaded == expected, f"{peer.name} loaded {loaded} instead of {expected}"
    return found


def _sum_wages(conninfo: str, table: str) -> tuple[Any, ...]:
    """Return the number of rows of ``table`` and the sum of the wages of their quarters."""
    with psycopg.connect(conninfo) as connection:
        row = connection.execute(f"SELECT count(*), sum(employee_qtr_wages) FROM {table}".encode()).fetchone()
    assert row is not None
    return row


def _run_program(name: str, *more: str, python: Path | None = None) -> Callable[[Path, str, Path], list[str | Path]]:
    """Return a function that makes the command of a program in ``benchmarks/peer_programs``."""

    def make(file: Path, conninfo: str, _: Path) -> list[str | Path]:
        module = f"benchmarks.peer_programs.{name}"
        return [python or sys.executable, "-m", module, file, json.dumps(FIELDS), conninfo, *more]

    return make


def _run_pgloader(file: Path, conninfo: str, folder: Path) -> list[str | Path]:
    load_file = folder / "wages.load"
    write_load_file(load_file, file, FIELDS, conninfo)
    return ["pgloader", "--quiet", "--on-error-stop", "--root-dir", folder / "pgloader", load_file]


def _find_pgloader() -> str:
    if not shutil.which("pgloader"):
        return ""
    shown = subprocess.run(["pgloader", "--version"], capture_output=True, text=True, check=True).stdout
    return shown.splitlines()[0].removeprefix("pgloader version").strip(' "')


def _find_dlt() -> str:
    if not DLT_PYTHON.exists():
        return ""
    code = "import importlib.metadata as packages; print(packages.version('dlt'))"
    return subprocess.run([DLT_PYTHON, "-c", code], capture_output=True, text=True).stdout.strip()


PEERS = (
    Peer(
        "pgloader",
        "peer_wages",
        "LOAD FIXED and COPY into one flat table",
        "decryption, A lines, rules, people, keys and indexes, update and history",
        "flat table without rules",
        "apt-get install pgloader",
        _find_pgloader,
        _run_pgloader,
    ),
    Peer(
        "dlt, Arrow tables",
        "peer.wages",
        "a decode by Polars, files of CSV and COPY into one flat table",
        "decryption, A lines, rules, people, keys and indexes, update and history",
        "flat table without rules",
        "make .venv-bench/.installed",
        _find_dlt,
        _run_program("dlt_load", "arrow", python=DLT_PYTHON),
    ),
    Peer(
        "dlt, Python records",
        "peer.wages",
        "a decode in Python, dlt's own rows of CSV and COPY into one flat table",
        "decryption, A lines, rules, people, keys and indexes, update and history",
        "flat table without rules",
        "make .venv-bench/.installed",
        _find_dlt,
        _run_program("dlt_load", "records", python=DLT_PYTHON),
    ),
    Peer(
        "psycopg executemany",
        _WAGES_TABLE,
        "people and an upsert of wages into the real tables",
        "decryption, A lines, rules, rejected lines, new names, history, queues and one transaction per file",
        "without rules",
        "make test",
        lambda: importlib.metadata.version("psycopg"),
        _run_program("executemany"),
    ),
    Peer(
        "SQLAlchemy ORM, row at a time",
        _WAGES_TABLE,
        "people, a look-up and an object for each line, in the real tables",
        "decryption, A lines, rules, rejected lines, new names, history, queues and one transaction per file",
        "without rules",
        "make test",
        lambda: importlib.metadata.version("SQLAlchemy"),
        _run_program("orm"),
    ),
)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
