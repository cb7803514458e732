"""``paidleave-check``: each check finds what it is for, tells counts and no values, and fails the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from nightferry.job import BadSettings, command_line
from paidleave.db.users import READ_ONLY
from paidleave.operations.check import CheckFailed, check
from paidleave.operations.checks import CURES
from paidleave.operations.settings import CheckSettings
from tests.operations.running import place, run

EMPLOYER, OTHER = "'11111111-1111-4111-8111-111111111111'", "'22222222-2222-4222-8222-222222222222'"
PERSON, NOBODY = "'33333333-3333-4333-8333-333333333333'", "'44444444-4444-4444-8444-444444444444'"
SSN, FEIN = "987654321", "123456780"

SOUND = f"""
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


# What breaks the sound database so that this check, and no other, finds exactly one thing.
BREAKS: dict[str, tuple[str, ...]] = {
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
    "queued-employers-that-are-not-there": (queue("employer", "employer_id, modified_at", f"{NOBODY}, now()"),),
    "queued-employees-that-are-not-there": (
        queue("employee", "employee_id, employer_id, modified_at", f"{PERSON}, {NOBODY}, now()"),
    ),
    "employees-without-tax-identifier": (
        f"INSERT INTO employee (employee_id, first_name, last_name) VALUES ({NOBODY}, 'A', 'B')",
        wage("2025-03-31", person=NOBODY),
    ),
    "unused-tax-identifiers": (f"INSERT INTO tax_identifier VALUES ({NOBODY}, '987654322')",),
    "employers-without-address": (f"UPDATE employer SET dor_updated_date = now() WHERE employer_id = {OTHER}",),
    "employers-waiting": (queue("employer", "employer_id, modified_at", f"{EMPLOYER}, now() - interval '37 hours'"),),
    "employees-waiting": (queue("employee", "employee_id, modified_at", f"{PERSON}, now() - interval '37 hours'"),),
    "employers-unknown-to-fineos": (f"UPDATE employer SET fineos_employer_id = NULL WHERE employer_id = {OTHER}",),
    "wages-without-contribution": (wage("2025-03-31", employer=OTHER),),
    "periods-that-end-no-quarter": (wage("2024-11-30"),),
    "missing-quarters": ("DELETE FROM employer_quarterly_contribution WHERE filing_period = '2025-03-31'",),
    "batches-without-end": (
        "INSERT INTO import_log (status, start) VALUES ('in progress', now() - interval '25 hours')",
    ),
}


@pytest.fixture
def sound(users: str) -> str:
    with psycopg.connect(users) as connection:
        connection.execute(SOUND.encode())
    return users


@pytest.fixture
def counts(sound: str) -> Callable[..., dict[str, int]]:
    """What the checks find, in this process, as the read-only user."""

    def count(**changes: Any) -> dict[str, int]:
        there = place(sound)
        settings = CheckSettings(environment="local", db_host=there["DB_HOST"], db_name=there["DB_NAME"], **changes)
        return {checked.check: checked.count for checked in check(settings)}

    return count


def test_a_sound_database_has_no_findings(counts: Callable[..., dict[str, int]]) -> None:
    assert counts() == dict.fromkeys(CURES, 0)


@pytest.mark.parametrize("name", CURES)
def test_each_check_finds_what_it_is_for(sound: str, counts: Callable[..., dict[str, int]], name: str) -> None:
    with psycopg.connect(sound) as connection:
        for statement in BREAKS[name]:
            connection.execute(statement.encode())
    assert counts() == dict.fromkeys(CURES, 0) | {name: 1}


def test_findings_are_a_failure_with_counts_and_what_to_do(sound: str) -> None:
    with psycopg.connect(sound) as connection:
        for name in ("duplicate-feins", "batches-without-end"):
            for statement in BREAKS[name]:
                connection.execute(statement.encode())
    outcome = run("check", **place(sound, READ_ONLY.name))
    assert outcome.code == 1
    assert outcome.errors == [
        "2 of 15 checks found more than they may: duplicate-feins 1, batches-without-end 1."
    ]  # fmt: skip
    (table,) = [line["message"] for line in outcome.lines if line["message"].startswith("15 checks\n")]
    assert "✗   duplicate-feins" in table
    assert "→ Merge the employers" in table
    assert "✓   duplicate-wages" in table
    for value in (SSN, FEIN, "Lovelace"):
        assert value not in outcome.text
    allowed = run(
        "check", "--as-json", "--limits=duplicate-feins=1, employers-waiting=0", "--queue-wait-hours=1", **place(sound)
    )
    assert allowed.code == 1
    checks = {found["check"]: found for found in allowed.event("consistency")["checks"]}
    assert list(checks) == list(CURES)
    assert checks["duplicate-feins"] == {
        "check": "duplicate-feins",
        "finds": "FEINs that several employers have",
        "count": 1,
        "limit": 1,
        "is_finding": False,
    }
    assert [name for name, found in checks.items() if found["is_finding"]] == [
        *("employers-waiting", "employees-waiting", "batches-without-end")
    ]


def test_a_database_without_the_tables(empty_database: str, sound: str) -> None:
    there = place(empty_database)
    settings = CheckSettings(
        environment="local", db_host=there["DB_HOST"], db_name=there["DB_NAME"], db_username=there["DB_USERNAME"]
    )
    with pytest.raises(
        CheckFailed, match='Check duplicate-feins failed: relation "employer" does not exist; run db-migr'
    ):
        list(check(settings))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ("duplicate=1", "there is no check 'duplicate'; there are duplicate-feins, "),
        ("duplicate-feins", "the limit of duplicate-feins must be a whole number, as in missing-quarters=10"),
        ("duplicate-feins=-1", "must be a whole number"),
        ("duplicate-feins=many", "must be a whole number"),
    ],
)
def test_bad_limits_have_their_messages(limits: str, message: str) -> None:
    with pytest.raises(BadSettings, match=message):
        command_line.load_settings("paidleave-check", CheckSettings, ["--environment=local", f"--limits={limits}"])
