"""Generated files have the specified contents and counts and never change."""

from __future__ import annotations

import hashlib
import io
import itertools
from collections import Counter
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightferry.testing.tiers import LONG
from paidleave.dor import generate
from paidleave.dor.files import formats, line, reader
from paidleave.dor.files.formats import EMPLOYER, WAGE_A, WAGE_B, Layout
from paidleave.dor.generate import Population, WriteCounts, WriteOptions
from paidleave.dor.generate.defects import DEFECTS
from paidleave.dor.generate.draws import Draws

CENT = Decimal("0.01")
# Defects of well-formed records, which only the import rules reject.
WELL_FORMED = {"id with a letter", "short id", "invalid US state", "unknown account key"}


def employer_file(population: Population, options: WriteOptions | None = None) -> tuple[bytes, WriteCounts]:
    stream = io.BytesIO()
    written = generate.write_employer_file(stream, population, options)
    return stream.getvalue(), written


def wage_file(population: Population, options: WriteOptions | None = None) -> tuple[bytes, WriteCounts]:
    stream = io.BytesIO()
    written = generate.write_wage_file(stream, population, options)
    return stream.getvalue(), written


def records(data: bytes, layout: Layout) -> dict[str, pl.DataFrame]:
    batches = list(reader.read(io.BytesIO(data), layout))
    assert not any(len(batch.rejects) for batch in batches)
    return {format.name: pl.concat(batch.records[format.name] for batch in batches) for format in layout.formats}


def employers(population: Population) -> pl.DataFrame:
    return records(employer_file(population)[0], formats.EMPLOYER_FILE)[EMPLOYER.name]


def wages(population: Population) -> tuple[pl.DataFrame, pl.DataFrame]:
    frames = records(wage_file(population)[0], formats.WAGE_FILE)
    return frames[WAGE_A.name], frames[WAGE_B.name]


def test_files_of_a_seed_never_change() -> None:
    """A failure means that the generated files change for all users. Add an intended change to the CHANGELOG."""
    population = Population(700, seed=7)
    digests = [hashlib.sha256(write(population)[0]).hexdigest()[:16] for write in (employer_file, wage_file)]
    digests += [
        hashlib.sha256(write(Population(700, seed=7, update=True), WriteOptions(0.1, 0.1))[0]).hexdigest()[:16]
        for write in (employer_file, wage_file)
    ]
    assert digests == ["a9f9d7f2991dcf4f", "220d5e3a9abebf7f", "1e7f7fb9bb20c4dc", "94b1f8310a9bbc98"]


def test_another_seed_changes_people_but_not_numbers() -> None:
    one, other = employers(Population(100, seed=1)), employers(Population(100, seed=2))
    assert one["fein"].equals(other["fein"])
    assert not one["employer_name"].equals(other["employer_name"])


@pytest.mark.sampled(2)
@pytest.mark.parametrize("update", [False, True])
def test_employer_data_does_not_depend_on_their_number(update: bool) -> None:
    few, many = Population(230, update=update), Population(1_001, update=update)
    assert employers(few).equals(employers(many).head(230))
    (few_a, few_b), (many_a, many_b) = wages(few), wages(many)
    number = pl.col("account_key").str.slice(2).cast(pl.Int64) - 100_000_000
    assert few_a.drop("line_number").equals(many_a.filter(number <= 230).drop("line_number"))
    number = pl.col("employee_ssn").cast(pl.Int64)
    last = few_b.select(number.max()).item()
    assert few_b.drop("line_number").equals(many_b.filter(number <= last).drop("line_number"))


@pytest.mark.sampled(3)
@pytest.mark.parametrize("count", [1, 2, 99, 100, 101, 257])
def test_any_number_of_employers(count: int) -> None:
    frame = employers(Population(count))
    assert frame["fein"].to_list() == [str(100_000_000 + number) for number in range(1, count + 1)]
    a, b = wages(Population(count))
    assert len(a) == 4 * count
    assert b["account_key"].n_unique() == count


