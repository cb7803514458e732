"""Intake of eligibility feed files: each is applied as a whole or refused as a whole.

A file in ``absence-eligibility*/upload`` goes to ``processed`` beside it, or to ``errors`` with a file that says
why. The reason names lines and columns, never a value.
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

from paidleave.fineos.simulator.feed_description import NAMES, first_wrong_column
from paidleave.fineos.simulator.store import Store

_FILE_NAME = re.compile(r"[0-9]{8}T[0-9]{6}\w*_([0-9]{1,9})\.csv", re.ASCII)


class Refused(Exception):
    """A feed file that is not as it must be; the message says where and why."""


@dataclass(frozen=True)
class Feed:
    """A file that was taken in: how many records, or why it was refused."""

    name: str
    records: int
    reason: str | None = None


def take_in(state: Path, import_folder: Path) -> list[Feed]:
    """Take in every file that waits below ``import_folder``, oldest name first."""
    store = Store(state)
    try:
        files = sorted(import_folder.glob("absence-eligibility*/upload/*"), key=lambda file: (file.name, str(file)))
        return [_take_in(store, file) for file in files if file.is_file() and not file.name.startswith(".")]
    finally:
        store.close()


def _take_in(store: Store, file: Path) -> Feed:
    content = file.read_bytes()
    try:
        with store.transaction():
            feed = Feed(file.name, _apply(store, file.name, content))
            _note(store, feed, content)
    except Refused as error:
        feed = Feed(file.name, 0, str(error))
        with store.transaction():
            _note(store, feed, content)
    folder = file.parent.parent / ("processed" if feed.reason is None else "errors")
    folder.mkdir(exist_ok=True)
    if feed.reason is not None:
        (folder / f"{file.name}.reason.txt").write_text(feed.reason + "\n")
    file.replace(folder / file.name)
    return feed


def _note(store: Store, feed: Feed, content: bytes) -> None:
    store.db.execute(
        "INSERT OR REPLACE INTO feed (name, digest, records, reason) VALUES (?, ?, ?, ?)",
        (feed.name, hashlib.sha256(content).hexdigest(), feed.records, feed.reason),
    )


def _apply(store: Store, name: str, content: bytes) -> int:
    """Store every record of the file; returns their number."""
    if (match := _FILE_NAME.fullmatch(name)) is None:
        raise Refused("the file's name is not DATETTIME_EMPLOYER.csv")
    employer, count, table = _preamble(content)
    if int(match[1]) != employer:
        raise Refused("EMPLOYER_ID is not the one in the file's name")
    if store.fein(employer) is None:
        raise Refused("EMPLOYER_ID is not a known employer")
    found = 0
    for row in _records(table):
        _put_record(store, employer, row)
        found += 1
    if found != count:
        raise Refused(f"NUMBER_OF_RECORDS is {count}, but there are {found} records")
    return found


def _preamble(content: bytes) -> tuple[int, int, str]:
    """The employer, the number of records, and the text of the table."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(f"not UTF-8 at byte {error.start}") from None
    lines = text.split("\n", 3)
    if len(lines) != 4:
        raise Refused("the preamble is not complete")
    patterns = (r"EMPLOYER_ID:([0-9]{1,9})", r"NUMBER_OF_RECORDS:([0-9]{1,9})", r"(@DATABLOCK)")
    values = []
    for number, (line, pattern) in enumerate(zip(lines, patterns, strict=False), 1):
        if (match := re.fullmatch(pattern, line, re.ASCII)) is None:
            raise Refused(f"line {number} is not {pattern.partition('(')[0] or '@DATABLOCK'}")
        values.append(match[1])
    return int(values[0]), int(values[1]), lines[3]


def _records(table: str) -> Iterator[list[str]]:
    """The rows below the header, each with all columns in their form."""
    if not table.endswith("\r\n"):
        raise Refused("the last line has no end (CRLF)")
    reader = csv.reader(io.StringIO(table, newline=""), strict=True)
    try:
        if tuple(next(reader)) != NAMES:
            raise Refused("line 4 is not the header")
        seen = set()
        for row in reader:
            line = reader.line_num + 3
            if len(row) != len(NAMES):
                raise Refused(f"line {line} has {len(row)} columns instead of {len(NAMES)}")
            if column := first_wrong_column(row):
                raise Refused(f"line {line}: {column} has not the form that it must have")
            if row[0] in seen:
                raise Refused(f"line {line}: an employee comes twice")
            seen.add(row[0])
            yield row
    except csv.Error:
        raise Refused(f"line {reader.line_num + 3} is not CSV") from None


def _put_record(store: Store, employer: int, row: list[str]) -> None:
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
