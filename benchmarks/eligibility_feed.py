"""The eligibility feed against a bare COPY of the same rows and columns, measured in the same run.

The export is a separate ``fineos-eligibility-feed-export`` process in full mode, timed from start to exit. It sorts and
counts the rows, and writes a durable file for each employer. The peer, ``COPY (SELECT …) TO STDOUT``, selects the same
67 columns of the same rows in any order and discards them. As in DOR's data, an employer has about fifteen employees.

The export is measured twice: into a file system in memory (``/dev/shm``), which has the target, and onto the disk. On
ext4 the time of new files varies by a factor of ten with recent activity: an inode is not reused for minutes after its
file was deleted, and each new file skips all such inodes (``recently_deleted`` in ext4/ialloc.c). Each run of this
benchmark deletes its files. So the time of the file system alone is printed, too: one thread writes the same number of
bytes to hidden names on the disk and renames them.
"""

from __future__ import annotations

import os
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from benchmarks import database
from benchmarks.database import build_job_environment
from benchmarks.judge import Ratio, judge
from benchmarks.processes import measure
from nightferry.local.services.postgres import Postgres
from paidleave.db.migrate import upgrade
from paidleave.db.statements import Statements

TARGET = 0.6
_LOAD = """
SET session_replication_role = replica;
CREATE TEMP TABLE size AS  -- heavy-tailed: few employers have most of the employees
SELECT n, gen_random_uuid() AS employer_id, least(greatest(1, round(1.6 / (1 - random()))), {pairs} / 20)::int AS size
FROM generate_series(1, {employers}) AS n;
INSERT INTO employer (employer_id, employer_fein, account_key, employer_name, employer_dba, fineos_employer_id)
SELECT employer_id, (100000000 + n)::text, '44' || (100000000 + n), 'Employer ' || n, 'Employer ' || n, n FROM size;
CREATE TEMP TABLE person AS
SELECT row_number() OVER () AS n, employer_id, gen_random_uuid() AS employee_id, gen_random_uuid() AS tax_id
FROM size, generate_series(1, size.size) LIMIT {pairs};
INSERT INTO tax_identifier (tax_identifier_id, tax_identifier) SELECT tax_id, (250000000 + n)::text FROM person;
INSERT INTO employee (employee_id, tax_identifier_id, first_name, last_name, middle_name, email_address, phone_number,
                      date_of_birth, title_id, gender_id, marital_status_id)
SELECT employee_id, tax_id, 'First' || n, CASE WHEN n % 100 = 0 THEN 'O''Hara, Jr' ELSE 'Last' || n END, 'M',
       'e' || n || '@example.org',
       CASE WHEN n % 50 = 0 THEN '+44207' || 1000000 + n ELSE '+1617' || 2000000 + n END,
       date '1950-01-01' + (n % 20000)::int, n % 8 + 1, n % 5 + 1, n % 4 + 1
FROM person;
INSERT INTO wages_and_contributions (
    wage_and_contribution_id, account_key, filing_period, employee_id, employer_id, is_independent_contractor,
    is_opted_in, employee_ytd_wages, employee_qtr_wages, employee_med_contribution, employer_med_contribution,
    employee_fam_contribution, employer_fam_contribution)
SELECT gen_random_uuid(), 'key', quarter, employee_id, employer_id, false, false, 100, 100, 1, 1, 1, 1
FROM person, generate_series(date '2021-03-31', date '2021-12-31', interval '3 months') AS quarter;
INSERT INTO employee_occupation (employee_occupation_id, employee_id, employer_id, job_title, employment_status,
                                 date_of_hire, hours_worked_per_week, days_worked_per_week)
SELECT gen_random_uuid(), employee_id, employer_id, 'Clerk', 'Active', '2015-01-01', 37.5, 5
FROM person WHERE n % 2 = 0;
SET session_replication_role = DEFAULT;
"""


