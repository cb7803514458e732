"""``paidleave-check``: each check detects its problem, reports counts without row values, and fails the run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from nightferry import BadSettings
from nightferry.job import command_line
from paidleave.db.users import READ_ONLY
from paidleave.operations.check import CheckFailed, run_checks
from paidleave.operations.checks import FILE_CHECKS, REMEDIES
from paidleave.operations.settings import CheckSettings
from tests.task_process import database_env, run

pytestmark = pytest.mark.sampled(8)

EMPLOYER, OTHER = "'11111111-1111-4111-8111-111111111111'", "'22222222-2222-4222-8222-222222222222'"
PERSON, MISSING = "'33333333-3333-4333-8333-333333333333'", "'44444444-4444-4444-8444-444444444444'"
SSN, FEIN = "987654321", "123456780"

CONSISTENT = f"""
    INSERT INTO employer (employer_id, employer_fein, account_key, fineos_employer_id)
    VALUES ({EMPLOYER}, '{FEIN}', 'k1', 1), ({OTHER}, '123456781', 'k2', 2);
    INSERT INTO tax_identifier (tax_identifier_id, tax_identifier) VALUES ({PERSON}, '{SSN}');
    INSERT INTO employee (employee_id, tax_identifier_id, first_name, last_name)
    VALUES ({PERSON}, {PERSON}, 'Ada', 'Lovelace');
    INSERT INTO employer_quarterly_contribution
        (employer_id, filing_period, employer_total_pfml_contribution, pfm_account_id)
    SELECT {EMPLOYER}, period::date, 1, 'a' FROM unnest(ARRAY['2024-12-31', '2025-03-31', '2025-06-30']) period;
    INSERT INTO import_log (source, status, start) VALUES ('DOR', 'in progress', now() - interval '1 hour');
    INSERT INTO employer_push_to_fineos_queue (employer_push_to_fineos_queue_id, employer_id, action, modified_at)
    VALUES (gen_random_uuid(), {EMPLOYER}, 'UPDATE', now() - interval '1 hour');
    INSERT INTO employee_push_to_fineos_queue (employee_push_to_fineos_queue_id, employee_id, action, modified_at)
    VALUES (gen_random_uuid(), {PERSON}, 'UPDATE', now() - interval '1 hour');
