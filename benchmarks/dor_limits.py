"""The limits of the DOR import: single steps of it, each alone and with nothing else to do.

The limits in the database use the rows that an import wrote. Each begins after a checkpoint, as the imports do, so that
every side writes whole pages to the log again.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import psycopg
from pydantic import SecretStr

from benchmarks.dor_files import CHANGED_AMOUNT
from paidleave.dor.encryption.keyring import keyring
from paidleave.dor.files import reader
from paidleave.dor.files.formats import WAGE_FILE
from paidleave.dor.importing.steps import make_uuid_prefix

IN_ORDER = "SELECT * FROM rows ORDER BY wage_and_contribution_id"
"""The rows with the keys and in the order of the import."""

IN_RANDOM_ORDER = """
    SELECT gen_random_uuid() AS wage_and_contribution_id, account_key, filing_period, employee_id, employer_id,
           is_independent_contractor, is_opted_in, employee_ytd_wages, employee_qtr_wages, employee_med_contribution,
           employer_med_contribution, employee_fam_contribution, employer_fam_contribution, latest_import_log_id,
           created_at, updated_at
    FROM rows ORDER BY random()
"""
"""The rows with random keys in random order, as a program that generates keys line by line loads them."""

_STAGED = """
    SELECT row_number() OVER () AS line_number, tax_identifier::integer AS ssn, employer_id, filing_period,
           is_independent_contractor, is_opted_in, employee_ytd_wages, employee_qtr_wages, employee_med_contribution,
           employer_med_contribution, employee_fam_contribution, employer_fam_contribution, first_name, last_name
    FROM wages_and_contributions JOIN employee USING (employee_id) JOIN tax_identifier USING (tax_identifier_id)
"""
_CHANGES = f"""
    CREATE UNLOGGED TABLE change AS
    SELECT wage_and_contribution_id AS stored_id, is_independent_contractor, is_opted_in, employee_ytd_wages,
           employee_qtr_wages, employee_med_contribution, employer_med_contribution, employee_fam_contribution,
           {CHANGED_AMOUNT}::numeric + employer_fam_contribution AS employer_fam_contribution
    FROM wages_and_contributions
"""
_SAVE_HISTORY = """
    INSERT INTO wages_and_contributions_history (
        wages_and_contributions_history_id, wage_and_contribution_id, is_independent_contractor, is_opted_in,
        employee_ytd_wages, employee_qtr_wages, employee_med_contribution, employer_med_contribution,
        employee_fam_contribution, employer_fam_contribution, import_log_id
    )
    SELECT (%s || to_hex(268435456 + row_number() OVER ()))::uuid,
           wage_and_contribution_id, is_independent_contractor, is_opted_in, employee_ytd_wages, employee_qtr_wages,
           employee_med_contribution, employer_med_contribution, employee_fam_contribution, employer_fam_contribution,
           latest_import_log_id
    FROM wages_and_contributions
"""
_UPDATE = """
    UPDATE wages_and_contributions AS stored
    SET is_independent_contractor = change.is_independent_contractor,
        is_opted_in = change.is_opted_in,
        employee_ytd_wages = change.employee_ytd_wages,
        employee_qtr_wages = change.employee_qtr_wages,
        employee_med_contribution = change.employee_med_contribution,
        employer_med_contribution = change.employer_med_contribution,
        employee_fam_contribution = change.employee_fam_contribution,
        employer_fam_contribution = change.employer_fam_contribution,
        latest_import_log_id = %s,
        updated_at = now()
    FROM change
    WHERE stored.wage_and_contribution_id = change.stored_id
"""


def time_gpg(file: Path, private_key: SecretStr) -> float:
    """Return the seconds in which gpg decrypts ``file`` and discards the plain text."""
    with keyring() as keys:
        keys.import_private_key(private_key)
        started = time.perf_counter()
        process = keys.start(["--yes", "--output", "/dev/null", "--decrypt", str(file)])
        process.communicate()
        seconds = time.perf_counter() - started
    assert process.returncode == 0
    return seconds


def time_reader(plain: Path) -> float:
    """Return the seconds in which the reader decodes the plain text of a wage file."""
    started = time.perf_counter()
    with plain.open("rb") as stream:
        for _ in reader.read(stream, WAGE_FILE):
            pass
    return time.perf_counter() - started


def time_staging(conninfo: str) -> float:
    """Return the seconds to COPY all wages as CSV, as the import sends them, into an unlogged table without indexes."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(f"CREATE UNLOGGED TABLE staged AS {_STAGED} LIMIT 0".encode())
        seconds = _time_copy(connection, _STAGED, "staged", "csv")
        connection.execute("DROP TABLE staged")
    return seconds


def time_copy(conninfo: str, rows: str) -> float:
    """Return the seconds to COPY the query ``rows`` as binary data into the truncated wages table.

    The table has its primary key, indexes and foreign keys. The query selects from the table ``rows``, which contains
    the rows that the table had before.
    """
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS rows AS SELECT * FROM wages_and_contributions")
        connection.execute("TRUNCATE wages_and_contributions CASCADE")
        return _time_copy(connection, rows, "wages_and_contributions", "binary")


def _time_copy(connection: psycopg.Connection[Any], rows: str, table: str, format: str) -> float:
    with connection.cursor().copy(f"COPY ({rows}) TO STDOUT (FORMAT {format})".encode()) as copy:
        data = [bytes(block) for block in copy]
    columns = [column.name for column in connection.execute(f"{rows} LIMIT 0".encode()).description or []]
    connection.execute("CHECKPOINT")
    started = time.perf_counter()
    command = f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT {format})"
    with connection.cursor().copy(command.encode()) as copy:
        for block in data:
            copy.write(block)
    return time.perf_counter() - started


def time_update(conninfo: str) -> float:
    """Return the seconds to change an amount in all wages from a table, after their history was saved.

    Both statements are in one transaction with the memory settings of the import. The table of changes exists and is
    analyzed, so that nothing is decrypted, decoded, staged or compared. The foreign keys are checked by PostgreSQL's
    triggers. The update is a plain one: unlike ``82_update_wages``, it does not avoid the deletion of old entries in
    full pages of the indexes.
    """
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(_CHANGES.encode())
        connection.execute("ANALYZE change")
        # An import writes its number in each row. The column has an index, so that every index gets a new entry.
        log = connection.execute("SELECT max(import_log_id) FROM import_log").fetchone()
        connection.execute("CHECKPOINT")
        started = time.perf_counter()
        with connection.transaction():
            connection.execute("SET LOCAL work_mem = '256MB'; SET LOCAL jit = off")
            saved = connection.execute(_SAVE_HISTORY, [make_uuid_prefix()]).rowcount
            updated = connection.execute(_UPDATE, log).rowcount
        seconds = time.perf_counter() - started
        connection.execute("DROP TABLE change")
    assert saved == updated
    return seconds
