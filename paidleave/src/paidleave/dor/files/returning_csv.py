"""Reader for the CSV of employers returning to the state plan, which agency staff write.

::

    bytes ── physical lines ── records (quotes, line ends within them) ─┬─ typed rows
                                                                        └─ rejected rows, with the reason

The first line names the columns, with or without the single quotes that surround most of them. The order of columns
and additional columns do not matter, but each row must have as many cells as the first line: an unquoted comma in a
name would otherwise move the exemptions to other columns. Rows whose cells are all empty are skipped and counted. Only
the used columns must be readable; others may contain names in another encoding, for example. The number of a row is the
number of the physical line on which it begins.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice

import polars as pl

from nightferry import NightferryError
from paidleave.dor.files.batch import REJECT_SCHEMA, Batch
from paidleave.dor.files.formats import RETURNING
from paidleave.dor.files.identities import PLACEHOLDER, PLACEHOLDER_FEINS
from paidleave.dor.files.line import MAX_LINE_BYTES
from paidleave.file_limits import ByteSource

FEIN = "FEIN"
MEDICAL = "Medical Exemption"
FAMILY = "Family Exemption"
EFFECTIVE = "Effective date with State"
FIRST_QUARTER = "First Requested Quarter"
COLUMNS = (FEIN, MEDICAL, FAMILY, EFFECTIVE, FIRST_QUARTER)

RECORDS = pl.Schema(
    {
        "line_number": pl.Int64(),
        "fein": pl.String(),
        "family_exemption": pl.Boolean(),
        "medical_exemption": pl.Boolean(),
        "effective_date": pl.Date(),
        "first_requested_quarter": pl.Date(),
    }
)
"""The schema of accepted rows. Only ``effective_date`` may be NULL."""

_CHUNK_BYTES = 64 * 1024
_ROWS_PER_BATCH = 5_000
_DATE = re.compile("([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})")


class CsvUnusable(NightferryError):
    """The CSV as a whole is invalid. Save it again as a CSV with the columns that the message names."""


@dataclass(frozen=True)
class _Row:
    """A record: the number of its first line, its bytes and the text of each column, None if it has other columns."""

    number: int
    raw: bytes
    cells: dict[str, str] | None
    is_empty: bool


class _Invalid(Exception):
    """A cell is invalid; the arguments are the column and the reason."""


def read(stream: ByteSource) -> Iterator[Batch]:
    """Read ``stream`` in batches of some thousand rows; errors of the stream are not caught.

    Raises:
        CsvUnusable: The CSV as a whole is invalid.
    """
    rows = _read_rows(stream)
    while some := list(islice(rows, _ROWS_PER_BATCH)):
        yield _decode(some)


def _decode(rows: list[_Row]) -> Batch:
    records: list[tuple[object, ...]] = []
    rejects: list[tuple[object, ...]] = []
    originals: dict[int, bytes] = {}
    filled = [row for row in rows if not row.is_empty]
    for row in filled:
        try:
            records.append((row.number, *_parse_values(row.cells)))
        except _Invalid as invalid:
            rejects.append((row.number, RETURNING.name, *invalid.args))
            originals[row.number] = row.raw
    frame = pl.DataFrame(records, schema=RECORDS, orient="row")
    return Batch(
        lines=len(filled),
        size=sum(len(row.raw) + 1 for row in rows),
        records={RETURNING.name: frame},
        rejects=pl.DataFrame(rejects, schema=REJECT_SCHEMA, orient="row"),
        original=originals.__getitem__,
        empty_rows=len(rows) - len(filled),
    )


def _parse_values(cells: dict[str, str] | None) -> tuple[object, ...]:
    if cells is None:
        raise _Invalid(None, "number of cells differs from the first line")
    if not re.fullmatch("[0-9]{9}", cells[FEIN]):
        raise _Invalid("fein", "not 9 digits")
    if cells[FEIN] in PLACEHOLDER_FEINS:
        raise _Invalid("fein", PLACEHOLDER)
    effective = _parse_date(cells[EFFECTIVE], "effective_date") if cells[EFFECTIVE] else None
    quarter = _parse_date(cells[FIRST_QUARTER], "first_requested_quarter")
    return cells[FEIN], cells[FAMILY] == "Yes", cells[MEDICAL] == "Yes", effective, quarter


def _parse_date(text: str, field: str) -> date:
    if not text:
        raise _Invalid(field, "missing")
    match = _DATE.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        return date(int(match[3]), int(match[1]), int(match[2]))
    except ValueError:
        raise _Invalid(field, "not a date M/D/YYYY") from None


def _read_rows(stream: ByteSource) -> Iterator[_Row]:
    lines = _Lines(stream)
    reader = csv.reader(lines, strict=True)
    try:
        header = next(reader, None)
        if header is None:
            raise CsvUnusable("the file is empty. Wait for its upload to finish, or save it again.")
        positions = _find_positions(header)
        lines.take()
        for record in reader:
            is_ended = lines.is_ended
            number, raw = lines.take()
            is_complete = len(record) == len(header)
            if not is_ended and len(record) < len(header):
                raise CsvUnusable("the file ends within a row. Wait for its upload to finish, or save it again.")
            cells = {name: record[at].strip() for name, at in positions} if is_complete else None
            yield _Row(number, raw, cells, is_empty=not any(map(str.strip, record)))
    except csv.Error:
        raise CsvUnusable(
            f"the row at line {lines.first} has an unclosed quote, or characters after a closing quote. "
            "Save the file again as CSV."
        ) from None


def _find_positions(header: Iterable[str]) -> list[tuple[str, int]]:
    """Return the position of each column."""
    names = [name.strip().strip("'").strip() for name in header]
    if missing := [column for column in COLUMNS if column not in names]:
        raise CsvUnusable(f"columns missing in the first line: {', '.join(missing)}. Save the file again with them.")
    if twice := [column for column in COLUMNS if names.count(column) > 1]:
        raise CsvUnusable(f"duplicate columns in the first line: {', '.join(twice)}. Remove the duplicates.")
    return [(column, names.index(column)) for column in COLUMNS]


class _Lines:
    """The physical lines of a stream as text, with the bytes of the current record."""

    def __init__(self, stream: ByteSource) -> None:
        self._lines = _split_lines(stream)
        self._taken = 0
        self._record: list[bytes] = []
        self._size = 0

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self._record.append(line)
            self._size += len(line)
            if self._size > MAX_LINE_BYTES:
                raise CsvUnusable(
                    f"the row at line {self.first} has more than {MAX_LINE_BYTES} bytes: it has an unclosed quote, or "
                    "the file is not a CSV. Save the file again as CSV."
                )
            # The csv module treats a carriage return as a line end, which it is not within a record.
            yield line.decode(errors="replace").removesuffix("\n").removesuffix("\r").replace("\r", " ") + "\n"

    @property
    def is_ended(self) -> bool:
        """True if the current record has a line end."""
        return not self._record or self._record[-1].endswith(b"\n")

    @property
    def first(self) -> int:
        """The number of the first line of the current record."""
        return self._taken + 1

    def take(self) -> tuple[int, bytes]:
        """Return the record's first line number and its bytes without the last line end; start the next record."""
        number = self.first
        raw = b"".join(self._record).removesuffix(b"\n")
        self._taken += len(self._record)
        self._record, self._size = [], 0
        return number, raw


def _split_lines(stream: ByteSource) -> Iterator[bytes]:
    """Yield the lines with their LF; a line above the limit is yielded in pieces, the first above the limit."""
    begun = b""
    while data := stream.read(_CHUNK_BYTES):
        *lines, begun = (begun + data).split(b"\n")
        for line in lines:
            yield line + b"\n"
        if len(begun) > MAX_LINE_BYTES:
            yield begun
            begun = b""
    if begun:
        yield begun
