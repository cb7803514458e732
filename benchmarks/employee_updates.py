"""The employee updates import against a bare COPY of the same file into an unlogged table with text columns.

Each import is a separate ``fineos-import-employee-updates`` process, timed from start to exit. The database contains
all employees of the file and their employers. The first import changes every employee and creates every occupation.
The second changes the telephone number and the job title in each row. The third changes nothing. The CPU time is that
of the import's process, without the database's.

The COPY reads and sends the first of these files only. It checks nothing, finds no employee and writes no history, and
it needs no start of a process. It is a limit, not a peer: no import can be faster than it.
"""

from __future__ import annotations

import csv
import os
import statistics
import subprocess
import sys
import time
from hashlib import md5
from pathlib import Path
from uuid import UUID

import psycopg

from benchmarks import database
from benchmarks.database import build_job_environment
from benchmarks.dor_files import create_database, settle
from benchmarks.judge import Ratio, judge
from nightferry.local.services.postgres import Postgres
from paidleave.fineos.employee_updates.update_file import COLUMNS

ROWS_PER_EMPLOYER = 20
DAYS = {1: (0, "changed employees, new jobs"), 2: (1, "changed phones and jobs"), 3: (1, "unchanged")}
"""The variant of the file of each day, and the label of its import."""
_COLUMNS = (*COLUMNS, "EMPLOYEEID", "ORG_NAME")


def main(rows: int = 100_000, repeat: int = 3) -> None:
    """Print medians of ``repeat`` runs."""
    with database.directory() as directory, database.server(directory) as server:
        files = [_write_file(directory / str(day), rows, variant, day) for day, (variant, _) in DAYS.items()]
        with create_database(server, "employees") as conninfo:
            _insert_employees(conninfo, rows)
            seconds = [_measure(server, directory / f"run-{number}", files, rows) for number in range(repeat)]
    print(f"{rows:,} rows of FINEOS's employee updates; medians of {repeat} runs; load after: {os.getloadavg()[0]:.1f}")
    print(f"{'':28}{'seconds':>9}{'CPU':>7}{'rows/s':>11}{'of the bare COPY':>18}")
    medians = {label: statistics.median(run[label][0] for run in seconds) for label in seconds[0]}
    copy = medians["bare COPY"]
    for label, median in medians.items():
        cpu = statistics.median(run[label][1] for run in seconds)
        print(f"{label:28}{median:9.2f}{cpu:7.2f}{rows / median:11,.0f}{copy / median:18.2f}")
    judge(
        *(
            Ratio(f"employee updates, {label} / bare COPY", copy / median)
            for label, median in medians.items()
            if label != "bare COPY"
        )
    )


def _measure(server: Postgres, directory: Path, files: list[Path], rows: int) -> dict[str, tuple[float, float]]:
    """Return the wall and CPU seconds of the bare COPY and of each import, in a copy of the database."""
    found = {}
    with create_database(server, template="employees") as conninfo:
        found["bare COPY"] = _copy(conninfo, files[0])
        for file, (_, label) in zip(files, DAYS.values(), strict=True):
            folder = directory / file.parent.name
            folder.mkdir(parents=True)
            (folder / file.name).hardlink_to(file)
            settle(conninfo)  # Otherwise autovacuum runs during one import or the other.
            found[label] = _import(conninfo, folder)
            _check_occupations(conninfo, rows)
    return found


