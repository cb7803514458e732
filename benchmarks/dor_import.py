"""The DOR import against the limits of its steps, measured in the same run; see :mod:`benchmarks.dor_limits`.

The files are encrypted. Each import is a separate ``dor-import`` process, timed from start to exit, which does all that
the job does: rejected lines, history, queues for FINEOS and counts. The first import loads an employer file and a wage
file into an empty database. The second loads a wage file with the same records in another order, which changes
nothing. The third, a daily update, changes every wage. Each begins with collected statistics, as on another day. The
limit of the update runs in a copy of the same database, before the limits that load the wages table again.

The processor time of an import, with that of the database, is printed beside its duration. Divided by the number of
processors, it is the shortest time in which this machine could do the same work, with all steps at the same time. It
therefore limits the ratio of the second import to its slowest step, which the output states.

The imports and the limits run alternately. ``python -m benchmarks.dor_import 20000 1`` is a quick check.
"""

from __future__ import annotations

import os
import statistics
import sys

import psycopg

from benchmarks import database, dor_limits
from benchmarks.dor_files import (
    CHANGED,
    EMPLOYERS,
    OTHER_ORDER,
    WAGES,
    Files,
    Import,
    create_database,
    run_import_with_database,
    settle,
    write_files,
)
from benchmarks.judge import Ratio, judge
from nightferry.local.services.postgres import Postgres

FIRST_TARGET = 1.0
OTHER_ORDER_TARGET = 0.75
UPDATE_TARGET = 0.9
OTHER = "same records, other order"


def main(lines: int = 200_000, repeat: int = 5) -> None:
    """Print medians of ``repeat`` runs with about ``lines`` B lines. Exit with 1 below a target."""
    imports: dict[str, list[Import]] = {}
    limits: dict[str, list[float]] = {}
    with database.directory() as directory, database.server(directory) as server:
        files = write_files(directory / "files", lines)
        for _ in range(repeat):
            _measure(server, files, imports, limits)
    print(f"{files.wages:,} B lines with their employers and A lines, encrypted; medians of {repeat} runs")
    print(f"The load of the machine after the runs: {os.getloadavg()[0]:.1f}")
    print(f"{'':40}{'seconds':>9}{'lines/s':>10}{'MB':>6}{'processor: job':>18}{'database':>12}")
    seconds = {name: statistics.median(one.job.seconds for one in measured) for name, measured in imports.items()}
    for name, measured in imports.items():
        memory = max(one.job.memory for one in measured)
        job = statistics.median(one.job.processor for one in measured)
        server_time = statistics.median(one.database for one in measured)
        rates = f"{seconds[name]:9.2f}{files.wages / seconds[name]:10,.0f}{memory:6.0f}"
        print(f"{name:40}{rates}{job:16.2f} s{server_time:10.2f} s")
    alone = {name: statistics.median(measured) for name, measured in limits.items()}
    for name, limit in alone.items():
        print(f"{name:40}{limit:9.2f}{files.wages / limit:10,.0f}")
    slowest = max(("gpg alone", "reader alone", "COPY into unlogged staging"), key=alone.__getitem__)
    cores = os.cpu_count() or 1
    shortest = statistics.median(one.processor for one in imports[OTHER]) / cores
    print(f"The slowest step of reading and staging alone: {slowest}")
    print(
        f"The processor time of '{OTHER}' fills {cores} processors for {shortest:.2f} s, so that its ratio to the "
        f"slowest step can be {alone[slowest] / shortest:.2f} at most"
    )
    judge(
        Ratio("first import / COPY in our order", alone["COPY, our order"] / seconds["first import"], FIRST_TARGET),
        Ratio("first import / COPY in random order", alone["COPY, random order"] / seconds["first import"]),
        Ratio(
            f"{OTHER} / slowest step",
            alone[slowest] / seconds[OTHER],
            OTHER_ORDER_TARGET,
        ),
        Ratio(
            "daily update of all rows / bare UPDATE and history",
            alone["UPDATE with history"] / seconds["daily update of all rows"],
            UPDATE_TARGET,
        ),
    )


def _measure(server: Postgres, files: Files, imports: dict[str, list[Import]], limits: dict[str, list[float]]) -> None:
    """Add one measurement of each import and each limit."""

    def measure(name: str, *names: str) -> None:
        settle(conninfo)
        measured = run_import_with_database(server, conninfo, files.folder, files.private_key, *names)
        imports.setdefault(name, []).append(measured)

    def add(name: str, seconds: float) -> None:
        limits.setdefault(name, []).append(seconds)

    with create_database(server) as conninfo:
        measure("first import", EMPLOYERS, WAGES)
        add("gpg alone", dor_limits.time_gpg(files.folder / WAGES, files.private_key))
        measure(OTHER, OTHER_ORDER)
        add("reader alone", dor_limits.time_reader(files.plain))
        settle(conninfo)
        with create_database(server, "bare", template="bench") as bare:
            add("UPDATE with history", dor_limits.time_update(bare))
            measure("daily update of all rows", CHANGED)
            _check_history(conninfo, files.wages)
            add("COPY into unlogged staging", dor_limits.time_staging(bare))
            add("COPY, our order", dor_limits.time_copy(bare, dor_limits.IN_ORDER))
            add("COPY, random order", dor_limits.time_copy(bare, dor_limits.IN_RANDOM_ORDER))


def _check_history(conninfo: str, wages: int) -> None:
    """Check that the daily update changed all rows, which the other imports did not change."""
    with psycopg.connect(conninfo) as connection:
        counted = connection.execute("SELECT count(*) FROM wages_and_contributions_history").fetchone()
    assert counted == (wages,), counted


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