"""


def wage(period: str, employer: str = EMPLOYER, person: str = PERSON) -> str:
    return (
        "INSERT INTO wages_and_contributions SELECT gen_random_uuid(), 'k1',"
        f" '{period}', {person}, {employer}, false, false, 1, 1, 1, 1, 1, 1"
    )


def queue(which: str, columns: str, values: str) -> str:
    table = f"{which}_push_to_fineos_queue"
    return f"INSERT INTO {table} ({table}_id, {columns}) SELECT gen_random_uuid(), {values}"


# Statements that make the consistent database inconsistent, so that only this check has exactly one finding.
DEFECTS: dict[str, tuple[str, ...]] = {
    "duplicate-feins": (
        "DROP INDEX uq_employer_employer_fein",
        f"UPDATE employer SET employer_fein = '{FEIN}' WHERE employer_id = {OTHER}",
    ),
    "duplicate-account-keys": (f"UPDATE employer SET account_key = 'k1' WHERE employer_id = {OTHER}",),
    "duplicate-wages": (
        "DROP INDEX uq_wages_and_contributions_employee_employer_period",
        wage("2025-03-31"),
        wage("2025-03-31"),
        wage("2025-03-31"),
    ),
    "queued-employers-not-found": (queue("employer", "employer_id, modified_at", f"{MISSING}, now()"),),
    "queued-employees-not-found": (
        queue("employee", "employee_id, employer_id, modified_at", f"{PERSON}, {MISSING}, now()"),
    ),
    "employees-without-tax-identifier": (
        f"INSERT INTO employee (employee_id, first_name, last_name) VALUES ({MISSING}, 'A', 'B')",
        wage("2025-03-31", person=MISSING),
    ),
    "unused-tax-identifiers": (f"INSERT INTO tax_identifier VALUES ({MISSING}, '987654322')",),
    "employers-without-address": (f"UPDATE employer SET dor_updated_date = now() WHERE employer_id = {OTHER}",),
    "employers-waiting": (queue("employer", "employer_id, modified_at", f"{EMPLOYER}, now() - interval '37 hours'"),),
    "employees-waiting": (queue("employee", "employee_id, modified_at", f"{PERSON}, now() - interval '37 hours'"),),
    "employers-unknown-to-fineos": (f"UPDATE employer SET fineos_employer_id = NULL WHERE employer_id = {OTHER}",),
    "wages-without-contribution": (wage("2025-03-31", employer=OTHER),),
    "invalid-filing-periods": (wage("2024-11-30"),),
    "missing-quarters": ("DELETE FROM employer_quarterly_contribution WHERE filing_period = '2025-03-31'",),
    "stale-import-records": (
        "INSERT INTO import_log (status, start) VALUES ('in progress', now() - interval '25 hours')",
    ),
    "decryption-key-expiry": (
        "INSERT INTO import_log (report) VALUES ('not JSON'), ("
        """'{"decryption_key_expires": "2020-01-01T00:00:00+00:00", "decryption_key_is_revoked": false}'), ("""
        """'{"decryption_key_expires": null, "decryption_key_is_revoked": true}'), ('{"lines": 1}')""",
    ),
}


@pytest.fixture
def consistent(users: str) -> str:
    with psycopg.connect(users) as connection:
        connection.execute(CONSISTENT.encode())
    return users


@pytest.fixture
def count_findings(consistent: str) -> Callable[..., dict[str, int]]:
    """Return a function that runs the checks in this process as the read-only user and returns their counts."""

    def count(**changes: Any) -> dict[str, int]:
        env = database_env(consistent)
        settings = CheckSettings(environment="local", db_host=env["DB_HOST"], db_name=env["DB_NAME"], **changes)
        return {result.check: result.count for result in run_checks(settings)}

    return count


def test_a_consistent_database_has_no_findings(count_findings: Callable[..., dict[str, int]]) -> None:
    assert count_findings() == dict.fromkeys(REMEDIES, 0)


@pytest.mark.parametrize("period", ["2024-09-30", "2025-09-30"])
def test_wages_outside_of_the_quarters_with_contributions_are_consistent(
    consistent: str, count_findings: Callable[..., dict[str, int]], period: str
) -> None:
    """DOR's A lines of the newest quarter may follow its B lines, and generated files have A lines of four quarters."""
    with psycopg.connect(consistent) as connection:
        connection.execute(wage(period).encode())
    assert count_findings() == dict.fromkeys(REMEDIES, 0)


@pytest.mark.parametrize("name", [name for name in REMEDIES if name not in FILE_CHECKS])
def test_each_check_detects_its_defect(
    consistent: str, count_findings: Callable[..., dict[str, int]], name: str
) -> None:
    with psycopg.connect(consistent) as connection:
        for statement in DEFECTS[name]:
            connection.execute(statement.encode())
    assert count_findings() == dict.fromkeys(REMEDIES, 0) | {name: 1}


@pytest.mark.parametrize(("expires", "found"), [(None, 0), (59, 1), (61, 0), (-1, 1)])
def test_the_key_of_the_last_encrypted_file_counts(
    consistent: str, count_findings: Callable[..., dict[str, int]], expires: int | None, found: int
) -> None:
    with psycopg.connect(consistent) as connection:
        for days in (-100, expires):
            connection.execute(
                "INSERT INTO import_log (report) SELECT json_build_object('decryption_key_expires',"
                " now() + make_interval(days => %s), 'decryption_key_is_revoked', false)::text",
                [days],
            )
    assert count_findings()["decryption-key-expiry"] == found


def test_findings_fail_the_run_with_counts_and_remedies(consistent: str) -> None:
    with psycopg.connect(consistent) as connection:
        for name in ("duplicate-feins", "stale-import-records"):
            for statement in DEFECTS[name]:
                connection.execute(statement.encode())
    result = run("operations.check", **database_env(consistent, READ_ONLY.name))
    assert result.code == 1
    assert result.errors == ["2 of 20 checks exceed their limits: duplicate-feins 1, stale-import-records 1."]
    (table,) = [line["message"] for line in result.lines if line["message"].startswith("20 checks\n")]
    assert "✗   duplicate-feins" in table
    assert "→ Merge the employers" in table
    assert "✓   duplicate-wages" in table
    for value in (SSN, FEIN, "Lovelace"):
        assert value not in result.text
    allowed = run(
        "operations.check",
        "--as-json",
        "--limits=duplicate-feins=1, employers-waiting=0",
        "--queue-wait-hours=1",
        **database_env(consistent),
    )
    assert allowed.code == 1
    checks = {found["check"]: found for found in allowed.event("consistency")["checks"]}
    assert list(checks) == list(REMEDIES)
    assert checks["duplicate-feins"] == {
        "check": "duplicate-feins",
        "description": "FEINs with more than one employer",
        "count": 1,
        "limit": 1,
        "details": [],
        "is_finding": False,
    }
    assert [name for name, found in checks.items() if found["is_finding"]] == [
        *("employers-waiting", "employees-waiting", "stale-import-records")
    ]


