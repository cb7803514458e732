"""The employer load against the FINEOS simulator at 50 ms latency, as a share of the ideal rate.

``load-employers-to-fineos`` runs in separate processes on employers that are new to FINEOS. For each employer it makes
two calls, stores a number, and claims and deletes queue rows. The ideal rate is the concurrency divided by the latency.
The measured rate is that between the first and the last call in the simulator's journal; the rate that includes process
start is printed beside it. The simulator, the database and the loaders share the machine, so the CPU times of loaders
and simulator and the machine's load are printed too: on a busy machine, the share falls while the CPU time per request
stays almost constant.
"""

from __future__ import annotations

import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import psycopg

from benchmarks import database
from benchmarks.database import build_job_environment
from benchmarks.judge import Ratio, judge
from nightferry.local.services.postgres import Postgres
from paidleave.db.migrate import upgrade

LATENCY_SECONDS = 0.05
CONCURRENCY = 16
MINIMUM_SHARE = 0.9  # of the ideal, for one process
MINIMUM_RATE = 900  # requests per second of three processes, of which the ideal is 960

_LOAD = """
TRUNCATE employer_push_to_fineos_queue;
TRUNCATE employer CASCADE;
INSERT INTO employer (employer_id, employer_fein, employer_name, employer_dba, family_exemption, medical_exemption)
SELECT gen_random_uuid(), (100000000 + n)::text, 'Employer ' || n, 'Trade name ' || n, false, false
FROM generate_series(1, {employers}) AS n;
INSERT INTO employer_push_to_fineos_queue (employer_push_to_fineos_queue_id, employer_id, action, modified_at)
SELECT gen_random_uuid(), employer_id, 'INSERT', now() FROM employer;
"""


class Measurement(NamedTuple):
    """The result of a run: rates in requests per second, CPU times in seconds."""

    rate: float
    """The rate between the first and the last call."""
    rate_with_start: float
    loaders_cpu: float
    simulator_cpu: float


def main(employers: int = 1500, repeat: int = 3) -> None:
    """Print medians of ``repeat`` loads by one process and by three. Exit with 1 below the minimum share."""
    with database.directory() as directory, database.server(directory) as server:
        with psycopg.connect(server.conninfo(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE bench")
        upgrade(lambda: psycopg.connect(server.conninfo("bench")))
        latency = f"{LATENCY_SECONDS * 1000:.0f} ms latency"
        print(f"{latency}, {CONCURRENCY} calls in flight per process; medians of {repeat} runs")
        print(f"{os.cpu_count()} cores for loaders, simulator and database; load before: {os.getloadavg()[0]:.1f}")
        heads = f"{'ideal':>8}{'share':>8}{'with process start':>20}{'loader CPU':>19}{'simulator CPU':>19}"
        print(f"{'':14}{'requests/s':>12}{heads}")
        shares = {}
        for processes in (1, 3):
            runs = [_run(server, directory, processes, employers * processes) for _ in range(repeat)]
            median = Measurement(*(statistics.median(values) for values in zip(*runs, strict=True)))
            ideal = CONCURRENCY * processes / LATENCY_SECONDS
            shares[processes] = median.rate / ideal
            name = f"{processes} process{'es' if processes > 1 else ''}"
            rates = f"{median.rate:12.0f}{ideal:8.0f}{median.rate / ideal:8.2f}{median.rate_with_start:20.0f}"
            requests = 2 * employers * processes
            cpu = "".join(
                f"{seconds:7.1f} s {seconds / requests * 1000:4.2f} ms/r"
                for seconds in (median.loaders_cpu, median.simulator_cpu)
            )
            print(f"{name:14}{rates}{cpu}")
        judge(
            Ratio("employer load / ideal (one process)", shares[1], MINIMUM_SHARE),
            Ratio(
                "employer load / ideal (three processes)", shares[3], MINIMUM_RATE * LATENCY_SECONDS / 3 / CONCURRENCY
            ),
        )


def _run(server: Postgres, directory: Path, processes: int, employers: int) -> Measurement:
    with psycopg.connect(server.conninfo("bench"), autocommit=True) as connection:
        connection.execute(_LOAD.format(employers=employers).encode())
        connection.execute("VACUUM ANALYZE employer, employer_push_to_fineos_queue")
    state = directory / "fineos.sqlite"
    for file in directory.glob("fineos.sqlite*"):
        file.unlink()
    before = _ended_children_cpu()
    with _simulator(state) as port:
        seconds, loaders_cpu = _load(server.conninfo("bench"), port, processes)
    simulator_cpu = _ended_children_cpu() - before - loaders_cpu
    with sqlite3.connect(state) as journal:
        count, first, last = journal.execute("SELECT count(*), min(at), max(at) FROM call").fetchone()
    journal.close()
    if count != 2 * employers:
        raise SystemExit(f"The simulator counted {count} calls instead of {2 * employers}.")
    # The journal has the arrival times of calls; the response to the last call followed one latency later.
    between = (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds() + LATENCY_SECONDS
    return Measurement(count / between, count / seconds, loaders_cpu, simulator_cpu)


def _ended_children_cpu() -> float:
    """Return the CPU seconds of the child processes that have exited. The database server is not one of them."""
    times = os.times()
    return times.children_user + times.children_system


@contextmanager
def _simulator(state: Path) -> Iterator[int]:
    faults = json.dumps({"latency_ms": LATENCY_SECONDS * 1000})
    process = subprocess.Popen(
        [sys.executable, "-m", "paidleave.fineos.simulator", "--state", str(state), "--faults", faults],
        stdout=subprocess.PIPE,
        text=True,
        env={"FINEOS_SIMULATOR_CLIENT_ID": "bench", "FINEOS_SIMULATOR_CLIENT_SECRET": "unused"},
    )
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["port"]
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def _load(conninfo: str, port: int, processes: int) -> tuple[float, float]:
    """Return the wall seconds of the slowest process and the CPU seconds of all; raises CalledProcessError."""
    environment = {
        **build_job_environment(conninfo),
        "EMPLOYER_LOAD_MODE": "updates",
        "EMPLOYER_LOAD_CONCURRENCY": str(CONCURRENCY),
        "FINEOS_CLIENT_WSCOMPOSER_API_URL": f"http://127.0.0.1:{port}/integration-services/wscomposer/",
        "FINEOS_CLIENT_OAUTH2_URL": f"http://127.0.0.1:{port}/oauth2/token",
        "FINEOS_CLIENT_OAUTH2_CLIENT_ID": "bench",
        "FINEOS_CLIENT_OAUTH2_CLIENT_SECRET": "unused",
    }
    program = Path(sys.executable).with_name("load-employers-to-fineos")
    with tempfile.TemporaryFile() as log:
        started, cpu = time.monotonic(), _ended_children_cpu()
        running = [
            subprocess.Popen([program, f"--process-id={number + 1}"], env=environment, stdout=log, stderr=log)
            for number in range(processes)
        ]
        failed = [process for process in running if process.wait() != 0]
        seconds, cpu = time.monotonic() - started, _ended_children_cpu() - cpu
        if failed:
            log.seek(0)
            sys.stderr.write(log.read().decode())
            raise subprocess.CalledProcessError(failed[0].returncode, "load-employers-to-fineos")
    return seconds, cpu


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
