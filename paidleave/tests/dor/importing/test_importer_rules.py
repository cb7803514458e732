"""The set-based import against the slow reference, on days of files that hypothesis makes."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nightferry.testing.tiers import LONG
from tests.dor import reference
from tests.dor.imports import DorWorld, contents, run_here
from tests.dor.lines import NO_EXEMPTION, employer_line, quarter_line, wage_line

FEINS = ("100000001", "100000002", "100000003")
KEYS = ("44100000001", "44100000002", "44100000003")
UNKNOWN_KEYS = ("99999999999", "")
SSNS = ("250000001", "250000002", "000000003")
QUARTERS = ("20191231", "20200331")
TIMES = ("20200501120000", "20200501120001", "20200502000000")
EXEMPT = "100000009"  # an employer that an exempt-employers file had created
STATES = frozenset({"MA", "NY"})
COUNTRIES = frozenset({"USA", "CAN"})

flags = st.sampled_from("TF")
amounts = st.sampled_from(["0.00", "15.00", "15", "-3.5", "1.005", "99999999999999999.99"])
names = st.sampled_from(["ANNA", "AN_NA", "AN NA", "Zoë", "_X_", "", 'O\'Neil, "Bo"', "a\\b\tc"])

employer_lines = st.builds(
    employer_line,
    st.sampled_from([*FEINS, EXEMPT, "12345678X", "12345678"]),
    st.sampled_from([*KEYS, *KEYS, ""]),
    name=st.sampled_from(["Boats", "", "“Boats”", 'A, "B"']),
    updated=st.sampled_from(TIMES),
    city=st.sampled_from(["Boston", ""]),
    state=st.sampled_from(["MA", "NY", "ZZ", ""]),
    country=st.sampled_from(["USA", "CAN", "XXX", ""]),
    dba=st.sampled_from(["Boats", ""]),
    family=flags,
    medical=flags,
    commence=st.sampled_from(["20200101", NO_EXEMPTION]),
)
quarter_lines = st.builds(
    quarter_line,
    st.sampled_from([*KEYS, *KEYS, *UNKNOWN_KEYS]),
    st.sampled_from(QUARTERS),
    pfm_account=st.sampled_from(["PFM1", "PFM1", "PFM2", ""]),
    total=amounts,
    received=st.sampled_from(["20200415", "20200416"]),
    updated=st.sampled_from(TIMES),
)
wage_lines = st.builds(
    wage_line,
    st.sampled_from([*SSNS, *SSNS, *SSNS, "25000000X"]),
    st.sampled_from([*KEYS[:2], *KEYS, *KEYS, *UNKNOWN_KEYS[:1]]),
    st.sampled_from(QUARTERS),
    first=names,
    last=names,
    contractor=flags,
    ytd=amounts,
    quarter=amounts,
)
bad_lines = st.sampled_from(
    [
        b"",
        b"   ",
        b"X",
        b"B too short",
        employer_line() + b" ",
        employer_line(commence="20200230"),
        quarter_line(received="20209999"),
        wage_line(ytd="12,5"),
        wage_line(period="00000000"),
    ]
)


def files(prefix: str, lines: st.SearchStrategy[bytes]) -> st.SearchStrategy[dict[str, bytes]]:
    content = st.builds(
        lambda lines, end, last: end.join(lines) + (end if last else b""),
        st.lists(st.one_of(*[lines] * 8, bad_lines), max_size=16),
        st.sampled_from([b"\n", b"\r\n"]),
        st.booleans(),
    ).filter(lambda content: content != b"")
    return st.lists(content, max_size=2).map(
        lambda contents: {f"{prefix}{number}": content for number, content in enumerate(contents)}
    )


days = st.builds(
    lambda employers, wages: employers | wages,
    files("DORDFMLEMP_2020051", employer_lines),
    files("DORDFML_2020051", st.one_of(quarter_lines, wage_lines, wage_lines)),
)


@pytest.fixture
def world(database: str, tmp_path: Path) -> DorWorld:
    return DorWorld(database, tmp_path / "dor")


@settings(
    max_examples=400 if LONG else 12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.lists(days, min_size=1, max_size=3), st.sampled_from([1.0, 0.4]))
def test_the_tables_are_those_of_the_slow_reference(
    world: DorWorld, days: list[dict[str, bytes]], limit: float
) -> None:
    world.clear()
    expected = reference.Database(STATES, COUNTRIES)
    start_with(world, expected)
    # Employers whom the wages of the days can refer to, so that lines often meet.
    known = b"\n".join(map(employer_line, FEINS, KEYS))
    for number, day in enumerate([{"DORDFMLEMP_1": known}, *days]):
        names = {}
        for name, content in day.items():
            names[name + str(number)] = content
            world.put(name + str(number), content)
        for name in in_order(names):
            counts = reference.import_file(expected, name, names[name], limit)
            if counts is None:
                assert run_here(world, REJECTED_SHARE_LIMIT=str(limit)) == 1
                (world.received / name).unlink()  # the file that fails; the next run goes on behind it
        assert run_here(world, REJECTED_SHARE_LIMIT=str(limit)) == 0
        assert list(world.received.iterdir()) == [] if day else True
    assert contents(world) == reference.contents(expected)


def in_order(names: dict[str, bytes]) -> list[str]:
    return sorted(names, key=lambda name: (not name.startswith("DORDFMLEMP_"), name))


def start_with(world: DorWorld, expected: reference.Database) -> None:
    """An employer with an invented account key, without address and change time; a tax identifier without employee."""
    world.execute(
        """
        INSERT INTO employer (employer_id, employer_fein, account_key, employer_name, employer_dba, family_exemption,
                              medical_exemption, exemption_commence_date, exemption_cease_date)
        VALUES (gen_random_uuid(), %s, 'exempt_employer_1', 'Exempt', 'Exempt', true, true, '9999-12-31', '9999-12-31')
        """,
        EXEMPT,
    )
    world.execute(
        "INSERT INTO tax_identifier (tax_identifier_id, tax_identifier) VALUES (gen_random_uuid(), %s)", SSNS[0]
    )
    expected.employers[EXEMPT] = reference.Employer(EXEMPT, "exempt_employer_1", "Exempt", "Exempt")
    expected.tax_identifiers.add(SSNS[0])
    # A quarter whose change time nobody knows is older than any.
    world.execute(
        """
        INSERT INTO employer_quarterly_contribution (employer_id, filing_period, employer_total_pfml_contribution,
                                                     pfm_account_id)
        SELECT employer_id, '2020-03-31', 7, 'PFM0' FROM employer WHERE employer_fein = %s
        """,
        EXEMPT,
    )
    expected.quarters[(EXEMPT, date(2020, 3, 31))] = (7, "PFM0", None, None, None)


def test_of_two_employers_with_one_fein_the_one_that_dor_changed_last_counts(world: DorWorld) -> None:
    """Bad data from before the index that forbids it."""
    world.execute("DROP INDEX uq_employer_employer_fein")
    for key, updated in (("44100000001", "2020-01-01"), ("44100000002", "2020-02-01"), ("44100000003", None)):
        world.execute(
            "INSERT INTO employer (employer_id, employer_fein, account_key, dor_updated_date) "
            "VALUES (gen_random_uuid(), '100000001', %s, %s)",
            key,
            updated,
        )
    world.put("DORDFMLEMP_1", employer_line(account_key="44100000002", name="Renamed", updated="20200301000000"))
    assert run_here(world) == 0
    found = world.query("SELECT account_key, employer_name FROM employer ORDER BY account_key")
    assert found == [("44100000001", None), ("44100000002", "Renamed"), ("44100000003", None)]
    assert world.query("SELECT count(*) FROM employer_push_to_fineos_queue") == [(1,)]


def test_an_account_key_held_twice_belongs_to_the_employer_that_dor_changed_last(world: DorWorld) -> None:
    world.put(
        "DORDFMLEMP_1",
        b"\n".join(
            employer_line(fein, "44100000001", updated=updated)
            for fein, updated in zip(FEINS, ("20200501000000", "20200503000000", "20200502000000"), strict=True)
        ),
    )
    world.put("DORDFML_1", b"\n".join([quarter_line(), wage_line()]))
    assert run_here(world) == 0
    assert [row[1] for row in contents(world)["wages"]] == [FEINS[1]]
    assert [row[0] for row in contents(world)["quarters"]] == [FEINS[1]]


def test_an_invented_account_key_is_replaced_and_its_wages_found(world: DorWorld) -> None:
    expected = reference.Database(STATES, COUNTRIES)
    start_with(world, expected)
    world.put("DORDFMLEMP_1", employer_line(EXEMPT, "44100000009"))
    world.put("DORDFML_1", wage_line(account_key="44100000009"))
    assert run_here(world) == 0
    assert world.query("SELECT account_key FROM employer") == [("44100000009",)]
    assert world.query("SELECT count(*) FROM link_employer_address") == [(1,)]
    assert [row[1] for row in contents(world)["wages"]] == [EXEMPT]
