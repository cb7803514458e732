"""Import of eligibility feed files. Each file is applied or rejected as a whole.

A file in ``absence-eligibility*/upload`` is moved to the sibling folder ``processed``, or to ``errors`` with a second
file that contains the reason. The reason names lines and columns, never a value.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from paidleave.fineos.simulator.feed_schema import NAMES, find_invalid_column
from paidleave.fineos.simulator.store import SimulatorStore

_FILE_NAME = re.compile(r"[0-9]{8}T[0-9]{6}\w*_([0-9]{1,9})\.csv", re.ASCII)


class FeedRejected(Exception):
    """An invalid feed file. The message is the place and the reason."""


@dataclass(frozen=True)
class ImportedFeed:
    """An imported file with its number of records, or a rejected one with the reason."""

    name: str
    records: int
    reason: str | None = None


def import_files(state: Path, import_folder: Path) -> list[ImportedFeed]:
    """Import every waiting file below ``import_folder`` in the order of their names."""
    store = SimulatorStore(state)
    try:
        files = sorted(import_folder.glob("absence-eligibility*/upload/*"), key=lambda file: (file.name, str(file)))
        return [_import_file(store, file) for file in files if file.is_file() and not file.name.startswith(".")]
    finally:
        store.close()


def _import_file(store: SimulatorStore, file: Path) -> ImportedFeed:
    content = file.read_bytes()
    try:
        with store.transaction():
            feed = ImportedFeed(file.name, _apply(store, file.name, content))
            _record_feed(store, feed, content)
    except FeedRejected as error:
        feed = ImportedFeed(file.name, 0, str(error))
        with store.transaction():
            _record_feed(store, feed, content)
    folder = file.parent.parent / ("processed" if feed.reason is None else "errors")
    folder.mkdir(exist_ok=True)
    if feed.reason is not None:
        (folder / f"{file.name}.reason.txt").write_text(feed.reason + "\n")
    file.replace(folder / file.name)
    return feed


def _record_feed(store: SimulatorStore, feed: ImportedFeed, content: bytes) -> None:
    store.db.execute(
        "INSERT OR REPLACE INTO feed (name, digest, records, reason) VALUES (?, ?, ?, ?)",
        (feed.name, hashlib.sha256(content).hexdigest(), feed.records, feed.reason),
    )


def _apply(store: SimulatorStore, name: str, content: bytes) -> int:
    """Store every record of the file and return their number."""
    if (match := _FILE_NAME.fullmatch(name)) is None:
        raise FeedRejected("the file's name is not DATETTIME_EMPLOYER.csv")
    employer, count, table = _parse_preamble(content)
    if int(match[1]) != employer:
        raise FeedRejected("EMPLOYER_ID differs from the file's name")
    if store.find_fein(employer) is None:
        raise FeedRejected("EMPLOYER_ID is not a known employer")
    found = 0
    for row in _parse_records(table):
        _put_record(store, employer, row)
        found += 1
    if found != count:
        raise FeedRejected(f"NUMBER_OF_RECORDS is {count}, but the file has {found} records")
    return found


def _parse_preamble(content: bytes) -> tuple[int, int, str]:
    """Return the employer, the number of records, and the text of the table."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FeedRejected(f"not UTF-8 at byte {error.start}") from None
    lines = text.split("\n", 3)
    if len(lines) != 4:
        raise FeedRejected("the preamble is incomplete")
    patterns = (r"EMPLOYER_ID:([0-9]{1,9})", r"NUMBER_OF_RECORDS:([0-9]{1,9})", r"(@DATABLOCK)")
    values = []
    for number, (line, pattern) in enumerate(zip(lines, patterns, strict=False), 1):
        if (match := re.fullmatch(pattern, line, re.ASCII)) is None:
            raise FeedRejected(f"line {number} is not {pattern.partition('(')[0] or '@DATABLOCK'}")
        values.append(match[1])
    return int(values[0]), int(values[1]), lines[3]


def _parse_records(table: str) -> Iterator[list[str]]:
    """Yield the rows below the header after validation."""
    if not table.endswith("\r\n"):
        raise FeedRejected("the last line does not end with CRLF")
    reader = csv.reader(io.StringIO(table, newline=""), strict=True)
    try:
        if tuple(next(reader)) != NAMES:
            raise FeedRejected("line 4 is not the header")
        seen = set()
        for row in reader:
            line = reader.line_num + 3
            if len(row) != len(NAMES):
                raise FeedRejected(f"line {line} has {len(row)} columns instead of {len(NAMES)}")
            if column := find_invalid_column(row):
                raise FeedRejected(f"line {line}: {column} has an invalid format")
            if row[0] in seen:
                raise FeedRejected(f"line {line}: duplicate employee")
            seen.add(row[0])
            yield row
    except csv.Error:
        raise FeedRejected(f"line {reader.line_num + 3} is not CSV") from None


def _put_record(store: SimulatorStore, employer: int, row: list[str]) -> None:
    fields = json.dumps({name: value for name, value in zip(NAMES, row, strict=True) if value})
    store.db.execute(
        "INSERT INTO person (employee, number, fields) "
        "VALUES (?, (SELECT coalesce(max(number), 500000) + 1 FROM person), ?) "
        "ON CONFLICT (employee) DO UPDATE SET fields = excluded.fields",
        (row[0], fields),
    )
    store.db.execute(
        "INSERT INTO occupation (employee, employer, fields) VALUES (?, ?, ?) "
        "ON CONFLICT (employee, employer) DO UPDATE SET fields = excluded.fields, exported = 0",
        (row[0], employer, fields),
    )
