"""The employers of a wage file, which names more of them than the import retains."""

from __future__ import annotations

import io
import random
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from paidleave.dor.files import reader
from paidleave.dor.files.formats import WAGE_FILE
from paidleave.dor.kinds import wage_file
from paidleave.dor.kinds.wage_file import WageFile
from tests.dor.lines import wage_line

LIMIT = 8
UNKNOWN = "9" * 11


class CountingConnection:
    """A connection that counts the account keys that are looked up."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self.keys = 0

    def execute(self, query: str, parameters: list[list[str]]) -> psycopg.Cursor[Any]:
        self.keys += len(parameters[0])
        return self._connection.execute(query.encode(), parameters)


@pytest.mark.parametrize("order", ["by employer", "random"])
def test_each_line_gets_its_employer_if_the_file_names_more_than_are_retained(
    database: str, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    monkeypatch.setattr(wage_file, "_MOST_KNOWN_EMPLOYERS", LIMIT)
    employers = {f"{number:011}": uuid4() for number in range(10 * LIMIT)}
    keys = [key for key in (*employers, UNKNOWN) for _ in range(5)]
    if order == "random":
        random.Random(1).shuffle(keys)
    content = b"".join(wage_line(account_key=key) + b"\n" for key in keys)
    found: dict[int, UUID] = {}
    rejected = 0
    with psycopg.connect(database, autocommit=True) as connection:
        connection.cursor().executemany(
            "INSERT INTO employer (employer_id, employer_fein, account_key) VALUES (%s, %s, %s)",
            [(employer, key[-9:], key) for key, employer in employers.items()],
        )
        lookups = CountingConnection(connection)
        rules = WageFile(lookups, datetime.now(UTC), reject_implausible_ssns=False)  # type: ignore[arg-type]
        for batch in reader.read(io.BytesIO(content), WAGE_FILE, block_bytes=3 * len(content) // len(keys)):
            screened = rules.screen(batch)
            staged = screened.staged["staged_wage"]
            found |= zip(staged["line_number"], map(UUID, staged["employer_id"]), strict=True)
            rejected += screened.rejects.height
    assert found == {number: employers[key] for number, key in enumerate(keys, 1) if key != UNKNOWN}
    assert rejected == 5
    if order == "by employer":
        assert lookups.keys == len(employers) + 1  # each one once
    else:
        assert lookups.keys > 2 * len(employers)  # most were forgotten
