"""Test a PostgreSQL server whose initialization is interrupted: the next start repeats it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from nightferry.local.services.postgres import Postgres, PostgresFailed


@pytest.fixture
def server() -> Iterator[Postgres]:
    # Outside tmp_path, which the server's unprivileged user cannot access.
    directory = Path(tempfile.mkdtemp(prefix="nightferry-test-"))
    directory.chmod(0o711)
    server = Postgres(directory / "pg", settings={"fsync": "off"})
    yield server
    server.stop()
    shutil.rmtree(directory)


def test_a_killed_start_does_not_prevent_the_next_one(server: Postgres) -> None:
    program = f"from nightferry.local.services.postgres import *; Postgres(Path({str(server.directory)!r})).start()"
    with subprocess.Popen([sys.executable, "-c", program], start_new_session=True) as starting:
        while not (server.directory / "data.new" / "PG_VERSION").exists():
            assert starting.poll() is None
            time.sleep(0.001)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(starting.pid, signal.SIGKILL)
    assert not server.data.exists()
    assert server.start()
    with psycopg.connect(server.conninfo()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_server_starts_although_a_killed_one_still_executes_a_statement(server: Postgres) -> None:
    server.start()
    postmaster = int((server.data / "postmaster.pid").read_text().splitlines()[0])
    # The loop never waits, so its backend does not notice the end of the postmaster.
    loop = "DECLARE n int := 0; BEGIN WHILE clock_timestamp() < now() + interval '2 s' LOOP n := n + 1; END LOOP; END"
    with contextlib.closing(psycopg.connect(server.conninfo(), autocommit=True)) as connection:
        connection.pgconn.send_query(f"DO $$ {loop} $$".encode())
        time.sleep(0.2)
        os.kill(postmaster, signal.SIGKILL)
        while server.is_alive():
            time.sleep(0.01)
        assert server.start()
    with psycopg.connect(server.conninfo()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_server_starts_although_the_last_one_is_still_ending(
    server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.start()
    run, failures = Postgres._run, []
    with contextlib.closing(psycopg.connect(server.conninfo())) as connection:
        # A smart shutdown refuses new connections, and waits for the open one.
        run(server, "pg_ctl", "stop", "-D", str(server.data), "-m", "smart", "-W")
        while server.is_running():
            time.sleep(0.01)

        def end_after_failure(server: Postgres, *arguments: str, check: bool = True) -> int:
            try:
                return run(server, *arguments, check=check)
            except PostgresFailed as failure:
                failures.append(str(failure))
                connection.close()
                raise

        monkeypatch.setattr(Postgres, "_run", end_after_failure)
        assert server.start()
    assert "running in data directory" in failures[0] or "running in data directory" in server.log.read_text()
    with psycopg.connect(server.conninfo()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_folder_that_is_not_a_database_is_not_overwritten(server: Postgres) -> None:
    server.data.mkdir(parents=True)
    (server.data / "diary.txt").write_text("mine")
    with pytest.raises(PostgresFailed, match="is neither empty nor a database"):
        server.start()
    assert (server.data / "diary.txt").read_text() == "mine"
