"""Organization units match by FINEOS ID or else by name, no unit is lost, and transient faults are retried."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nightferry.testing import forked
from nightferry.testing.tiers import examples
from paidleave.db.statements import Statements
from paidleave.fineos.client.messages import Organization, OrganizationUnit
from paidleave.fineos.organization_units import command
from paidleave.fineos.organization_units.command import ImportCounts, select_units
from tests.fineos import administrators
from tests.fineos.conftest import EmployerTable

pytestmark = pytest.mark.sampled(8)

Unit = tuple[str, str]


def oid(number: int) -> str:
    return f"PE:00031:{number:010d}"


COLUMNS_LINE = ",".join(administrators.COLUMNS[:4]).encode() + b"\n"


class World:
    """Employers at FINEOS, their leave administrators, and the job. By default the list names every employer."""

    def __init__(self, table: EmployerTable) -> None:
        self.table = table
        self.numbers: dict[UUID, int] = {}
        self.lists = table.folder / "dataexports"
        self.lists.mkdir()
        with psycopg.connect(table.conninfo) as connection:
            connection.execute(administrators.TABLES)

    def fein(self, employer: UUID) -> str:
        return str(self.table.query("SELECT employer_fein FROM employer WHERE employer_id = %s", employer)[0][0])

    def write_list(self, *rows: tuple[str, ...], **options: Any) -> None:
        administrators.write_list(self.lists, *rows, **options)

    def add_administrator(self, employer: UUID, email: str, *linked: str) -> UUID:
        """Add an administrator of the employer who is linked to these units."""
        user, administrator = uuid4(), uuid4()
        self.table.query('INSERT INTO "user" VALUES (%s, %s)', user, email)
        self.table.query("INSERT INTO link_user_leave_administrator VALUES (%s, %s, %s)", administrator, user, employer)
        for name in linked:
            self.table.query(
                "INSERT INTO link_user_leave_administrator_org_unit SELECT %s, organization_unit_id"
                " FROM organization_unit WHERE employer_id = %s AND name = %s",
                *(administrator, employer, name),
            )
        return administrator

    def links(self, administrator: UUID) -> set[str]:
        rows = self.table.query(
            "SELECT name FROM link_user_leave_administrator_org_unit"
            " JOIN organization_unit USING (organization_unit_id) WHERE user_leave_administrator_id = %s",
            administrator,
        )
        return {name for (name,) in rows}

    def add_employers(self, count: int) -> list[UUID]:
        """Add employers without units to the database and to FINEOS."""
        new = [self.table.add() for _ in range(count)]
        self.table.load()
        for party in self.table.simulator.parties():
            self.numbers[UUID(party["customer"])] = party["number"]
        for employer in new:
            self.set_fineos_units(employer)
        return new

    def set_fineos_units(self, employer: UUID, *units: Unit) -> None:
        change = {"number": self.numbers[employer], "units": units}
        self.table.simulator.http.put("_simulator/units", json=change).raise_for_status()

    def store_units(self, employer: UUID, *units: tuple[str | None, str]) -> None:
        for fineos_id, name in units:
            self.table.query(
                "INSERT INTO organization_unit (organization_unit_id, fineos_id, name, employer_id)"
                " VALUES (%s, %s, %s, %s)",
                *(uuid4(), fineos_id, name, employer),
            )

    def units(self, employer: UUID) -> dict[str | None, str]:
        rows = self.table.query("SELECT fineos_id, name FROM organization_unit WHERE employer_id = %s", employer)
        return {fineos_id or name: name for fineos_id, name in rows}

    def start(self, **environment: object) -> subprocess.Popen[str]:
        """Start the job in a separate process."""
        if not any(self.lists.iterdir()):
            employers = self.table.query("SELECT employer_fein FROM employer")
            self.write_list(*(("1", fein, "ada@example.com", "North") for (fein,) in employers))
        return forked.Popen(
            [sys.executable, "-c", "from paidleave.fineos.organization_units.command import main; main()"],
            env=self.table.environment
            | {"FINEOS_FOLDER_PATH": str(self.lists), "QUIET_SECONDS": "0"}
            | {name: str(value) for name, value in environment.items()},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, code: int = 0, **environment: object) -> tuple[dict[str, Any], str]:
        """Run the job in a separate process. Return its report and output."""
        with self.start(**environment) as process:
            output, errors = process.communicate()
        assert (process.returncode, errors) == (code, ""), output
        return self.table.reports()[-1], output


@pytest.fixture
def world(employers: EmployerTable) -> World:
    return World(employers)


def test_units_are_created_renamed_identified_and_retained(world: World) -> None:
    one, two, none = world.add_employers(3)
    world.store_units(one, (oid(1), "North"), (None, "By name"), (oid(9), "Gone"))
    world.set_fineos_units(one, (oid(1), "Nord"), (oid(2), "By name"), (oid(3), "Neu & <alt>"))
    world.set_fineos_units(two, (oid(4), "North"))
    report, output = world.run()
    assert world.units(one) == {oid(1): "Nord", oid(2): "By name", oid(3): "Neu & <alt>", oid(9): "Gone"}
    assert world.units(two) == {oid(4): "North"}
    assert world.units(none) == {}
    counts = {kind: report[f"{kind}_units_count"] for kind in ("created", "renamed", "identified", "vanished")}
    assert counts == {"created": 2, "renamed": 1, "identified": 1, "vanished": 1}
    assert (report["status"], report["total_employers_count"], report["errored_employers_count"]) == ("success", 3, 0)
    again, _ = world.run()
    assert (again["unmodified_units_count"], again["created_units_count"], again["renamed_units_count"]) == (4, 0, 0)
    feins = [row[0] for row in world.table.query("SELECT employer_fein FROM employer")]
    assert not [fein for fein in feins if fein in output]
    assert "Nord" not in output


def test_a_stop_cancels_the_calls(world: World) -> None:
    world.add_employers(8)
    world.table.simulator.faults(latency_ms=2000)
    with world.start() as process:
        while not world.table.simulator.state()["calls"].get("ReadEmployer"):
            time.sleep(0.01)
        process.terminate()
        output, _ = process.communicate()
    assert process.returncode == 143, output
    for trace in ("Traceback", "never retrieved", "Unclosed", "call to FINEOS failed"):
        assert trace not in output
    world.table.simulator.faults()
    report, _ = world.run()
    assert report["total_employers_count"] == 8


def test_only_employers_with_an_enabled_administrator_are_queried(world: World) -> None:
    listed, disabled, absent = world.add_employers(3)
    for number, employer in enumerate((listed, disabled, absent)):
        world.set_fineos_units(employer, (oid(number), "North"))
    dashed = f"{world.fein(listed)[:2]}-{world.fein(listed)[2:]}"
    world.write_list(("1", world.fein(absent), "old@example.com", "North"), day=1)
    world.write_list(
        ("1", dashed, "ada@example.com", "North"),
        ("0", world.fein(disabled), "bob@example.com", "North"),
        ("", world.fein(disabled), "bob@example.com", "North"),
        ("1", world.fein(disabled), "", "North"),
        ("1", "999999999", "cy@example.com", "North"),
        day=2,
    )
    report, output = world.run()
    assert [bool(world.units(one)) for one in (listed, disabled, absent)] == [True, False, False]
    assert world.table.simulator.state()["calls"]["ReadEmployer"] == {"found": 1}
    counts = {name: report[f"{name}_count"] for name in ("total_rows_received", "missing_required_fields")}
    assert counts == {"total_rows_received": 5, "missing_required_fields": 2}
    assert (report["disabled_leave_admins_count"], report["missing_employer_count"]) == (1, 1)
    assert report["organization_unit_file"] == "2026-01-02-20-00-00-VBI_ORGUNIT_DETAILS_SOM.csv"
    assert "ada@example.com" not in output


def test_the_links_of_known_administrators_are_rebuilt_from_the_list(world: World) -> None:
    employer, other, without_units = world.add_employers(3)
    world.store_units(employer, (None, "South"), (None, "Old"))
    world.store_units(without_units, (None, "Kept"))
    world.set_fineos_units(employer, (oid(1), "North"), (oid(2), "South"))
    world.set_fineos_units(other, (oid(3), "North"))
    ada = world.add_administrator(employer, "ada@example.com", "South", "Old")
    bob = world.add_administrator(employer, "bob@example.com", "Old")  # not in the list
    cy = world.add_administrator(without_units, "cy@example.com", "Kept")  # FINEOS has no units
    twins = [world.add_administrator(other, "twin@example.com") for _ in range(2)]
    world.write_list(
        ("1", world.fein(employer), "ada@example.com", "North"),
        ("1", world.fein(employer), "ada@example.com", "North"),
        ("1", world.fein(employer), "ada@example.com", "South"),
        ("1", world.fein(employer), "ada@example.com", "West"),
        ("1", world.fein(other), "ada@example.com", "North"),  # an administrator of another employer
        ("1", world.fein(other), "twin@example.com", "North"),
        ("1", world.fein(without_units), "cy@example.com", "North"),
    )
    report, output = world.run()
    assert [world.links(one) for one in (ada, bob, cy, *twins)] == [{"North", "South"}, {"Old"}, {"Kept"}, set(), set()]
    names = ("created_leave_admin_org_units", "removed_leave_admin_org_units", "missing_leave_admins")
    assert [report[f"{name}_count"] for name in names] == [1, 1, 1]
    assert (report["duplicate_leave_admins_count"], report["employer_org_unit_discrepancy_count"]) == (1, 1)
    assert report["missing_fineos_org_units_count"] == 1
    again, _ = world.run()
    assert [again[f"{name}_count"] for name in names] == [0, 0, 1]
    assert "ada@example.com" not in output


def test_without_a_list_nothing_is_queried(world: World) -> None:
    world.add_employers(1)
    names = [
        "OTHER.csv",
        "VBI_ORGUNIT_DETAILS_SOM.CSV",
        "vbi_orgunit_details_som.csv",
        "VBI_ORGUNIT_DETAILS_SOM.csv.part",
    ]
    for name in names:
        (world.lists / f"2026-01-01-20-00-00-{name}").touch()
    report, output = world.run()
    assert (report["status"], report["total_employers_count"]) == ("success", 0)
    assert "no list of leave administrators found" in output
    for name in names:
        warning = f"not read by any job: 2026-01-01-20-00-00-{name}; expected …-VBI_ORGUNIT_DETAILS_SOM.csv"
        assert (warning in output) == (name != "OTHER.csv")
    assert "ReadEmployer" not in world.table.simulator.state()["calls"]


def test_missing_tables_of_administrators_fail_the_run(world: World) -> None:
    (employer,) = world.add_employers(1)
    world.set_fineos_units(employer, (oid(1), "North"))
    world.table.query("DROP TABLE link_user_leave_administrator_org_unit")
    _, output = world.run(code=1)
    assert r"relation \"link_user_leave_administrator_org_unit\" does not exist" in output
    assert "Traceback" not in output
    assert world.units(employer) == {}


def test_a_malformed_list_fails_the_run(world: World) -> None:
    world.add_employers(1)
    world.write_list(("1", "1", "a@example.com", "North"), header=("USERENABLED", "FEIN", "EMAIL", "UNIT", "OTHER"))
    _, output = world.run(code=1)
    assert "the header must contain ORGUNIT_NAME once" in output
    for content in (COLUMNS_LINE + b'"1","2', COLUMNS_LINE + b'"1","1","a@b","N\xff"\n', b""):
        (file,) = world.lists.iterdir()
        file.write_bytes(content)
        _, output = world.run(code=1)
        assert "was not imported" in output
        assert "Traceback" not in output


def test_invalid_units_leave_that_employer_unchanged(world: World) -> None:
    good, bad_id, twice, foreign, owner = world.add_employers(5)
    world.set_fineos_units(good, (oid(1), "North"))
    world.set_fineos_units(bad_id, ("OU:00031:0000000002", "North"), (oid(2), "South"))
    world.set_fineos_units(twice, (oid(3), "North"), (oid(4), "North"))
    world.store_units(owner, (oid(5), "North"))
    world.set_fineos_units(foreign, (oid(5), "North"), (oid(6), "South"))
    report, output = world.run(code=1)
    assert report["errors"] == {
        "FineosInvalidResponse ReadEmployer 200": 1,
        "AmbiguousUnits": 1,
        "UnitOfAnotherEmployer": 1,
    }
    assert report["errored_employers_count"] == 3
    assert [world.units(one) for one in (good, bad_id, twice, foreign)] == [{oid(1): "North"}, {}, {}, {}]
    assert str(foreign) in output
    assert "Import of the units of 3 of 5 employers failed" in output
    world.run(LA_UNITS_FAILED_SHARE_LIMIT=0.6)


def test_an_employer_missing_at_fineos_is_counted_as_unknown(world: World) -> None:
    (known,) = world.add_employers(1)
    world.table.add(number=999_999, action=None)
    world.set_fineos_units(known, (oid(1), "North"))
    report, _ = world.run()
    assert (report["unknown_employers_count"], report["errored_employers_count"]) == (1, 0)


def test_transient_faults_are_retried(world: World) -> None:
    employers = world.add_employers(60)
    for number, employer in enumerate(employers):
        world.set_fineos_units(employer, (oid(number), "North"))
    faults = ("unavailable", "gateway_timeout", "rate_limited", "socket_timeout")
    world.table.simulator.faults(**dict.fromkeys(faults, 0.05), drop_before=0.05, drop_after=0.05, latency_ms=5)
    report, _ = world.run(FINEOS_CLIENT_ATTEMPTS=15, FINEOS_CLIENT_BACKOFF=0.001)
    assert report["created_units_count"] == 60
    assert 1 < world.table.simulator.state()["peak_in_flight"] <= 16


def test_an_outage_of_fineos_fails_the_run(world: World) -> None:
    world.add_employers(2)
    world.table.simulator.faults(unavailable=1)
    report, output = world.run(code=1, FINEOS_CLIENT_ATTEMPTS=2)
    assert report["status"] == "error"
    assert "ReadEmployer: unavailable. Committed units remain." in output


def test_a_wrong_secret_fails_before_the_import_starts(world: World) -> None:
    world.add_employers(1)
    _, output = world.run(code=1, FINEOS_CLIENT_OAUTH2_CLIENT_SECRET="wrong-secret-value")
    assert "Authentication at FINEOS failed." in output
    assert "Check the FINEOS_CLIENT_OAUTH2_* settings." in output
    assert "wrong-secret-value" not in output


def test_units_of_a_different_employer_are_rejected() -> None:
    unit = OrganizationUnit(oid(1), "North")
    assert select_units([Organization(7, {}, (unit, unit))], 7) == (unit,)
    assert select_units([Organization(8, {}, (unit,))], 7) == "OtherEmployerAtFineos"
    assert select_units([Organization(7, {}), Organization(7, {})], 7) == "OtherEmployerAtFineos"
    assert select_units([], 7) == "UnknownAtFineos"
    assert select_units([Organization(8, {}, (unit,))], None) == (unit,)
    assert select_units([Organization(7, {}), Organization(8, {})], None) == "OtherEmployerAtFineos"


# ── any stored units, any units at FINEOS ─────────────────────────────────────────────────────────────────────

names = st.sampled_from(["North", "South", "East", "West"])
ids = st.one_of(st.none(), st.integers(1, 5))
stored_units = st.lists(st.tuples(ids, names), max_size=4, unique_by=(lambda u: u[0] or object(), lambda u: u[1]))
fineos_units = st.lists(st.tuples(st.integers(1, 5), names), max_size=4, unique_by=(lambda u: u[0], lambda u: u[1]))


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(administrators.TABLES)
        Statements("paidleave.fineos.organization_units").run(connection, "10_create_staging")
        yield connection


@settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(before=stored_units, received=fineos_units)
def test_the_import_stores_all_units_of_fineos_and_loses_none(
    connection: psycopg.Connection[Any], before: list[tuple[int | None, str]], received: list[tuple[int, str]]
) -> None:
    connection.execute("DELETE FROM organization_unit")
    connection.execute("DELETE FROM employer")
    employer = uuid4()
    connection.execute("INSERT INTO employer (employer_id, employer_fein) VALUES (%s, '100000001')", [employer])
    for number, name in before:
        connection.execute(
            "INSERT INTO organization_unit (organization_unit_id, fineos_id, name, employer_id) VALUES (%s,%s,%s,%s)",
            [uuid4(), number and oid(number), name, employer],
        )
    rows = partial(connection.execute, "SELECT organization_unit_id, fineos_id, name FROM organization_unit")
    old = {row[0]: row[1:] for row in rows().fetchall()}
    expected = {(oid(number), name) for number, name in received}

    counts = ImportCounts()
    units = {employer: tuple(OrganizationUnit(number, name) for number, name in sorted(expected))}
    command._store(connection, units, counts)
    new = {row[0]: row[1:] for row in rows().fetchall()}

    assert not counts.errors
    assert {(number, name) for number, name in new.values() if number in {number for number, _ in expected}} == expected
    assert old.keys() <= new.keys()
    assert len(new) - len(old) == counts.units["created"]
    assert sum(counts.units[kind] for kind in ("created", "renamed", "identified", "unmodified")) == len(expected)
    free = {name for number, name in old.values() if number is None or number not in {one for one, _ in expected}}
    for unit, (number, name) in old.items():  # A unit retains its ID unless another unit has its new name.
        new_name = dict(expected).get(number)
        if new_name is not None and new_name not in free - {name} and counts.units["identified"] == 0:
            assert new[unit] == (number, new_name)
    again = ImportCounts()
    command._store(connection, units, again)
    assert again.units["unmodified"] == len(expected)


def test_the_report_contains_counts_only(world: World) -> None:
    world.add_employers(1)
    report, _ = world.run()
    assert not [value for value in json.loads(json.dumps(report)).values() if not isinstance(value, int | str | dict)]