def _insert_employees(conninfo: str, rows: int) -> None:
    """Insert an employee with a tax identifier for each row of the file, in random order of ids, as in production."""
    with psycopg.connect(conninfo) as connection:
        connection.execute(
            "INSERT INTO employer (employer_id, employer_fein, fineos_employer_id)"
            " SELECT md5('employer' || n)::uuid, lpad(n::text, 9, '0'), n FROM generate_series(1, %s) AS n",
            [rows // ROWS_PER_EMPLOYER + 1],
        )
        connection.execute(
            "INSERT INTO tax_identifier (tax_identifier_id, tax_identifier)"
            " SELECT md5('tax' || n)::uuid, lpad(n::text, 9, '0') FROM generate_series(1, %s) AS n",
            [rows],
        )
        connection.execute(
            "INSERT INTO employee (employee_id, tax_identifier_id, first_name, last_name)"
            " SELECT md5('employee' || n)::uuid, md5('tax' || n)::uuid, 'First', 'Last'"
            " FROM generate_series(1, %s) AS n",
            [rows],
        )
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def _write_file(folder: Path, rows: int, variant: int, day: int) -> Path:
    folder.mkdir()
    file = folder / f"2026-11-{day:02}-20-30-00-EmployeeDataLoad_feed.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, quoting=csv.QUOTE_ALL)
        writer.writerow(_COLUMNS)
        for number in range(1, rows + 1):
            row = {
                "EMPLOYEEIDENTIFIER": str(UUID(md5(f"employee{number}".encode()).hexdigest())),
                "EMPLOYEETITLE": "Dr",
                "EMPLOYEEDATEOFBIRTH": f"19{number % 60 + 40}-03-{number % 28 + 1:02} 00:00:00",
                "EMPLOYEEDATEOFHIRE": "2021-03-01 00:00:00",
                "EMPLOYEEGENDER": "Female",
                "EMPLOYEEMARITALSTATUS": "Married",
                "TELEPHONEINTCODE": "1",
                "TELEPHONEAREACODE": "617",
                "TELEPHONENUMBER": f"{number % 8_000_000 + 2_000_000 + variant}",
                "EMPLOYEEEMAIL": f"person{number}@example.com",
                "EMPLOYEECLASSIFICATION": "Engineer",
                "EMPLOYEEJOBTITLE": f"Job {variant}",
                "EMPLOYMENTSTATUS": "Active",
                "EMPLOYEEHOURSWORKEDPERWEEK": "37.5",
                "EMPLOYEEDAYSWORKEDPERWEEK": "5",
                "EMPLOYEEORGUNITNAME": f"Unit {number % 3}",
                "ORG_CUSTOMERNO": f"{number // ROWS_PER_EMPLOYER + 1}",
                "ORG_NAME": "Some Company",
                "EMPLOYEENATIONALID": f"{number:09}",
                "EMPLOYEEFIRSTNAME": "First",
                "EMPLOYEELASTNAME": "Last",
                "CUSTOMERNO": f"{number}",
            }
            writer.writerow([row.get(column, "") for column in _COLUMNS])
    return file


def _copy(conninfo: str, file: Path) -> tuple[float, float]:
    with psycopg.connect(conninfo) as connection:
        connection.execute(f"CREATE UNLOGGED TABLE bare ({', '.join(f'c{n} text' for n in range(len(_COLUMNS)))})")
        started, cpu = time.monotonic(), time.process_time()
        with connection.cursor().copy("COPY bare FROM STDIN (FORMAT csv, HEADER)") as copy, file.open("rb") as stream:
            while data := stream.read(1 << 16):
                copy.write(data)
        connection.commit()
        seconds, cpu = time.monotonic() - started, time.process_time() - cpu
        connection.execute("DROP TABLE bare")
    return seconds, cpu


def _import(conninfo: str, folder: Path) -> tuple[float, float]:
    environment = {
        **build_job_environment(conninfo),
        "FINEOS_FOLDER_PATH": str(folder),
        "QUIET_SECONDS": "0",
    }
    started, cpu = time.monotonic(), _ended_children_cpu()
    done = subprocess.run(
        [Path(sys.executable).with_name("fineos-import-employee-updates")],
        env=environment,
        capture_output=True,
        text=True,
    )
    seconds, cpu = time.monotonic() - started, _ended_children_cpu() - cpu
    if done.returncode != 0:
        sys.exit(f"The import failed:\n{done.stdout}{done.stderr}")
    return seconds, cpu


def _ended_children_cpu() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _check_occupations(conninfo: str, rows: int) -> None:
    with psycopg.connect(conninfo) as connection:
        counted = connection.execute("SELECT count(*) FROM employee_occupation").fetchone()
    assert counted == (rows,), counted


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