@pytest.mark.parametrize("count", [0, -1, 900_000_000])
def test_invalid_number_of_employers(count: int) -> None:
    with pytest.raises(ValueError, match="number of employers must be from 1 to 899,999,999"):
        Population(count)


def test_employers_match_dor_specification() -> None:
    frame = employers(Population(5_000))
    assert frame["account_key"].to_list() == [f"44{fein}" for fein in frame["fein"]]
    assert 0.03 < (frame["address_country"] != "USA").mean() < 0.07
    assert 0.15 < (frame["employer_dba"].fill_null("") != frame["employer_name"]).mean() < 0.25
    assert frame["employer_dba"].null_count() > 10
    assert frame["address_city"].null_count() > 10
    flags = frame["family_exemption"], frame["medical_exemption"]
    has_period = frame["exemption_commence_date"] < date(9999, 1, 1)
    for column in (*flags, has_period):
        assert 0.45 < column.mean() < 0.55
    # The flags are independent of each other and of the dates.
    for one, other in itertools.combinations((*flags, has_period), 2):
        assert 0.22 < (one & other).mean() < 0.28
    exempt, others = frame.filter(has_period), frame.filter(~has_period)
    assert ((exempt["exemption_cease_date"] - exempt["exemption_commence_date"]).dt.total_days() == 364).all()
    assert (others["exemption_commence_date"] == date(9999, 12, 31)).all()
    assert (others["exemption_cease_date"] == date(9999, 12, 31)).all()
    foreign = frame.filter(pl.col("address_country") != "USA")
    assert foreign["address_zip"].str.contains("^[A-Z][0-9]{3} [A-Z]{2}$").all()
    assert frame.filter(pl.col("address_country") == "USA")["address_zip"].str.contains("^[0-9]{9}$").all()
    non_ascii = frame.filter(~pl.col("employer_name").str.contains(r"^[\x20-\x7e]*$"))
    assert non_ascii["line_number"].to_list() == list(range(500, 5_001, 500))


FIRST_QUARTERS = [date(2019, 6, 30), date(2019, 9, 30), date(2019, 12, 31), date(2020, 3, 31)]


def test_wages_match_dor_specification() -> None:
    a, b = wages(Population(400))
    assert b["line_number"].is_sorted()
    assert a["filing_period"].unique().sort().to_list() == FIRST_QUARTERS
    assert len(a) == 4 * 400
    ssns = b["employee_ssn"].unique().sort().cast(pl.Int64).to_list()
    assert ssns == list(range(250_000_001, 250_000_001 + len(ssns)))
    assert 10 < len(ssns) / 400 < 25
    people = b.group_by("account_key").agg(pl.col("employee_ssn").n_unique())["employee_ssn"]
    assert people.max() > 10 * people.median()  # type: ignore[operator]  # numbers
    assert b["employee_last_name"].str.contains("_").any()
    assert b["employee_last_name"].str.contains(r"[^\x00-\x7f]").any()
    for row in b.head(2_000).iter_rows(named=True):
        wage = row["employee_qtr_wages"]
        assert row["employee_medical"] == (wage * Decimal("0.0062") * Decimal("0.4")).quantize(CENT, ROUND_HALF_UP)
        assert row["employer_medical"] == (wage * Decimal("0.0062") * Decimal("0.6")).quantize(CENT, ROUND_HALF_UP)
        assert row["employee_family"] == (wage * Decimal("0.0013")).quantize(CENT, ROUND_HALF_UP)
        assert row["employer_family"] == 0