def test_files_that_did_not_come_or_are_not_read(consistent: str, tmp_path: Path) -> None:
    dor, csvs = tmp_path / "dor", tmp_path / "csvs"
    for folder, name in ((dor, "DORDFML_20261128120000.pgp"), (dor, "DORDUADFML_20261128120000"), (csvs, "[red].xlsx")):
        folder.mkdir(exist_ok=True)
        (folder / name).touch()
    (csvs / "CompaniesReturningToStatePlan.csv").touch()
    yesterday = time.time() - 27 * 3600
    os.utime(dor / "DORDUADFML_20261128120000", (yesterday, yesterday))
    with psycopg.connect(consistent) as connection:
        connection.execute("UPDATE import_log SET start = now() - interval '27 hours', status = 'success'")
        connection.execute(
            "INSERT INTO dor_imported_file (digest, name, kind, import_log_id, imported_at)"
            " SELECT name, name, 'employer file', 0, now()"
            " FROM unnest(ARRAY['DORDFMLEMP_20261126120000', 'DORDFMLEMP_20261128120000']) AS name"
        )
    folders = {"DOR_FOLDER_PATH": str(dor), "CSV_FOLDER_PATH": str(csvs)}
    result = run("operations.check", **database_env(consistent, READ_ONLY.name), **folders)
    assert result.code == 1
    assert result.errors == [
        "4 of 20 checks exceed their limits: "
        "daily-files-overdue 1, days-without-file 1, files-not-read 2, files-waiting 1."
    ]
    (table,) = [line["message"] for line in result.lines if line["message"].startswith("20 checks\n")]
    for text in (
        "• wage file: never",
        "• employer file of 2026-11-27",
        "• DORDFML_20261128120000.pgp (another ending '.pgp'; expected",
        "• [red].xlsx (unknown kind of file; expected",
        "• DORDUADFML_20261128120000\n",
        "→ Rename the file to the expected name",
    ):
        assert text in table
    as_json = run("operations.check", "--as-json", **database_env(consistent), **folders)
    checks = {found["check"]: found for found in as_json.event("consistency")["checks"]}
    assert checks["files-not-read"]["details"][0].startswith("DORDFML_20261128120000.pgp (another ending '.pgp'; ")
    allowed = "daily-files-overdue=1,days-without-file=1,files-not-read=2,files-waiting=1"
    assert run("operations.check", f"--limits={allowed}", **database_env(consistent), **folders).code == 0


def test_a_folder_that_cannot_be_listed(consistent: str) -> None:
    env = database_env(consistent)
    settings = CheckSettings(
        environment="local", db_host=env["DB_HOST"], db_name=env["DB_NAME"], dor_folder_path="dor/received"
    )
    with pytest.raises(CheckFailed, match="Check files-not-read failed: 'dor/received' is not a location"):
        list(run_checks(settings))


def test_a_database_without_the_tables(empty_database: str, consistent: str) -> None:
    env = database_env(empty_database)
    settings = CheckSettings(
        environment="local", db_host=env["DB_HOST"], db_name=env["DB_NAME"], db_username=env["DB_USERNAME"]
    )
    with pytest.raises(
        CheckFailed, match='Check duplicate-feins failed: relation "employer" does not exist; run db-migr'
    ):
        list(run_checks(settings))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ("duplicate=1", "check 'duplicate' not found; the checks are duplicate-feins, "),
        ("duplicate-feins", "the limit of duplicate-feins must be a whole number, as in missing-quarters=10"),
        ("duplicate-feins=-1", "must be a whole number"),
        ("duplicate-feins=many", "must be a whole number"),
    ],
)
def test_invalid_limits_are_refused_with_a_message(limits: str, message: str) -> None:
    with pytest.raises(BadSettings, match=message):
        command_line.load_settings("paidleave-check", CheckSettings, ["--environment=local", f"--limits={limits}"])
