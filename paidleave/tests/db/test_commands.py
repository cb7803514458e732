"""``db-migrate-up`` and ``db-migrate-down`` as processes, and their messages if they cannot connect."""

from __future__ import annotations

import logging
import socket
import threading

import psycopg
import pytest
from pydantic import SecretStr

from nightferry import Run
from nightferry.job.runtime import Runtime
from nightferry.local.services.postgres import Postgres
from paidleave.db import migrate
from paidleave.db.connection import DatabaseUnreachable, connect
from paidleave.db.settings import DatabaseSettings, MigrateUpSettings
from tests import task_process
from tests.task_process import TaskResult, database_env

SSL_REQUEST = (80877103).to_bytes(4, "big")  # PostgreSQL protocol 3.0, message SSLRequest


def run(command: str, database: str, **changes: str) -> TaskResult:
    """Run ``command`` of ``paidleave.db.migrate`` on ``database`` with additional environment variables."""
    return task_process.run(f"db.migrate:{command}", **database_env(database) | changes)


def migrate_in_process(database: str, **changes: str) -> None:
    """Run the body of ``db-migrate-up`` in this process."""
    values = {name.lower(): value for name, value in (database_env(database) | changes).items()}
    migrate.up.body(MigrateUpSettings.model_validate(values), Run(Runtime.read("db-migrate-up")))


@pytest.fixture(scope="module")
def guarded_user(postgres_server: Postgres) -> str:
    """Create a user that requires the password ``correct horse``."""
    rules = postgres_server.directory / "pg_hba.conf"
    rules.write_text("local all guarded scram-sha-256\n" + rules.read_text())
    with psycopg.connect(postgres_server.conninfo(), autocommit=True) as connection:
        connection.execute("SET password_encryption = 'scram-sha-256'")
        connection.execute("CREATE ROLE guarded LOGIN SUPERUSER PASSWORD 'correct horse'")
        connection.execute("SELECT pg_reload_conf()")
    return "guarded"


def test_up_and_down_need_only_environment_variables(empty_database: str) -> None:
    up = run("up", empty_database)
    assert up.code == 0, up.text
    messages = [event["message"] for event in up.lines]
    assert [f"revision {revision} applied" in messages for revision in migrate.list_revisions()] == [True] * len(
        migrate.list_revisions()
    )
    assert [event["applied"] for event in up.lines if "applied" in event] == [len(migrate.list_revisions())]
    down = run("down", empty_database)
    assert down.code == 0
    assert f"revision {migrate.list_revisions()[-1]} reverted" in [event["message"] for event in down.lines]


def test_missing_database_is_reported(empty_database: str) -> None:
    ended = run("up", empty_database, DB_NAME="nowhere")
    assert ended.code == 1
    (error,) = ended.errors
    assert 'database "nowhere" does not exist' in error
    assert "Check DB_HOST, DB_PORT, DB_NAME" in error
    assert "Traceback" not in ended.text


def test_unreachable_server_is_reported(empty_database: str) -> None:
    with pytest.raises(DatabaseUnreachable, match="Cannot connect to the database") as refused:
        migrate_in_process(empty_database, DB_HOST="127.0.0.1", DB_PORT="1")
    assert "Connection refused" in str(refused.value)


def test_wrong_password_is_reported(empty_database: str, guarded_user: str) -> None:
    ended = run("up", empty_database, DB_USERNAME=guarded_user, DB_PASSWORD="battery-staple")
    assert ended.code == 1
    (error,) = ended.errors
    assert 'password authentication failed for user "guarded"' in error
    assert "battery-staple" not in ended.text
    assert "Traceback" not in ended.text


def test_correct_password_is_not_logged(
    empty_database: str, guarded_user: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        migrate_in_process(empty_database, DB_USERNAME=guarded_user, DB_PASSWORD="correct horse")
    assert "revision 0001 applied" in caplog.text
    assert "correct horse" not in caplog.text


def test_network_connection_requires_tls_outside_local() -> None:
    """A server without TLS is refused, except in the environment ``local``."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        requests: list[bytes] = []
        threading.Thread(target=_refuse_tls, args=(server, requests), daemon=True).start()
        for environment, message in (("test", "server does not support SSL"), ("local", "Cannot connect")):
            settings = DatabaseSettings(
                environment=environment,
                db_host="127.0.0.1",
                db_port=server.getsockname()[1],
                db_password=SecretStr("secret words"),
            )
            with pytest.raises(DatabaseUnreachable, match=message) as refused:
                connect(settings)
            assert "secret words" not in str(refused.value)
    assert [first[4:8] for first in requests] == [SSL_REQUEST, SSL_REQUEST]


def _refuse_tls(server: socket.socket, requests: list[bytes]) -> None:
    for _ in range(2):
        client, _address = server.accept()
        with client:
            requests.append(client.recv(8))
            client.sendall(b"N")


def test_socket_connection_does_not_require_tls(postgres_server: Postgres) -> None:
    settings = DatabaseSettings(
        environment="test", db_host=str(postgres_server.socket_directory), db_name="postgres", db_username="postgres"
    )
    with connect(settings) as connection:
        assert connection.execute("SHOW timezone").fetchone() == ("UTC",)
        assert connection.execute("SHOW search_path").fetchone() == ("public",)


def test_missing_and_invalid_settings_are_named(empty_database: str) -> None:
    ended = run("up", empty_database, ENVIRONMENT="", DB_PORT="many", DB_SCHEMA="public; DROP")
    assert ended.code == 2
    (error,) = ended.errors
    for name in ("ENVIRONMENT", "DB_PORT", "DB_SCHEMA"):
        assert name in error


def test_lock_timeout_is_reported_with_its_cause(empty_database: str) -> None:
    migrate.upgrade(lambda: psycopg.connect(empty_database), target="0002")
    with psycopg.connect(empty_database) as other:
        other.execute("LOCK TABLE employer_push_to_fineos_queue")
        with pytest.raises(migrate.MigrationFailed, match=r"lock timeout.*try again"):
            migrate.upgrade(lambda: psycopg.connect(empty_database), lock_timeout="10ms")