def test_people_work_for_several_employers_as_in_dor_specification() -> None:
    """The old generator's sample has 400 A lines and 11,488 B lines of 100 employers and 1,500 people."""
    _, b = wages(Population(400))
    people = b.group_by("employee_ssn").agg(pl.col("account_key").n_unique().alias("employers"), pl.len())
    assert 0.22 < (people["employers"] > 1).mean() < 0.28
    assert people["employers"].max() == 5
    assert 6.5 < people["len"].mean() < 8.5  # type: ignore[operator]  # 7.66 in the sample
    jobs = b.group_by("employee_ssn", "account_key").agg("filing_period").sort("employee_ssn", "account_key")
    first = jobs["filing_period"].list.get(0)
    assert first.unique().sort().to_list() == FIRST_QUARTERS
    assert first.value_counts()["count"].min() > 0.2 * len(jobs)  # type: ignore[operator]  # a number
    lengths = jobs["filing_period"].list.len()
    assert lengths.unique().sort().to_list() == list(range(1, 9))
    assert lengths.value_counts()["count"].min() > 0.1 * len(jobs)  # type: ignore[operator]  # a number
    # The quarters of a job are consecutive.
    quarters = pl.element().dt.year() * 4 + pl.element().dt.quarter()
    assert jobs["filing_period"].list.eval(
        quarters.diff().drop_nulls()
    ).list.unique().explode().drop_nulls().unique().to_list() == [1]
    # No employer is the second one of many people.
    other = b.filter(pl.col("account_key") != pl.col("account_key").first().over("employee_ssn"))
    assert other.group_by("account_key").agg(pl.col("employee_ssn").n_unique())["employee_ssn"].max() < 100  # type: ignore[operator]


def test_wages_of_the_year_are_summed_per_job() -> None:
    _, b = wages(Population(40))
    year = pl.col("filing_period").dt.year()
    expected = b.select(
        pl.col("employee_qtr_wages").cum_sum().over("employee_ssn", "account_key", year.alias("year"))
    ).to_series()
    assert b["employee_ytd_wages"].equals(expected)
    assert b["filing_period"].dt.year().unique().sort().to_list() == [2019, 2020, 2021]


def test_scenarios_have_one_employer_in_four_quarters() -> None:
    _, b = wages(Population(40))
    people = b.group_by("employee_ssn").agg("filing_period", "employee_qtr_wages", pl.col("account_key").n_unique())
    people = people.filter(pl.col("employee_ssn").str.slice(7).is_in(["00", "04"])).sort("employee_ssn")
    assert len(people) > 4
    assert (people["account_key"] == 1).all()
    assert people["filing_period"].to_list() == [FIRST_QUARTERS] * len(people)
    amounts = {tuple(quarters) for quarters in people["employee_qtr_wages"].to_list()}
    assert amounts == {(0, 0, 0, 0), (1350, 1350, 1350, Decimal("1349.99"))}


