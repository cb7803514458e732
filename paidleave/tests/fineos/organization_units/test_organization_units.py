"""Organisation units: FINEOS's ids decide, names find what has no id yet, nothing is lost, and faults pass."""

from __future__ import annotations

import json
import sys
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
from paidleave.fineos.client.messages import Organisation, OrganisationUnit
from paidleave.fineos.organization_units import command
from paidleave.fineos.organization_units.command import ImportCounts, usable
from tests.fineos.conftest import EmployerTable

Unit = tuple[str, str]


def oid(number: int) -> str:
    return f"OU:00031:{number:010d}"


class World:
    """Employers that FINEOS knows, and the job."""

    def __init__(self, table: EmployerTable) -> None:
        self.table = table
        self.numbers: dict[UUID, int] = {}

    def employers(self, count: int) -> list[UUID]:
        """New employers without units, here and at FINEOS."""
        new = [self.table.add() for _ in range(count)]
        self.table.load()
        for party in self.table.simulator.parties():
            self.numbers[UUID(party["customer"])] = party["number"]
        for employer in new:
            self.at_fineos(employer)
        return new

    def at_fineos(self, employer: UUID, *units: Unit) -> None:
        change = {"number": self.numbers[employer], "units": units}
        self.table.simulator.http.put("_simulator/units", json=change).raise_for_status()

    def here(self, employer: UUID, *units: tuple[str | None, str]) -> None:
        for fineos_id, name in units:
            self.table.query(
                "INSERT INTO organization_unit (organization_unit_id, fineos_id, name, employer_id)"
                " VALUES (%s, %s, %s, %s)",
                *(uuid4(), fineos_id, name, employer),
            )

    def units(self, employer: UUID) -> dict[str | None, str]:
        rows = self.table.query("SELECT fineos_id, name FROM organization_unit WHERE employer_id = %s", employer)
        return {fineos_id or name: name for fineos_id, name in rows}

    def run(self, code: int = 0, **environment: object) -> tuple[dict[str, Any], str]:
        """The job's process; its report and what it wrote."""
        process = forked.run(
            [sys.executable, "-c", "from paidleave.fineos.organization_units.command import main; main()"],
            env=self.table.environment | {name: str(value) for name, value in environment.items()},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (process.returncode, process.stderr) == (code, ""), process.stdout
        return self.table.reports()[-1], process.stdout


@pytest.fixture
def world(employers: EmployerTable) -> World:
    return World(employers)


def test_units_are_created_renamed_identified_and_kept(world: World) -> None:
    one, two, none = world.employers(3)
    world.here(one, (oid(1), "North"), (None, "By name"), (oid(9), "Gone"))
    world.at_fineos(one, (oid(1), "Nord"), (oid(2), "By name"), (oid(3), "Neu & <alt>"))
    world.at_fineos(two, (oid(4), "North"))
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


def test_a_bad_answer_leaves_that_employer_alone(world: World) -> None:
    good, bad_id, twice, foreign, owner = world.employers(5)
    world.at_fineos(good, (oid(1), "North"))
    world.at_fineos(bad_id, ("OU:1:2", "North"), (oid(2), "South"))
    world.at_fineos(twice, (oid(3), "North"), (oid(4), "North"))
    world.here(owner, (oid(5), "North"))
    world.at_fineos(foreign, (oid(5), "North"), (oid(6), "South"))
    report, output = world.run(code=1)
    assert report["errors"] == {"UnusableUnit": 1, "AmbiguousUnits": 1, "UnitOfAnotherEmployer": 1}
    assert report["errored_employers_count"] == 3
    assert [world.units(one) for one in (good, bad_id, twice, foreign)] == [{oid(1): "North"}, {}, {}, {}]
    assert str(foreign) in output
    assert "The units of 3 of 5 employers could not be imported" in output
    world.run(LA_UNITS_FAILED_SHARE_LIMIT=0.6)


def test_an_employer_that_fineos_forgot_has_no_units(world: World) -> None:
    (known,) = world.employers(1)
    world.table.add(number=999_999, action=None)
    world.at_fineos(known, (oid(1), "North"))
    report, _ = world.run()
    assert (report["unknown_employers_count"], report["errored_employers_count"]) == (1, 0)


def test_faults_of_every_kind_pass(world: World) -> None:
    employers = world.employers(60)
    for number, employer in enumerate(employers):
        world.at_fineos(employer, (oid(number), "North"))
    faults = ("unavailable", "gateway_timeout", "rate_limited", "socket_timeout")
    world.table.simulator.faults(**dict.fromkeys(faults, 0.05), drop_before=0.05, drop_after=0.05, latency_ms=5)
    report, _ = world.run(FINEOS_CLIENT_ATTEMPTS=15, FINEOS_CLIENT_BACKOFF=0.001)
    assert report["created_units_count"] == 60
    assert 1 < world.table.simulator.state()["peak_in_flight"] <= 16


def test_fineos_away_ends_the_run_and_says_so(world: World) -> None:
    world.employers(2)
    world.table.simulator.faults(unavailable=1)
    report, output = world.run(code=1, FINEOS_CLIENT_ATTEMPTS=2)
    assert report["status"] == "error"
    assert "ReadEmployer: unavailable. What was imported so far stays" in output


def test_a_wrong_secret_is_told_before_anything_starts(world: World) -> None:
    world.employers(1)
    _, output = world.run(code=1, FINEOS_CLIENT_OAUTH2_CLIENT_SECRET="wrong-secret-value")
    assert "FINEOS does not let us in. Check the settings FINEOS_CLIENT_OAUTH2_" in output
    assert "wrong-secret-value" not in output


def test_an_answer_without_its_employer_is_refused() -> None:
    unit = OrganisationUnit(oid(1), "North")
    assert usable([Organisation(7, {}, (unit, unit))], 7) == (unit,)
    assert usable([Organisation(8, {}, (unit,))], 7) == "OtherEmployerAtFineos"
    assert usable([Organisation(7, {}), Organisation(7, {})], 7) == "OtherEmployerAtFineos"
    assert usable([], 7) == "UnknownAtFineos"


# ── any state before, any answer ──────────────────────────────────────────────────────────────────────────────

names = st.sampled_from(["North", "South", "East", "West"])
ids = st.one_of(st.none(), st.integers(1, 5))
stored_units = st.lists(st.tuples(ids, names), max_size=4, unique_by=(lambda u: u[0] or object(), lambda u: u[1]))
answers = st.lists(st.tuples(st.integers(1, 5), names), max_size=4, unique_by=(lambda u: u[0], lambda u: u[1]))


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as connection:
        Statements("paidleave.fineos.organization_units").run(connection, "10_create_staging")
        yield connection


@settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(before=stored_units, answer=answers)
def test_afterwards_fineos_units_are_here_and_no_unit_is_lost(
    connection: psycopg.Connection[Any], before: list[tuple[int | None, str]], answer: list[tuple[int, str]]
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
    said = {(oid(number), name) for number, name in answer}

    counts = ImportCounts()
    taken = {employer: tuple(OrganisationUnit(number, name) for number, name in sorted(said))}
    command._store(connection, taken, counts)
    new = {row[0]: row[1:] for row in rows().fetchall()}

    assert not counts.errors
    assert {(number, name) for number, name in new.values() if number in {number for number, _ in said}} == said
    assert old.keys() <= new.keys()
    assert len(new) - len(old) == counts.units["created"]
    assert sum(counts.units[kind] for kind in ("created", "renamed", "identified", "unmodified")) == len(said)
    free = {name for number, name in old.values() if number is None or number not in {one for one, _ in said}}
    for unit, (number, name) in old.items():  # a unit with an id stays that unit, but where its new name is taken
        said_name = dict(said).get(number)
        if said_name is not None and said_name not in free - {name} and counts.units["identified"] == 0:
            assert new[unit] == (number, said_name)
    again = ImportCounts()
    command._store(connection, taken, again)
    assert again.units["unmodified"] == len(said)


def test_the_report_holds_counts_only(world: World) -> None:
    world.employers(1)
    report, _ = world.run()
    assert not [value for value in json.loads(json.dumps(report)).values() if not isinstance(value, int | str | dict)]
