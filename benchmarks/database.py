"""A separate PostgreSQL server for a benchmark, with durable commits."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
from psycopg.conninfo import conninfo_to_dict

from benchmarks.judge import note_version
from benchmarks.processes import exit_on_sigterm
from nightferry.local.services.postgres import Postgres


@contextmanager
def directory() -> Iterator[Path]:
    """Create a temporary directory that the server's user can access, even if it is another user."""
    exit_on_sigterm()
    path = Path(tempfile.mkdtemp(prefix="nightferry-bench-"))
    path.chmod(0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def server(path: Path) -> Iterator[Postgres]:
    """Run a server with its data below ``path``, and record its version.

    It has the shares of the machine's memory that Amazon RDS sets by default.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    settings = {
        "max_wal_size": "4GB",
        "shared_buffers": f"{memory // 4}MB",
        "effective_cache_size": f"{memory // 2}MB",
    }
    postgres = Postgres(path / "pg", settings=settings)
    postgres.start()
    try:
        with psycopg.connect(postgres.conninfo()) as connection:
            note_version("PostgreSQL server", connection.info.parameter_status("server_version") or "unknown")
        yield postgres
    finally:
        postgres.stop()


def read_processor_time(server: Postgres, conninfo: str) -> float:
    """Return the seconds of processor time of all ended processes of the server, among them those of its clients.

    It first waits for the end of the clients of the database of ``conninfo``.
    """
    number = server.read_process_id()
    assert number is not None  # psutil takes it for this process
    postmaster = psutil.Process(number)
    client = f" {conninfo_to_dict(conninfo)['dbname']} [local] "
    while any(client in command or not command for command in map(_read_command, postmaster.children())):
        time.sleep(0.005)
    times = postmaster.cpu_times()
    return float(times.children_user + times.children_system)


def _read_command(process: psutil.Process) -> str:
    """Return the command line of a process. It is empty while the process ends, and its time is not counted yet."""
    try:
        return " ".join(process.cmdline())
    except psutil.ZombieProcess:
        return ""
    except psutil.Error:
        return "(counted)"


@contextmanager
def without_indexes(connection: psycopg.Connection, table: str) -> Iterator[None]:
    """Drop the indexes of ``table`` except that of its primary key, and create them again after the block.

    Many rows are inserted several times faster without them.
    """
    indexes = connection.execute(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
        " WHERE indrelid = %s::regclass AND NOT indisprimary",
        [table],
    ).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}".encode())
    yield
    for _, definition in indexes:
        connection.execute(definition.encode())


def build_job_environment(conninfo: str) -> dict[str, str]:
    """Return the environment variables of a job's process that uses the database of a connection string."""
    parts = conninfo_to_dict(conninfo)
    return {
        "PATH": os.environ["PATH"],
        "ENVIRONMENT": "local",
        "DB_HOST": str(parts["host"]),
        "DB_PORT": str(parts["port"]),
        "DB_NAME": str(parts["dbname"]),
        "DB_USERNAME": str(parts["user"]),
    }