def test_a_lines_precede_b_lines_per_hundred_employers() -> None:
    data, _ = wage_file(Population(250))
    lines = data.decode().splitlines()
    kinds = [kind for kind, _ in itertools.groupby(line[:1] for line in lines)]
    assert kinds == ["A", "B"] * 3
    blocks = [(int(line[3:12]) - 100_000_001) // 100 for line in lines if line[:1] == "A"]
    assert blocks == sorted(blocks)
    # B lines may also belong to employers of earlier blocks.
    assert max(int(line[3:12]) for line in itertools.takewhile(lambda line: line[:1] == "A", lines)) == 100_000_100


def test_update_changes_some_employers_a_day_later() -> None:
    before, after = employers(Population(2_000)), employers(Population(2_000, update=True))
    assert before["fein"].equals(after["fein"])
    later = (after["updated_date"] - before["updated_date"]).dt.total_seconds()
    assert set(later) == {0, 86_400}
    changed = later > 0
    assert 0.27 < changed.mean() < 0.33
    for column in ("employer_dba", "address_street"):
        assert (before[column].fill_null("") != after[column].fill_null("")).equals(changed), column
    renamed = before["employer_name"] != after["employer_name"]
    assert 0.08 < renamed.mean() < 0.12
    assert 0.02 < (renamed & changed).mean() < 0.04  # independent
    for column in ("family_exemption", "medical_exemption"):
        assert 0.02 < (before[column] != after[column]).mean() < 0.08, column
        assert changed.filter(before[column] != after[column]).all()


def test_update_repeats_all_a_lines_and_a_tenth_of_the_b_lines() -> None:
    (a, b), (later_a, later_b) = wages(Population(500)), wages(Population(500, update=True))
    assert a.select("account_key", "filing_period").equals(later_a.select("account_key", "filing_period"))
    changed = a["updated_date"] != later_a["updated_date"]
    assert 0.27 < changed.mean() < 0.33
    assert (a["total_pfml_contribution"] != later_a["total_pfml_contribution"]).equals(changed)
    assert 0.09 < len(later_b) / len(b) < 0.11
    key = [*WAGE_KEY, "account_key"]
    both = later_b.join(b, on=key)
    assert 0.95 < len(both) / len(later_b) < 1  # The others have moved.
    assert 0.4 < (both["employee_qtr_wages"] != both["employee_qtr_wages_right"]).mean() < 0.6
    people = later_b.unique("employee_ssn").join(b.unique("employee_ssn"), on="employee_ssn")
    assert 0.45 < (people["employee_last_name"] != people["employee_last_name_right"]).mean() < 0.55
    assert people["employee_first_name"].equals(people["employee_first_name_right"])


DAYS = range(1, 12)  # a round in which each line is in one update, and the next day
WAGE_KEY = ["employee_ssn", "filing_period"]


def test_each_day_changes_other_employers_and_retains_earlier_changes() -> None:
    days = [employers(Population(1_000)), *(employers(Population(1_000, update=True, day=day)) for day in DAYS)]
    changed = []
    for day, (before, after) in enumerate(itertools.pairwise(days), 1):
        assert before["fein"].equals(after["fein"])
        is_changed = after["updated_date"] != before["updated_date"]
        assert (after["address_street"] != before["address_street"]).equals(is_changed)
        # The change time is on the day of the last change.
        days_later = (after["updated_date"] - days[0]["updated_date"]).dt.total_seconds() / 86_400
        assert set(days_later.filter(is_changed)) == {day}
        changed.append(set(after.filter(is_changed)["fein"]))
        assert 0.27 < len(changed[-1]) / 1_000 < 0.33
        assert 0.07 < (before["employer_name"] != after["employer_name"]).mean() < 0.13
    # Every employer is changed in turn, and three times in ten days.
    assert not any(changed[0] & others for others in changed[1:3])
    assert len(set.union(*changed[:4])) == 1_000
    assert set(Counter(fein for feins in changed[:10] for fein in feins).values()) == {3}


def test_each_day_has_other_wage_lines_with_some_changes() -> None:
    first_a, first_b = wages(Population(200))
    later = [wages(Population(200, update=True, day=day)) for day in DAYS]
    seen = [set(b.select(WAGE_KEY).iter_rows()) for _, b in later]
    assert sum(len(b) for _, b in later[:10]) == len(first_b)
    assert set.union(*seen[:10]) == set(first_b.select(WAGE_KEY).iter_rows())
    assert seen[10] == seen[0] != seen[1]
    for (some_a, _), (more_a, _) in itertools.pairwise(later):
        assert len(more_a) == len(first_a)
        changed = more_a["updated_date"] > some_a["updated_date"]
        assert (more_a["updated_date"] >= some_a["updated_date"]).all()
        assert 0.2 < changed.mean() < 0.4
    key = [*WAGE_KEY, "account_key"]
    for before, after in ((first_b, later[4][1]), (later[0][1], later[10][1])):
        both = after.join(before, on=key)
        assert 0 < len(both) < len(after)  # Some have moved.
        assert 0.3 < (both["employee_qtr_wages"] != both["employee_qtr_wages_right"]).mean() < 0.7
        assert (both["employee_last_name"] != both["employee_last_name_right"]).any()


@pytest.mark.sampled(3)
@pytest.mark.parametrize("employers", [1, 3, 30])
def test_the_employers_of_a_person_are_different_on_every_day(employers: int) -> None:
    for day in (0, 1, 7, 500, 1_000_000):
        _, lines = wages(Population(employers, update=day > 0, day=max(day, 1)))
        assert not lines.select("employee_ssn", "account_key", "filing_period").is_duplicated().any()
        numbers = lines["account_key"].str.slice(2).cast(pl.Int64) - 100_000_000
        assert 1 <= numbers.min() <= numbers.max() <= employers  # type: ignore[operator]  # numbers


@pytest.mark.parametrize(("update", "day"), [(False, 2), (True, 0), (True, -1)])
def test_invalid_day(update: bool, day: int) -> None:
    with pytest.raises(ValueError, match="the day must be 1 or greater, and greater than 1 for updates only"):
        Population(1, update=update, day=day)


def test_bad_lines_have_all_defects_and_matching_reasons() -> None:
    for write, layout in ((employer_file, formats.EMPLOYER_FILE), (wage_file, formats.WAGE_FILE)):
        clean, _ = write(Population(300))
        data, written = write(Population(300), WriteOptions(bad_share=0.2))
        for format in layout.formats:
            assert set(written.bad[format.name]) == set(DEFECTS[format.name])
            assert min(written.bad[format.name].values()) >= 1
            assert abs(sum(written.bad[format.name].values()) - 0.2 * written.good[format.name]) < 1
        batches = list(reader.read(io.BytesIO(data), layout))
        assert sum(batch.lines for batch in batches) == written.lines == data.count(b"\n")
        reasons = Counter(reason for batch in batches for reason in batch.rejects["reason"])
        for kind in (
            {kind for format in layout.formats for kind in DEFECTS[format.name]} - WELL_FORMED - {"wrong length"}
        ):
            assert reasons[kind] == sum(written.bad[format.name].get(kind, 0) for format in layout.formats), kind
        lengths = sum(count for reason, count in reasons.items() if reason.startswith("invalid line length"))
        assert lengths == sum(written.bad[format.name]["wrong length"] for format in layout.formats)
        # Without its bad lines, the file is identical to the clean one.
        bad = Counter(line for batch in batches for line in batch.select_originals(batch.rejects))
        left = Counter(data.split(b"\n")) - bad - Counter(clean.split(b"\n"))
        assert left.total() == sum(
            count for kinds in written.bad.values() for kind, count in kinds.items() if kind in WELL_FORMED
        )


def test_duplicates_are_distant_copies_or_older_versions() -> None:
    data, written = wage_file(Population(300), WriteOptions(duplicate_share=0.1))
    frames = records(data, formats.WAGE_FILE)
    for format, keys in ((WAGE_A, ["account_key"]), (WAGE_B, ["employee_ssn", "account_key"])):
        frame = frames[format.name]
        assert len(frame) == written.good[format.name] + written.duplicates[format.name]
        twice = (
            frame.group_by(*keys, "filing_period").agg(pl.len(), pl.col("line_number").sort()).filter(pl.col("len") > 1)
        )
        assert len(twice) == written.duplicates[format.name] > 0
        distance = twice["line_number"].list.get(1) - twice["line_number"].list.get(0)
        assert distance.median() > 100  # type: ignore[operator]  # a number
    older = frames[WAGE_A.name].filter(
        pl.col("updated_date").dt.year() == 2019, pl.col("total_pfml_contribution") == CENT
    )
    assert len(older) == written.duplicates[WAGE_A.name] // 2


def is_complete(raw: bytes, layout: Layout) -> bool:
    try:
        line.check_end(raw, layout)
    except line.IncompleteFile:
        return False
    return True


@settings(max_examples=250 if LONG else 4, deadline=None)
@given(
    bad=st.sampled_from([0.0, 0.001, 0.02, 0.5, 1.0]),
    duplicates=st.sampled_from([0.0, 0.01, 1 / 3, 1.0]),
    crlf=st.booleans(),
    last=st.booleans(),
    update=st.booleans(),
    count=st.integers(1, 120),
)
def test_counts_match_the_file(bad: float, duplicates: float, crlf: bool, last: bool, update: bool, count: int) -> None:
    options = WriteOptions(bad, duplicates, crlf, last)
    for write, layout in ((employer_file, formats.EMPLOYER_FILE), (wage_file, formats.WAGE_FILE)):
        data, written = write(Population(count, update=update), options)
        assert len(data) == written.bytes
        batches = list(reader.read(io.BytesIO(data), layout))
        lines = sum(batch.lines for batch in batches)
        assert lines == written.lines
        if lines:
            # A bad last line, such as a blank or short one, always has its line end: else the file is incomplete.
            end = data.removesuffix(b"\n").removesuffix(b"\r").rpartition(b"\n")[2]
            assert data.endswith(b"\n") is (last or not is_complete(end, layout))
            assert (b"\r" in data) is (crlf and b"\n" in data)
        rejects = sum(len(batch.rejects) for batch in batches)
        well_formed = sum(n for kinds in written.bad.values() for kind, n in kinds.items() if kind in WELL_FORMED)
        good_form = sum(len(frame) for batch in batches for frame in batch.records.values())
        assert good_form == sum(written.good.values()) + sum(written.duplicates.values()) + well_formed
        assert good_form + rejects == lines


def test_draws_of_a_number_do_not_depend_on_other_numbers() -> None:
    numbers = pl.Series([5, 17, 2**40])
    together = Draws(3, numbers).bits("name")
    assert [Draws(3, pl.Series([number])).bits("name")[0] for number in numbers] == together.to_list()
    assert Draws(3, numbers).bits("other")[0] != together[0] != Draws(4, numbers).bits("name")[0]


def test_daily_events_occur_to_all_numbers_in_rotation() -> None:
    draws = Draws(0, pl.int_range(1_000, eager=True))
    assert draws.count_occurrences("x", 0.05, 0).sum() == 0
    assert draws.occurs_on("x", 0.05, 1).equals(draws.occurs("x", 0.05))
    for day in range(1, 45):
        happened = draws.count_occurrences("x", 0.05, day) - draws.count_occurrences("x", 0.05, day - 1)
        assert happened.cast(pl.Boolean).equals(draws.occurs_on("x", 0.05, day))
        assert 20 < happened.sum() < 80
        assert happened.max() == 1
    assert (draws.count_occurrences("x", 0.05, 40) == 2).all()


def test_draws_are_uniform() -> None:
    draws = Draws(0, pl.int_range(100_000, eager=True))
    counts = draws.below("dice", 10).value_counts()["count"]
    assert counts.min() > 9_500  # type: ignore[operator]  # numbers
    assert counts.max() < 10_500  # type: ignore[operator]
    unit = draws.uniform("unit")
    assert 0 < unit.min() <= unit.max() <= 1  # type: ignore[operator]
    assert abs(unit.mean() - 0.5) < 0.01  # type: ignore[operator]
    assert abs(draws.occurs("rare", 0.05).mean() - 0.05) < 0.005  # type: ignore[operator]


def test_splitmix64_matches_the_published_outputs() -> None:
    """Compare with the reference implementation for seed 1234567 (Vigna, prng.di.unimi.it/splitmix64.c)."""
    golden = 0x9E3779B97F4A7C15
    draws = Draws(0, pl.Series([1, 2, 3]))
    start = int.from_bytes(hashlib.sha256(b"0/x").digest()[:8])

    def splitmix(state: int) -> int:
        z = state
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        return z ^ (z >> 31)

    assert splitmix((1234567 + golden) % 2**64) == 6457827717110365317
    assert draws.bits("x").to_list() == [splitmix((start + n * golden) % 2**64) for n in (1, 2, 3)]
