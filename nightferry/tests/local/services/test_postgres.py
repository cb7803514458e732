"""Test a PostgreSQL server: interrupted starts, and what other accounts cannot do with it."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from nightferry.environments.private_paths import NotPrivate
from nightferry.local.services import postgres
from nightferry.local.services.account import NAME
from nightferry.local.services.postgres import Postgres, PostgresFailed
from tests.accounts import give_away


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


@pytest.mark.long
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

        def end_after_failure(server: Postgres, *arguments: str, **options: Any) -> int:
            try:
                return run(server, *arguments, **options)
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


def test_only_the_account_of_the_engine_may_connect(server: Postgres) -> None:
    server.start()
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        rules = connection.execute("SELECT type, user_name, auth_method FROM pg_hba_file_rules").fetchall()
        assert rules == [("local", ["all"], "peer")]
        connection.execute("CREATE ROLE worker LOGIN")
    with psycopg.connect(server.conninfo().replace("user=postgres", "user=worker")) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("worker",)
    if os.geteuid() == 0:  # Only root can be another account.
        psql = [postgres._find_binaries() / "psql", server.conninfo(), "-c", "SELECT 1"]
        for name in ("nobody", NAME):
            user = pwd.getpwnam(name)
            ended = subprocess.run(
                psql, user=user.pw_uid, group=user.pw_gid, extra_groups=[], capture_output=True, text=True, cwd="/"
            )
            expected = "Permission denied" if name == "nobody" else "Peer authentication failed"
            assert expected in ended.stderr, "also the server's own account, which can pass its folder"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has another account for the server")
def test_the_account_of_the_server_can_neither_write_beside_its_folders_nor_lead_root_elsewhere(
    server: Postgres, tmp_path: Path
) -> None:
    server.start()
    account = pwd.getpwnam(NAME)
    assert {path.name for path in server.directory.iterdir() if path.stat().st_uid != 0} == {"data", "socket"}
    assert all(not path.stat().st_mode & 0o022 for path in (server.directory, *server.directory.iterdir()))
    server.stop()
    victim = tmp_path / "victim"
    victim.write_text("4242")
    for name in ("postmaster.pid", "PG_VERSION"):
        (server.data / name).unlink(missing_ok=True)
        (server.data / name).symlink_to(victim)
        os.chown(server.data / name, account.pw_uid, account.pw_gid, follow_symlinks=False)
    assert not server.is_alive()
    with pytest.raises(PostgresFailed):
        server.start()
    (server.data / "postmaster.pid").unlink()
    os.mkfifo(server.data / "postmaster.pid")
    assert not server.is_alive(), "a named pipe does not block"
    (server.data / "postmaster.pid").unlink()
    assert (victim.read_text(), victim.stat().st_uid) == ("4242", 0)


def test_a_long_path_or_one_with_special_characters_has_its_socket_in_a_private_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("nightferry.local.services.postgres._SOCKET_DIRECTORY_BYTES", 1000)
    shared = tmp_path / f"nightferry-{os.geteuid()}"
    folders = [tmp_path / name for name in ("a b", "a,b", "a'b", "x" * 990)]
    assert {Postgres(folder).socket_directory.parent for folder in folders} == {shared}
    assert len({Postgres(folder).socket_directory for folder in folders}) == len(folders)
    assert Postgres(tmp_path / "plain").socket_directory == tmp_path / "plain" / "socket"
    other = tmp_path / "other"
    other.mkdir()
    shared.symlink_to(other)
    with pytest.raises(NotPrivate, match="is a symbolic link"):
        Postgres(folders[0]).start()
    shared.unlink()
    shared.mkdir(mode=0o777)
    shared.chmod(0o777)
    with pytest.raises(NotPrivate, match="Other accounts can write"):
        Postgres(folders[0]).start()
    assert list(other.iterdir()) == list(shared.iterdir()) == []


def test_a_socket_folder_of_another_account_is_refused(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    server.directory.mkdir()
    server.socket_directory.mkdir()
    give_away(server.socket_directory, monkeypatch)
    with pytest.raises((PostgresFailed, NotPrivate), match=r"belongs to the account|controls"):
        server.start()


@pytest.mark.long
def test_a_server_runs_in_a_folder_with_special_characters(server: Postgres) -> None:
    strange = Postgres(server.directory.parent / 'it\'s $HOME, `a` "b"', settings={"fsync": "off"})
    strange.start()
    with psycopg.connect(strange.conninfo()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    strange.stop()
    assert not strange.is_alive()
    shutil.rmtree(strange.socket_directory)
