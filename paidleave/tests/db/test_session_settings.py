"""Each session has the settings that the jobs rely on, whatever the defaults of database, user and process are."""

from __future__ import annotations

import psycopg
import pytest

from nightferry import redact
from paidleave.db.connection import SESSION_SETTINGS, DatabaseUnreachable, connect
from paidleave.db.settings import DatabaseSettings
from tests.hostile import HOSTILE, set_hostile
from tests.task_process import database_env

# Settings of the same categories that are not pinned, and why.
UNPINNED = {
    "default_text_search_config": "the jobs do not search text",
    "icu_validation_level": "only for CREATE COLLATION",
    "lc_messages": "the language of messages, which the code does not read",
    "lc_monetary": "the jobs use no money type",
    "lc_numeric": "only for to_char and to_number with locale patterns, which the jobs do not use",
    "lc_time": "only for to_char with TM, which the jobs do not use",
    "timezone_abbreviations": "the jobs send times with offsets",
    "check_function_bodies": "the jobs create no functions",
    "client_min_messages": "the jobs do not read notices",
    "createrole_self_grant": "the new user gets no privileges by it",
    "default_table_access_method": "a choice of the server's operators",
    "default_tablespace": "a choice of the server's operators",
    "default_toast_compression": "a choice of the server's operators",
    "default_transaction_read_only": "protects a database on purpose; a job reports it",
    "event_triggers": "the jobs do not disable triggers of the database",
    "gin_pending_list_limit": "speed only",
    "search_path": "set when connecting, from DB_SCHEMA",
    "temp_tablespaces": "a choice of the server's operators",
    "transaction_deferrable": "of the current transaction",
    "transaction_isolation": "of the current transaction",
    "transaction_read_only": "of the current transaction",
    "vacuum_freeze_min_age": "only for VACUUM",
    "vacuum_freeze_table_age": "only for VACUUM",
    "vacuum_cleanup_index_scale_factor": "only for VACUUM",
    "vacuum_multixact_freeze_min_age": "only for VACUUM",
    "vacuum_multixact_freeze_table_age": "only for VACUUM",
    "vacuum_failsafe_age": "only for VACUUM",
    "vacuum_multixact_failsafe_age": "only for VACUUM",
    "xmlbinary": "the jobs use no XML in the database",
    "xmloption": "the jobs use no XML in the database",
    "backslash_quote": "psycopg does not escape quotes with backslashes",
    "escape_string_warning": "a notice only",
    "lo_compat_privileges": "the jobs use no large objects",
    "quote_all_identifiers": "the jobs do not read names that the server quotes",
    "synchronize_seqscans": "the jobs sort where the order matters",
    "operator_precedence_warning": "a notice only",
    "client_connection_check_interval": "speed only",
    "commit_delay": "speed only",
    "commit_siblings": "speed only",
    "wal_compression": "speed only",
    "wal_init_zero": "speed only",
    "wal_recycle": "speed only",
    "wal_skip_threshold": "speed only",
}
CATEGORIES = (
    "Client Connection Defaults / Locale and Formatting",
    "Client Connection Defaults / Statement Behavior",
    "Connections and Authentication / TCP Settings",
    "Connections and Authentication / Connection Settings",
    "Error Handling",
    "Version and Platform Compatibility / Other Platforms and Clients",
    "Version and Platform Compatibility / Previous PostgreSQL Versions",
    "Write-Ahead Log / Settings",
)
OVER_TCP_ONLY = {name for name in SESSION_SETTINGS if name.startswith("tcp_")}


def make_settings(database: str, **changes: str) -> DatabaseSettings:
    return DatabaseSettings.model_validate(
        {name.lower(): text for name, text in database_env(database).items()} | changes
    )


def read(connection: psycopg.Connection) -> dict[str, str]:
    """Return the values of the pinned settings that the server has."""
    found = connection.execute(
        "SELECT name, current_setting(name, true) FROM unnest(%s::text[]) AS wanted (name)", [list(SESSION_SETTINGS)]
    )
    return {name: value for name, value in found if value is not None and name not in OVER_TCP_ONLY}


