"""A job on a database that it cannot use names the cause and fails, whatever is missing."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from nightferry import BackgroundTask, NightferryError, Run
from nightferry.job.runtime import Runtime
from paidleave.catalog import catalog
from tests.task_process import database_env

pytestmark = pytest.mark.sampled(8)

# Migrations are last, because they create the tables.
# execute-sql does not run as `weak`; tests/operations/test_hostile_sql.py has its unusable databases.
JOBS = [task.name for task in catalog.tasks.values() if "DB_HOST" in task.env and task.name != "execute-sql"]
JOBS.sort(key=lambda name: name.startswith("db-migrate"))
# What makes a migrated database unusable for the user `weak`, and the words that name it.
CONDITIONS = {
    "no-tables": (
        "DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT ALL ON SCHEMA public TO weak",
        "does not exist",
    ),
    "not-migrated": (
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO weak; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO weak;"
        "DROP TABLE dor_imported_file, processed_object; ALTER TABLE employer_push_to_fineos_queue DROP attempts",
        "does not exist",
    ),
    "no-schema": ("GRANT ALL ON ALL TABLES IN SCHEMA public TO weak", "does not exist"),
    "no-rights": ("SELECT", "permission denied"),
    "read-only": (
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO weak; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO weak;"
        "ALTER ROLE weak SET default_transaction_read_only = on",
        "read-only transaction",
    ),
}
# The tools of operators name other causes first, or only read.
OTHER_WORDS = {
    ("db-migrate-up", "no-tables"): "success",
    ("db-migrate-up", "no-schema"): "permission denied for database",
    ("db-migrate-down", "no-tables"): "success",
    ("db-migrate-down", "no-schema"): "permission denied for database",
    ("db-admin-create-db-users", "no-tables"): "lacks the privileges to manage users",
    ("db-admin-create-db-users", "no-schema"): "lacks the privileges to manage users",
    ("db-admin-create-db-users", "not-migrated"): "lacks the privileges to manage users",
    # These need only tables of the API, and FINEOS, which no one answers for.
    ("load-employers-to-fineos", "not-migrated"): "FINEOS",
    ("fineos-eligibility-feed-export", "not-migrated"): "success",
    ("fineos-import-la-units", "not-migrated"): "success",  # The list of leave administrators is missing.
    # The version table still has the latest revision.
    ("db-migrate-up", "not-migrated"): "success",
    ("db-migrate-down", "not-migrated"): "must be owner",
    ("paidleave-check", "read-only"): "success",
}


@pytest.fixture
def weak_user(database: str) -> Iterator[str]:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS weak; CREATE ROLE weak LOGIN")
    yield database
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP OWNED BY weak; DROP ROLE weak")


def load_job(name: str) -> BackgroundTask:
    module, _, function = catalog.tasks[name].main.partition(":")
    return getattr(importlib.import_module(module), function)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_every_job_names_the_cause(weak_user: str, tmp_path: Path, condition: str) -> None:
    prepare, usual = CONDITIONS[condition]
    with psycopg.connect(weak_user, autocommit=True) as connection:
        connection.execute(prepare.encode())
    values = {
        **{name.lower(): text for name, text in database_env(weak_user, "weak").items()},
        "db_schema": "elsewhere" if condition == "no-schema" else "public",
        "folder_path": str(tmp_path / "dor/received"),
        "csv_folder_path": str(tmp_path / "dfml/received"),
        "input_folder_path": str(tmp_path / "dfml"),
        "output_folder_path": str(tmp_path / "dor"),
        "output_directory_path": str(tmp_path / "inbox"),
        "fineos_folder_path": str(tmp_path / "exports"),
        "fineos_client_wscomposer_api_url": "http://localhost:1/",
        "fineos_client_oauth2_url": "http://localhost:1/token",
        "fineos_client_oauth2_client_id": "id",
        "fineos_client_oauth2_client_secret": "secret",
        "sql": "SELECT import_log_id FROM import_log",
    }
    outcomes = {job: run(job, values) for job in JOBS}
    expected = {job: OTHER_WORDS.get((job, condition), usual) for job in JOBS}
    unexplained = {job: outcome for job, outcome in outcomes.items() if expected[job] not in outcome}
    assert unexplained == {}


def run(name: str, values: dict[str, str]) -> str:
    """Run the body of a job; return its error, which has no traceback, or "success"."""
    task = load_job(name)
    known = {field: values[field] for field in task.settings.model_fields if field in values}
    try:
        task.body(task.settings.model_validate(known), Run(Runtime.read(name, {})))
    except NightferryError as error:
        return str(error)
    return "success"
