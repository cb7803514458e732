"""``db-admin-create-db-users``: the resulting users and their privileges, and that no password is disclosed."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import errors, sql
from pydantic import SecretStr

from nightferry.field_names.personal import is_personal
from nightferry.local.services.postgres import Postgres
from paidleave.catalog import catalog
from paidleave.db import migrate, schema
from paidleave.db.connection import DatabaseUnreachable, connect
from paidleave.db.impersonal import IMPERSONAL_COLUMNS
from paidleave.db.settings import DatabaseSettings
from paidleave.db.users import API, IMPERSONAL, JOBS, READ_ONLY, SCANNER, USERS, DatabaseUser
from paidleave.operations.create_db_users import UserUpdateFailed, create_users
from tests.operations.conftest import as_user, revoke_all
from tests.task_process import database_env, run, start, wait_for

pytestmark = pytest.mark.sampled(8)

PASSWORDS = {user: f"correct horse 'battery' \"{user.name}\" $$ ü" for user in USERS}
SECRETS = {
    "DB_API_PASSWORD": PASSWORDS[API],
    "DB_JOBS_PASSWORD": PASSWORDS[JOBS],
    "DB_READONLY_PASSWORD": PASSWORDS[READ_ONLY],
    "DB_IMPERSONAL_PASSWORD": PASSWORDS[IMPERSONAL],
    "DB_SCANNER_PASSWORD": PASSWORDS[SCANNER],
}
TABLES = sorted(schema.metadata.tables)


def query_privileges(database: str) -> list[tuple[Any, ...]]:
    """Return all attributes and privileges of the users in this database, except passwords."""
    with psycopg.connect(database) as connection:
        return connection.execute(
            "SELECT 'role', rolname, rolsuper, rolcreatedb, rolcreaterole, rolcanlogin, rolconnlimit::text,"
            "       (SELECT array_agg(setconfig::text) FROM pg_db_role_setting WHERE setrole = pg_roles.oid)::text"
            " FROM pg_roles WHERE rolname LIKE 'pfml%' OR rolname = 'app'"
            " UNION ALL SELECT 'member', member::regrole::text, null, null, null, null, roleid::regrole::text, null"
            " FROM pg_auth_members"
            " UNION ALL SELECT 'table', relname, null, null, null, null, null, relacl::text FROM pg_class"
            " WHERE relnamespace = 'public'::regnamespace"
            " UNION ALL SELECT 'column', attrelid::regclass || '.' || attname, null, null, null, null, null,"
            "       attacl::text FROM pg_attribute WHERE attacl IS NOT NULL AND attrelid >= 16384"
            " UNION ALL SELECT 'future', defaclobjtype::text, null, null, null, null, null, defaclacl::text"
            " FROM pg_default_acl"
            " UNION ALL SELECT 'parameter', parname, null, null, null, null, null, paracl::text FROM pg_parameter_acl"
            " ORDER BY 1, 2, 7, 8"
        ).fetchall()


def is_refused(connection: psycopg.Connection, statement: str) -> bool:
    """Return True if the user lacks the privileges for the statement, even in a read-write transaction."""
    try:
        with connection.transaction():
            connection.execute("SET TRANSACTION READ WRITE")
            connection.execute(statement.encode())
    except errors.InsufficientPrivilege:
        return True
    return False


def test_users_are_created_from_environment_variables_and_a_second_run_changes_nothing(
    no_users: str, postgres_server: Postgres
) -> None:
    with psycopg.connect(no_users, autocommit=True) as connection:
        name = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("ALTER DATABASE {} SET log_statement = 'all'").format(name))
    log_before = len(postgres_server.log.read_text())
    first = run("operations.create_db_users", **database_env(no_users), **SECRETS)
    assert first.code == 0, first.text
    events = [line for line in first.lines if line.get("event") == "database_user"]
    assert [(line["user"], line["is_new"], line["login"]) for line in events] == [
        (user.name, True, "password") for user in USERS
    ]
    before = query_privileges(no_users)
    second = run("operations.create_db_users", **database_env(no_users), **SECRETS)
    assert second.code == 0, second.text
    assert [line["is_new"] for line in second.lines if line.get("event") == "database_user"] == [False] * len(USERS)
    assert query_privileges(no_users) == before

    log = postgres_server.log.read_text()[log_before:]
    assert "PASSWORD 'SCRAM-SHA-256$" in log, "this is not the log of the server that ran the statements"
    for password in PASSWORDS.values():
        assert password not in log
        assert password.replace("'", "''") not in log
        assert password not in first.text + second.text
    assert "SCRAM-SHA-256$" not in first.text + second.text


def test_users_log_in_with_their_passwords(no_users: str, postgres_server: Postgres) -> None:
    assert run("operations.create_db_users", **database_env(no_users), **SECRETS).code == 0
    rules = postgres_server.directory / "pg_hba.conf"
    trusting = rules.read_text()
    rules.write_text(f"local all {','.join(user.name for user in USERS)} scram-sha-256\n{trusting}")
    try:
        with psycopg.connect(no_users, autocommit=True) as connection:
            connection.execute("SELECT pg_reload_conf()")
        for user, password in PASSWORDS.items():
            with psycopg.connect(as_user(no_users, user.name), password=password) as connection:
                assert connection.execute("SELECT current_user").fetchone() == (user.name,)
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                psycopg.connect(as_user(no_users, user.name), password="another")
    finally:
        rules.write_text(trusting)
        with psycopg.connect(no_users, autocommit=True) as connection:
            connection.execute("SELECT pg_reload_conf()")


def test_concurrent_runs_succeed(no_users: str) -> None:
    processes = [start("operations.create_db_users", (), {**database_env(no_users), **SECRETS}) for _ in range(4)]
    assert [wait_for(process).code for process in processes] == [0] * 4
    assert len([row for row in query_privileges(no_users) if row[0] == "role"]) == len(USERS) + 1


@pytest.mark.parametrize("user", [READ_ONLY, IMPERSONAL, SCANNER], ids=lambda user: user.name)
def test_read_only_users_cannot_write(no_users: str, user: DatabaseUser) -> None:
    with psycopg.connect(no_users) as connection:
        create_users(connection, {SCANNER: SecretStr(PASSWORDS[SCANNER])}, needs_credentials=False)
    with psycopg.connect(as_user(no_users, user.name), autocommit=True) as connection:
        assert connection.execute("SHOW default_transaction_read_only").fetchone() == ("on",)
        for table in TABLES:
            assert is_refused(connection, f"INSERT INTO {table} DEFAULT VALUES"), table
            assert is_refused(connection, f"DELETE FROM {table}"), table
            assert is_refused(connection, f"TRUNCATE {table}"), table
            column = list(schema.metadata.tables[table].columns)[-1].name
            assert is_refused(connection, f"UPDATE {table} SET {column} = {column}"), table
            assert is_refused(connection, f"SELECT FROM {table} FOR KEY SHARE"), table
        assert is_refused(connection, "CREATE TABLE here (a int)")
        assert is_refused(connection, "CREATE SCHEMA here")
        assert is_refused(connection, "CREATE ROLE here")
        assert is_refused(connection, "COPY (SELECT 1) TO PROGRAM 'true'")
        assert is_refused(connection, "COPY (SELECT 1) TO '/tmp/here'")
        assert is_refused(connection, "SELECT pg_read_file('/etc/passwd')")
        assert is_refused(connection, "SELECT nextval('import_log_import_log_id_seq')")
        assert is_refused(connection, "SET ROLE pfml_jobs")
        assert is_refused(connection, "SET session_replication_role = replica")


def test_the_read_only_user_reads_every_table_including_later_ones(users: str) -> None:
    with psycopg.connect(users) as owner:
        owner.execute("CREATE TABLE claim (claim_id uuid)")
    with psycopg.connect(as_user(users, READ_ONLY.name), autocommit=True) as connection:
        for table in (*TABLES, "claim"):
            connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table)))


def test_the_impersonal_user_reads_the_listed_columns_and_no_others(users: str) -> None:
    with psycopg.connect(users) as owner:
        owner.execute("CREATE TABLE claim (claim_id uuid)")
    with psycopg.connect(as_user(users, IMPERSONAL.name), autocommit=True) as connection:
        for table in schema.metadata.tables.values():
            for column in table.columns:
                may_read = column.name in IMPERSONAL_COLUMNS.get(table.name, ())
                statement = f'SELECT "{column.name}" FROM "{table.name}"'
                assert is_refused(connection, statement) is not may_read, statement
                in_condition = f'SELECT 1 FROM "{table.name}" WHERE "{column.name}" IS NULL'
                assert is_refused(connection, in_condition) is not may_read, in_condition
        assert is_refused(connection, "SELECT * FROM employee")
        assert is_refused(connection, "SELECT employee FROM employee")  # the whole row
        assert is_refused(connection, "SELECT claim_id FROM claim")  # not in the list
        assert not is_refused(connection, "SELECT count(*) FROM employee")


def test_the_listed_columns_exist_and_do_not_have_names_of_personal_data() -> None:
    for table, columns in IMPERSONAL_COLUMNS.items():
        assert set(columns) <= {column.name for column in schema.metadata.tables[table].columns}
    listed = {column for columns in IMPERSONAL_COLUMNS.values() for column in columns}
    named_like_personal = {column for column in listed if is_personal(column)}
    assert named_like_personal == {"name"}  # the name of a file and of a lease
    of_people = {"gender_id", "race_id", "title_id", "marital_status_id", "occupation_id"}
    assert not of_people & set(IMPERSONAL_COLUMNS["employee"])


def test_jobs_change_rows_and_delete_only_from_their_own_tables(users: str) -> None:
    with psycopg.connect(as_user(users, JOBS.name), autocommit=True) as connection:
        for table in ("employer", "employee", "tax_identifier", "wages_and_contributions", "import_log", "lk_title"):
            assert is_refused(connection, f"DELETE FROM {table}"), table
            assert is_refused(connection, f"DROP TABLE {table}"), table
            assert is_refused(connection, f"TRUNCATE {table}"), table
            assert not is_refused(connection, f"SELECT FROM {table} FOR KEY SHARE"), table
        assert is_refused(connection, "UPDATE lk_title SET title_description = ''")
        assert is_refused(connection, "CREATE TABLE here (a int)")
        assert is_refused(connection, "SELECT * FROM nightferry_alembic_version")
        for own in ("employer_push_to_fineos_queue", "employee_push_to_fineos_queue", "nightferry_lease"):
            assert not is_refused(connection, f"DELETE FROM {own}"), own
        assert not is_refused(connection, "CREATE TEMPORARY TABLE here (a int)")
        assert not is_refused(connection, "SET session_replication_role = replica")
        assert not is_refused(connection, "INSERT INTO import_log (source) VALUES ('test')")


def test_users_have_privileges_on_tables_of_later_migrations(empty_database: str, no_users: str) -> None:
    with psycopg.connect(no_users) as connection:
        # The users belong to the server, so they exist before the empty database has tables.
        create_users(connection, {}, needs_credentials=False)
    migrate.upgrade(lambda: psycopg.connect(empty_database))
    with psycopg.connect(as_user(empty_database, JOBS.name)) as connection:
        connection.execute("SELECT count(*) FROM nightferry_lease")
    with psycopg.connect(as_user(empty_database, IMPERSONAL.name)) as connection:
        connection.execute("SELECT count(*) FROM employee")
    revoke_all(empty_database)


def test_excess_privileges_are_revoked(users: str) -> None:
    before = query_privileges(users)
    with psycopg.connect(users) as owner:
        owner.execute("GRANT INSERT ON employer TO pfml_readonly")
        owner.execute("GRANT SELECT (first_name) ON employee TO pfml_impersonal")
        owner.execute("GRANT pg_write_all_data TO pfml_readonly")
        owner.execute("ALTER ROLE pfml_readonly CREATEDB CREATEROLE")
    assert query_privileges(users) != before
    again = run("operations.create_db_users", **database_env(users))
    assert again.code == 0, again.text
    assert "revoked role pg_write_all_data from user pfml_readonly" in again.text
    assert query_privileges(users) == before


def test_users_without_passwords_log_in_with_identity_tokens(no_users: str) -> None:
    """Create a role ``rds_iam`` like the one that only Amazon RDS has."""
    member = (
        "SELECT pg_has_role(rolname, 'rds_iam', 'MEMBER'), rolpassword IS NULL FROM pg_authid"
        " WHERE rolname = 'pfml_jobs'"
    )
    with psycopg.connect(no_users, autocommit=True) as owner:
        owner.execute("CREATE ROLE rds_iam")
        try:
            create_users(owner, {}, needs_credentials=True)
            assert owner.execute(member).fetchone() == (True, True)
            assert owner.execute("SELECT FROM pg_roles WHERE rolname = 'pfml_scanner'").fetchone() is None
            create_users(owner, {JOBS: SecretStr(PASSWORDS[JOBS])}, needs_credentials=True)
            # A member of rds_iam cannot log in with a password.
            assert owner.execute(member).fetchone() == (False, False)
            create_users(owner, {}, needs_credentials=True)
            assert owner.execute(member).fetchone() == (True, True)
        finally:
            owner.execute("DROP ROLE rds_iam")


def test_users_without_credentials_are_not_created(no_users: str) -> None:
    result = run(
        "operations.create_db_users", **database_env(no_users) | {"ENVIRONMENT": "test"}, DB_API_PASSWORD=PASSWORDS[API]
    )
    assert result.code == 1
    (message,) = result.errors
    assert message.startswith("pfml_jobs, pfml_readonly, pfml_impersonal cannot log in")
    assert "Traceback" not in result.text
    assert [row for row in query_privileges(no_users) if row[0] == "role"] == []


def test_a_short_password_is_refused_and_not_disclosed(no_users: str) -> None:
    result = run("operations.create_db_users", **database_env(no_users), DB_JOBS_PASSWORD="hunter2xyz")
    assert result.code == 2
    assert "DB_JOBS_PASSWORD is invalid" in result.errors[0]
    assert "hunter2xyz" not in result.text


def test_only_the_owner_can_create_users(users: str) -> None:
    result = run("operations.create_db_users", **database_env(users, JOBS.name))
    assert result.code == 1
    (message,) = result.errors
    assert message.startswith("Database user pfml_jobs lacks the privileges to manage users (permission denied")
    assert "Set DB_USERNAME to the owner" in message


def test_a_superuser_among_the_users_is_refused(no_users: str) -> None:
    with psycopg.connect(no_users, autocommit=True) as owner:
        owner.execute("CREATE ROLE pfml_readonly SUPERUSER")
        with pytest.raises(UserUpdateFailed, match="ALTER ROLE pfml_readonly NOSUPERUSER"), owner.transaction():
            create_users(owner, {}, needs_credentials=False)


def test_the_error_for_a_missing_user_names_the_task_that_creates_it(no_users: str) -> None:
    variables = database_env(no_users, JOBS.name)
    settings = DatabaseSettings(environment="local", db_host=variables["DB_HOST"], db_username=JOBS.name)
    with pytest.raises(DatabaseUnreachable, match="Run db-admin-create-db-users once to create it"):
        connect(settings)


def test_only_migrations_and_user_administration_run_as_the_owner() -> None:
    users = {name: task.env["DB_USERNAME"] for name, task in catalog.tasks.items() if "DB_USERNAME" in task.env}
    owners = {name for name, user in users.items() if "owner" in user}
    assert owners == {"db-migrate-up", "db-migrate-down", "db-admin-create-db-users"}
    assert {user for name, user in users.items() if name not in owners} <= {user.name for user in USERS}