def main(employees: int = 300_000, repeat: int = 3) -> None:
    """Print medians of ``repeat`` exports of about ``employees`` employees, each of one employer."""
    with database.directory() as directory, database.server(directory) as server:
        conninfo = server.conninfo("bench")
        load_employees(server, employees)
        copies, exports, on_disk, memories, bare, files, rows = [], [], [], [], [], 0, 0
        with tempfile.TemporaryDirectory(prefix="nightferry-bench-", dir=_find_memory()) as memory_folder:
            for number in range(repeat):
                rows, seconds = _copy(conninfo)
                copies.append(seconds)
                os.sync()  # An export ends with it, and would wait for what others have written.
                seconds, memory = run_export(conninfo, f"{memory_folder}/{number}")
                exports.append(seconds)
                memories.append(memory)
                seconds, _ = run_export(conninfo, str(directory / str(number)))
                on_disk.append(seconds)
                written = sorted((directory / str(number)).rglob("*.csv"))
                files = len(written)
                bare.append(_write_bare_files(written, directory / f"{number}-bare"))
        copy, export, disk = (statistics.median(one) for one in (copies, exports, on_disk))
        print(f"{rows:,} employees at {files:,} employers; medians of {repeat} runs")
        print(f"{'':34}{'seconds':>9}{'employees/s':>13}{'MB':>6}")
        print(f"{'feed export, a file per employer':34}{export:9.1f}{rows / export:13,.0f}{max(memories):6.0f}")
        print(f"{'the same onto the disk':34}{disk:9.1f}{rows / disk:13,.0f}")
        print(f"{'bare COPY, same rows and columns':34}{copy:9.1f}{rows / copy:13,.0f}")
        print(f"{'these files alone, on the disk':34}{statistics.median(bare):9.1f}")
        judge(
            Ratio("feed export / bare COPY", copy / export, TARGET),
            Ratio("feed export onto the disk / bare COPY", copy / disk),
        )


def _find_memory() -> str | None:
    """Return the folder of a file system in memory, or None where the system has none."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def load_employees(server: Postgres, employees: int) -> None:
    """Create the database ``bench`` with about ``employees`` employees, each of one employer with a customer number."""
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE bench")
    upgrade(lambda: psycopg.connect(server.conninfo("bench")))
    with psycopg.connect(server.conninfo("bench"), autocommit=True) as connection:
        connection.execute("SELECT setseed(0.5)")
        with database.without_indexes(connection, "wages_and_contributions"):
            connection.execute(_LOAD.format(pairs=employees, employers=employees // 15).encode())
        connection.execute("VACUUM ANALYZE")


def _copy(conninfo: str) -> tuple[int, float]:
    """Return the rows and seconds of the bare COPY: the export's statement without its order and count."""
    text = Statements("paidleave.fineos.eligibility_feed").text("rows").decode()
    text = re.sub(r"count\(\*\) OVER \([^)]*\)", "0", text)
    text = re.sub(r"\n +ORDER BY [^\n]*", "", text).replace("OFFSET 0", "")
    with psycopg.connect(conninfo) as connection:
        connection.execute(Statements("paidleave.fineos.eligibility_feed").text("pairs_full"))
        started = time.perf_counter()
        with connection.cursor().copy(text.encode()) as copy:
            rows = sum(1 for _ in copy)
        return rows, time.perf_counter() - started


def _write_bare_files(files: list[Path], target: Path) -> float:
    """Return the seconds to write files of the same sizes to ``target``, each under a hidden name that is renamed."""
    target.mkdir()
    sizes = [(file.name, file.stat().st_size) for file in files]
    zeros = bytes(max(size for _, size in sizes))
    started = time.perf_counter()
    for name, size in sizes:
        hidden = target / f".{name}"
        hidden.write_bytes(zeros[:size])
        hidden.replace(target / name)
    return time.perf_counter() - started


def run_export(conninfo: str, output: str, **variables: str) -> tuple[float, float]:
    """Export all employees to the location ``output``, and return the seconds and the peak memory in MB.

    ``variables`` are further environment variables. Raises CalledProcessError if the export fails.
    """
    environment = {
        **build_job_environment(conninfo),
        "OUTPUT_DIRECTORY_PATH": output,
        "FINEOS_CLIENT_WSCOMPOSER_API_URL": "http://127.0.0.1:9/wscomposer/",  # not called: all numbers are known
        "FINEOS_CLIENT_OAUTH2_URL": "http://127.0.0.1:9/oauth2/token",
        "FINEOS_CLIENT_OAUTH2_CLIENT_ID": "bench",
        "FINEOS_CLIENT_OAUTH2_CLIENT_SECRET": "unused",
        **variables,
    }
    found = measure([Path(sys.executable).with_name("fineos-eligibility-feed-export")], environment)
    return found.seconds, found.memory


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