def test_every_setting_that_can_change_results_is_pinned_or_has_a_reason(empty_database: str) -> None:
    with psycopg.connect(empty_database) as connection:
        names = connection.execute(
            "SELECT name FROM pg_settings WHERE context IN ('user', 'superuser') AND category = ANY (%s)",
            [list(CATEGORIES)],
        ).fetchall()
    assert len(names) > 40
    assert {name for (name,) in names} - SESSION_SETTINGS.keys() - UNPINNED.keys() == set()
    assert not SESSION_SETTINGS.keys() & UNPINNED.keys()
    assert SESSION_SETTINGS.keys() - OVER_TCP_ONLY == HOSTILE.keys()


@pytest.mark.parametrize("owner", ["DATABASE", "ROLE"])
def test_defaults_of_database_and_user_do_not_apply(empty_database: str, owner: str) -> None:
    with set_hostile(empty_database, owner, HOSTILE, "LOGIN SUPERUSER"):
        with psycopg.connect(empty_database, user="hostile") as connection:
            hostile = read(connection)
        assert [name for name, value in hostile.items() if value == SESSION_SETTINGS[name]] == []
        with connect(make_settings(empty_database, db_username="hostile")) as connection:
            assert read(connection) == {name: SESSION_SETTINGS[name] for name in hostile}
            connection.rollback()
            assert read(connection) == {name: SESSION_SETTINGS[name] for name in hostile}


def test_defaults_of_the_process_do_not_apply(empty_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGDATESTYLE", "SQL, DMY")
    monkeypatch.setenv("PGTZ", "Asia/Kolkata")
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    monkeypatch.setenv("PGOPTIONS", "-c array_nulls=off")
    with connect(make_settings(empty_database)) as connection:
        assert read(connection).items() <= SESSION_SETTINGS.items()


def test_the_shortest_time_limit_of_a_statement_does_not_end_the_connection(empty_database: str) -> None:
    with set_hostile(empty_database, "DATABASE", {"statement_timeout": "1ms"}):
        for _ in range(20):
            connect(make_settings(empty_database)).close()


def test_a_policy_hides_no_rows(empty_database: str) -> None:
    with set_hostile(empty_database, "ROLE", {}), psycopg.connect(empty_database, autocommit=True) as owner:
        owner.execute("CREATE TABLE employer (); ALTER TABLE employer ENABLE ROW LEVEL SECURITY")
        owner.execute("INSERT INTO employer DEFAULT VALUES; GRANT SELECT ON employer TO hostile")
        with (
            connect(make_settings(empty_database, db_username="hostile")) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege, match="affected by row-level security policy"),
        ):
            connection.execute("SELECT FROM employer")
        owner.execute("DROP TABLE employer")


REFUSALS = {
    "ALTER ROLE hostile NOLOGIN": 'role "hostile" is not permitted to log in',
    "ALTER ROLE hostile CONNECTION LIMIT 0": 'too many connections for role "hostile"',
    "REVOKE CONNECT ON DATABASE {} FROM PUBLIC": 'permission denied for database "{}"',
}


@pytest.mark.parametrize("change", REFUSALS)
def test_a_refused_login_is_explained_and_not_hidden(empty_database: str, change: str) -> None:
    with set_hostile(empty_database, "ROLE", {}), psycopg.connect(empty_database, autocommit=True) as owner:
        name = owner.info.dbname
        owner.execute(change.format(name).encode())
        with pytest.raises(DatabaseUnreachable) as refused:
            connect(make_settings(empty_database, db_username="hostile"))
    message = str(refused.value)
    assert f", as hostile: {REFUSALS[change].format(name)}. Check DB_HOST" in message
    assert redact(message) == message


def test_the_schema_is_the_configured_one(empty_database: str) -> None:
    with (
        set_hostile(empty_database, "DATABASE", {"search_path": "elsewhere"}),
        connect(make_settings(empty_database)) as connection,
    ):
        assert connection.execute("SHOW search_path").fetchone() == ("public",)


def test_a_setting_that_the_user_cannot_reset_is_named(empty_database: str) -> None:
    with (
        set_hostile(empty_database, "DATABASE", {"session_replication_role": "replica"}),
        pytest.raises(DatabaseUnreachable) as refused,
    ):
        connect(make_settings(empty_database, db_username="hostile"))
    assert 'permission denied to set parameter "session_replication_role"' in str(refused.value)
    assert "ALTER ROLE … RESET" in str(refused.value)
