"""The CSV of returning employers: valid rows, rejected rows and unusable files."""

from __future__ import annotations

import csv
import io
from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paidleave.dor.files import returning_csv
from paidleave.dor.files.formats import RETURNING, RETURNING_CSV
from paidleave.dor.files.line import MAX_LINE_BYTES
from paidleave.dor.files.returning_csv import CsvUnusable
from paidleave.text_stream import TextStream
from tests.dor.lines import CSV_HEADER, csv_row

CELLS = "number of cells differs from the first line"
GOOD = ("100000001", False, False, date(2022, 1, 1), date(2021, 9, 30))


def read(content: bytes) -> tuple[list[Any], list[Any], list[bytes]]:
    """Return the records without line numbers, the rejects (line, field, reason) and the raw lines."""
    batches = list(returning_csv.read(TextStream(io.BytesIO(content))))
    records = [row[1:] for batch in batches for row in batch.records[RETURNING.name].iter_rows()]
    rejects = [row for batch in batches for row in batch.rejects.drop("record_kind").iter_rows()]
    assert sum(batch.lines for batch in batches) == len(records) + len(rejects)
    return records, rejects, [line for batch in batches for line in batch.select_originals(batch.rejects)]


@pytest.mark.parametrize(
    "content",
    [
        CSV_HEADER + csv_row(),
        "\ufeff" + CSV_HEADER + csv_row(),
        (CSV_HEADER + csv_row()).replace("\n", "\r\n"),
        (CSV_HEADER + csv_row()).rstrip("\n"),
        CSV_HEADER.replace("'", "") + csv_row(),
        CSV_HEADER.rstrip() + ",,Note,\n" + csv_row().rstrip() + ",extra,more,\n",
        CSV_HEADER + csv_row(name='"Boats, ""Ltd"""'),
        CSV_HEADER + csv_row(name='"two\r\nlines"'),
        CSV_HEADER + csv_row(name="=HYPERLINK(1)"),
        CSV_HEADER + csv_row(name="@SUM(A1)"),
        CSV_HEADER + csv_row(name="a\0b"),
        CSV_HEADER + csv_row(name="x" * 60_000),
        CSV_HEADER + csv_row(fein=" 100000001 ", effective=" 01/01/2022 "),
        ",".join(reversed(CSV_HEADER.strip().split(","))) + "\n9/30/2021,1/1/2022,No,No,Boats,100000001\n",
    ],
)
def test_row_is_read_in_every_notation(content: str) -> None:
    assert read(content.encode()) == ([GOOD], [], [])


def test_names_in_another_encoding_are_ignored() -> None:
    assert read((CSV_HEADER + csv_row(name="Café")).encode("latin-1")) == ([GOOD], [], [])


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        (csv_row(fein="12345678"), "fein", "not 9 digits"),
        (csv_row(fein="12345678X"), "fein", "not 9 digits"),
        (csv_row(fein="12-3456789"), "fein", "not 9 digits"),
        (csv_row(fein='"=""100000001"""'), "fein", "not 9 digits"),
        (csv_row(fein="١٢٣٤٥٦٧٨٩"), "fein", "not 9 digits"),
        (csv_row(fein=""), "fein", "not 9 digits"),
        (csv_row(quarter=""), "first_requested_quarter", "missing"),
        (csv_row(quarter="2021-09-30"), "first_requested_quarter", "not a date M/D/YYYY"),
        (csv_row(quarter="30/9/2021"), "first_requested_quarter", "not a date M/D/YYYY"),
        (csv_row(quarter="9/31/2021"), "first_requested_quarter", "not a date M/D/YYYY"),
        (csv_row(quarter="9/30/0000"), "first_requested_quarter", "not a date M/D/YYYY"),
        (csv_row(effective="soon"), "effective_date", "not a date M/D/YYYY"),
        ("100000001\n", None, CELLS),
        (csv_row(name="Boats, Ltd"), None, CELLS),  # moves "No" and "Yes" by one column
        (csv_row().rstrip() + ",\n", None, CELLS),
        (csv_row().rpartition(",")[0] + "\n", None, CELLS),
    ],
)
def test_bad_row_is_rejected_and_the_others_are_read(row: str, field: str, reason: str) -> None:
    multi_line = csv_row(name='"two\nlines"')
    records, rejects, raw = read((CSV_HEADER + multi_line + row + csv_row()).encode())
    assert records == [GOOD, GOOD]
    assert rejects == [(4, field, reason)]
    assert raw == [row.rstrip("\n").encode()]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("\n", "columns missing in the first line: FEIN"),
        ("FEIN,Name\n", "columns missing in the first line: Medical Exemption"),
        (csv_row(), "columns missing in the first line"),
        (CSV_HEADER.replace("'Family Exemption'", "FEIN") + csv_row(), "first line: Family Exemption"),
        ("FEIN," + CSV_HEADER + csv_row(), "duplicate columns in the first line: FEIN"),
        (CSV_HEADER.replace(",", ";") + csv_row(), "columns missing in the first line"),
        (CSV_HEADER + csv_row() + csv_row(name='"open'), "line 3 has an unclosed quote"),
        (CSV_HEADER + csv_row(name='"a"b'), "line 2 has an unclosed quote"),
        (CSV_HEADER + csv_row() + "x" * (MAX_LINE_BYTES + 1) + "\n", "line 3 has more than"),
        (CSV_HEADER + '"' + "x\n" * MAX_LINE_BYTES, "line 2 has more than"),
    ],
)
def test_unusable_csv_is_reported(content: str, words: str) -> None:
    with pytest.raises(CsvUnusable, match=words):
        read(content.encode("latin-1"))


