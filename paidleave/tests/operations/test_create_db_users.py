"""``db-admin-create-db-users``: who exists afterwards, what each may do, and that no password is told to anybody."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import errors, sql
from pydantic import SecretStr

from nightferry.job.personal import is_personal
from nightferry.local.services.postgres import Postgres
from paidleave.catalog import catalog
from paidleave.db import migrate, schema
from paidleave.db.connection import DatabaseUnreachable, connect
from paidleave.db.impersonal import IMPERSONAL_COLUMNS
from paidleave.db.settings import DatabaseSettings
from paidleave.db.users import API, IMPERSONAL, JOBS, READ_ONLY, SCANNER, USERS, DatabaseUser
from paidleave.operations.create_db_users import UsersUnchanged, create_users
from tests.operations.conftest import as_user, disown
from tests.operations.running import ended, place, run, start

PASSWORDS = {user: f"correct horse 'battery' \"{user.name}\" $$ ü" for user in USERS}
SECRETS = {
    "DB_API_PASSWORD": PASSWORDS[API],
    "DB_JOBS_PASSWORD": PASSWORDS[JOBS],
    "DB_READONLY_PASSWORD": PASSWORDS[READ_ONLY],
    "DB_IMPERSONAL_PASSWORD": PASSWORDS[IMPERSONAL],
    "DB_SCANNER_PASSWORD": PASSWORDS[SCANNER],
}
TABLES = sorted(schema.metadata.tables)


def rights(database: str) -> list[tuple[Any, ...]]:
    """Everything that the users are and may do in this database; only passwords are left out."""
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


def refused(connection: psycopg.Connection, statement: str) -> bool:
    """Whether the server refuses the statement for want of rights, even if the transaction may write."""
    try:
        with connection.transaction():
            connection.execute("SET TRANSACTION READ WRITE")
            connection.execute(statement.encode())
    except errors.InsufficientPrivilege:
        return True
    return False


def test_by_environment_variables_alone_and_a_second_time(no_users: str, postgres_server: Postgres) -> None:
    with psycopg.connect(no_users, autocommit=True) as connection:
        name = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("ALTER DATABASE {} SET log_statement = 'all'").format(name))
    log_before = len(postgres_server.log.read_text())
    first = run("create_db_users", **place(no_users), **SECRETS)
    assert first.code == 0, first.text
    told = [line for line in first.lines if line.get("event") == "database_user"]
    assert [(line["user"], line["is_new"], line["login"]) for line in told] == [
        (user.name, True, "password") for user in USERS
    ]
    before = rights(no_users)
    second = run("create_db_users", **place(no_users), **SECRETS)
    assert second.code == 0, second.text
    assert [line["is_new"] for line in second.lines if line.get("event") == "database_user"] == [False] * len(USERS)
    assert rights(no_users) == before

    log = postgres_server.log.read_text()[log_before:]
    assert "PASSWORD 'SCRAM-SHA-256$" in log, "this looks into the wrong log"
    for password in PASSWORDS.values():
        assert password not in log
        assert password.replace("'", "''") not in log
        assert password not in first.text + second.text
    assert "SCRAM-SHA-256$" not in first.text + second.text


def test_the_passwords_are_those_of_the_users(no_users: str, postgres_server: Postgres) -> None:
    assert run("create_db_users", **place(no_users), **SECRETS).code == 0
    rules = postgres_server.data / "pg_hba.conf"
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


def test_several_at_once(no_users: str) -> None:
    processes = [start("create_db_users", (), {**place(no_users), **SECRETS}) for _ in range(4)]
    assert [ended(process).code for process in processes] == [0] * 4
    assert len([row for row in rights(no_users) if row[0] == "role"]) == len(USERS) + 1


@pytest.mark.parametrize("user", [READ_ONLY, IMPERSONAL, SCANNER], ids=lambda user: user.name)
def test_who_only_reads_cannot_write(no_users: str, user: DatabaseUser) -> None:
    with psycopg.connect(no_users) as connection:
        create_users(connection, {SCANNER: SecretStr(PASSWORDS[SCANNER])}, is_guarded=False)
    with psycopg.connect(as_user(no_users, user.name), autocommit=True) as connection:
        assert connection.execute("SHOW default_transaction_read_only").fetchone() == ("on",)
        for table in TABLES:
            assert refused(connection, f"INSERT INTO {table} DEFAULT VALUES"), table
            assert refused(connection, f"DELETE FROM {table}"), table
            assert refused(connection, f"TRUNCATE {table}"), table
            column = list(schema.metadata.tables[table].columns)[-1].name
            assert refused(connection, f"UPDATE {table} SET {column} = {column}"), table
            assert refused(connection, f"SELECT FROM {table} FOR KEY SHARE"), table
        assert refused(connection, "CREATE TABLE here (a int)")
        assert refused(connection, "CREATE SCHEMA here")
        assert refused(connection, "CREATE ROLE here")
        assert refused(connection, "COPY (SELECT 1) TO PROGRAM 'true'")
        assert refused(connection, "COPY (SELECT 1) TO '/tmp/here'")
        assert refused(connection, "SELECT pg_read_file('/etc/passwd')")
        assert refused(connection, "SELECT nextval('import_log_import_log_id_seq')")
        assert refused(connection, "SET ROLE pfml_jobs")
        assert refused(connection, "SET session_replication_role = replica")


def test_the_read_only_user_reads_every_table_also_later_ones(users: str) -> None:
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
                assert refused(connection, statement) is not may_read, statement
                in_condition = f'SELECT 1 FROM "{table.name}" WHERE "{column.name}" IS NULL'
                assert refused(connection, in_condition) is not may_read, in_condition
        assert refused(connection, "SELECT * FROM employee")
        assert refused(connection, "SELECT employee FROM employee")  # the whole row
        assert refused(connection, "SELECT claim_id FROM claim")  # not in the list
        assert not refused(connection, "SELECT count(*) FROM employee")


def test_the_listed_columns_exist_and_their_names_are_not_those_of_personal_data() -> None:
    for table, columns in IMPERSONAL_COLUMNS.items():
        assert set(columns) <= {column.name for column in schema.metadata.tables[table].columns}
    listed = {column for columns in IMPERSONAL_COLUMNS.values() for column in columns}
    named_like_personal = {column for column in listed if is_personal(column)}
    assert named_like_personal == {"name"}  # of a file and of a lease
    of_people = {"gender_id", "race_id", "title_id", "marital_status_id", "occupation_id"}
    assert not of_people & set(IMPERSONAL_COLUMNS["employee"])


def test_jobs_change_rows_and_delete_only_what_is_theirs(users: str) -> None:
    with psycopg.connect(as_user(users, JOBS.name), autocommit=True) as connection:
        for kept in ("employer", "employee", "tax_identifier", "wages_and_contributions", "import_log", "lk_title"):
            assert refused(connection, f"DELETE FROM {kept}"), kept
            assert refused(connection, f"DROP TABLE {kept}"), kept
            assert refused(connection, f"TRUNCATE {kept}"), kept
            assert not refused(connection, f"SELECT FROM {kept} FOR KEY SHARE"), kept
        assert refused(connection, "UPDATE lk_title SET title_description = ''")
        assert refused(connection, "CREATE TABLE here (a int)")
        assert refused(connection, "SELECT * FROM nightferry_alembic_version")
        for own in ("employer_push_to_fineos_queue", "employee_push_to_fineos_queue", "nightferry_lease"):
            assert not refused(connection, f"DELETE FROM {own}"), own
        assert not refused(connection, "CREATE TEMPORARY TABLE here (a int)")
        assert not refused(connection, "SET session_replication_role = replica")
        assert not refused(connection, "INSERT INTO import_log (source) VALUES ('test')")


def test_a_table_of_a_later_migration_is_usable_at_once(empty_database: str, no_users: str) -> None:
    with psycopg.connect(no_users) as connection:
        create_users(connection, {}, is_guarded=False)  # the users of the server, before this database has any table
    migrate.upgrade(lambda: psycopg.connect(empty_database))
    with psycopg.connect(as_user(empty_database, JOBS.name)) as connection:
        connection.execute("SELECT count(*) FROM nightferry_lease")
    with psycopg.connect(as_user(empty_database, IMPERSONAL.name)) as connection:
        connection.execute("SELECT count(*) FROM employee")
    disown(empty_database)


def test_rights_that_a_user_should_not_have_are_taken_back(users: str) -> None:
    before = rights(users)
    with psycopg.connect(users) as owner:
        owner.execute("GRANT INSERT ON employer TO pfml_readonly")
        owner.execute("GRANT SELECT (first_name) ON employee TO pfml_impersonal")
        owner.execute("GRANT pg_write_all_data TO pfml_readonly")
        owner.execute("ALTER ROLE pfml_readonly CREATEDB CREATEROLE")
    assert rights(users) != before
    again = run("create_db_users", **place(users))
    assert again.code == 0, again.text
    assert "user pfml_readonly was a member of pg_write_all_data, and is no longer" in again.text
    assert rights(users) == before


def test_with_identity_tokens(no_users: str) -> None:
    """``rds_iam`` is a role that only Amazon RDS has; here a role of that name stands for it."""
    member = (
        "SELECT pg_has_role(rolname, 'rds_iam', 'MEMBER'), rolpassword IS NULL FROM pg_authid"
        " WHERE rolname = 'pfml_jobs'"
    )
    with psycopg.connect(no_users, autocommit=True) as owner:
        owner.execute("CREATE ROLE rds_iam")
        try:
            create_users(owner, {}, is_guarded=True)
            assert owner.execute(member).fetchone() == (True, True)
            assert owner.execute("SELECT FROM pg_roles WHERE rolname = 'pfml_scanner'").fetchone() is None
            create_users(owner, {JOBS: SecretStr(PASSWORDS[JOBS])}, is_guarded=True)
            # A member of rds_iam could not use its password.
            assert owner.execute(member).fetchone() == (False, False)
            create_users(owner, {}, is_guarded=True)
            assert owner.execute(member).fetchone() == (True, True)
        finally:
            owner.execute("DROP ROLE rds_iam")


def test_users_who_could_not_log_in_are_not_made(no_users: str) -> None:
    outcome = run("create_db_users", **place(no_users) | {"ENVIRONMENT": "test"}, DB_API_PASSWORD=PASSWORDS[API])
    assert outcome.code == 1
    (message,) = outcome.errors
    assert message.startswith("pfml_jobs, pfml_readonly, pfml_impersonal could not log in")
    assert "Traceback" not in outcome.text
    assert [row for row in rights(no_users) if row[0] == "role"] == []


def test_a_short_password_is_refused_without_being_told(no_users: str) -> None:
    outcome = run("create_db_users", **place(no_users), DB_JOBS_PASSWORD="hunter2xyz")
    assert outcome.code == 2
    assert "DB_JOBS_PASSWORD is invalid" in outcome.errors[0]
    assert "hunter2xyz" not in outcome.text


def test_only_the_owner_may(users: str) -> None:
    outcome = run("create_db_users", **place(users, JOBS.name))
    assert outcome.code == 1
    (message,) = outcome.errors
    assert message.startswith("pfml_jobs may not do this")
    assert "Set DB_USERNAME to the owner" in message


def test_a_superuser_among_them_is_refused(no_users: str) -> None:
    with psycopg.connect(no_users, autocommit=True) as owner:
        owner.execute("CREATE ROLE pfml_readonly SUPERUSER")
        with pytest.raises(UsersUnchanged, match="ALTER ROLE pfml_readonly NOSUPERUSER"), owner.transaction():
            create_users(owner, {}, is_guarded=False)


def test_a_user_that_is_not_there_yet_is_named_with_its_cure(no_users: str) -> None:
    variables = place(no_users, JOBS.name)
    settings = DatabaseSettings(environment="local", db_host=variables["DB_HOST"], db_username=JOBS.name)
    with pytest.raises(DatabaseUnreachable, match="Run db-admin-create-db-users once to create it"):
        connect(settings)


def test_only_migrations_and_user_administration_work_as_the_owner() -> None:
    users = {name: task.env["DB_USERNAME"] for name, task in catalog.tasks.items() if "DB_USERNAME" in task.env}
    owners = {name for name, user in users.items() if "owner" in user}
    assert owners == {"db-migrate-up", "db-migrate-down", "db-admin-create-db-users"}
    assert {user for name, user in users.items() if name not in owners} <= {user.name for user in USERS}