def test_unclosed_quote_is_read_in_bounded_memory() -> None:
    class Long:
        given = 0

        def read(self, size: int, /) -> bytes:
            self.given += size
            if self.given > 100 * size:
                return b""
            return (CSV_HEADER.encode() if self.given == size else b"") + b'"' + b"x" * size

    stream = Long()
    with pytest.raises(CsvUnusable):
        list(returning_csv.read(stream))
    assert stream.given < 10 * MAX_LINE_BYTES


@pytest.mark.parametrize("row", [",,,,,\n", "\n", "  \n", " , ,,,,,,,\n", '"",\n', "\r\n"])
def test_rows_of_empty_cells_are_skipped_and_counted(row: str) -> None:
    content = (CSV_HEADER + row + csv_row() + row + csv_row(fein="x") + row).encode()
    (batch,) = returning_csv.read(io.BytesIO(content))
    assert (batch.lines, batch.empty_rows) == (2, 3)
    assert batch.records[RETURNING.name]["line_number"].to_list() == [3]
    assert batch.rejects["line_number"].to_list() == [5]
    assert batch.size == len(content) - len(CSV_HEADER)


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@given(st.lists(st.lists(cells, min_size=6, max_size=7), max_size=5), st.sampled_from(["\n", "\r\n"]))
def test_rows_match_the_csv_module(rows: list[list[str]], end: str) -> None:
    """Every written row is read as itself, with any text in its cells."""
    text = io.StringIO()
    text.write(CSV_HEADER)
    csv.writer(text, lineterminator=end).writerows([*rows, csv_row().strip().split(",")])
    records, rejects, _ = read(text.getvalue().encode())
    filled = [row for row in rows if any(cell.strip() for cell in row)]
    assert len(records) + len(rejects) == len(filled) + 1
    assert records[-1] == GOOD


def test_empty_frame_has_its_columns() -> None:
    (batch,) = returning_csv.read(io.BytesIO((CSV_HEADER + "1,,,,,\n").encode()))
    assert batch.records[RETURNING.name].schema == returning_csv.RECORDS
    assert isinstance(batch.records[RETURNING.name], pl.DataFrame)


@pytest.mark.parametrize(
    ("name", "matches"),
    [
        ("CompaniesReturningToStatePlan.csv", True),
        ("CompaniesReturningToStatePlan-2022 01 (final).csv", True),
        ("CompaniesReturningToStatePlan.CSV", True),
        ("CompaniesReturningToStatePlan 2.Csv", True),
        ("CompaniesReturningToStatePlan.csv.part", False),
        ("CompaniesReturningToStatePlan", False),
        ("xCompaniesReturningToStatePlan.csv", False),
    ],
)
def test_whole_name_must_match(name: str, matches: bool) -> None:
    assert RETURNING_CSV.matches(name) is matches
