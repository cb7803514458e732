"""The reasons for which rejected records cannot be read, and what to do about each."""

from __future__ import annotations

import pytest

from nightferry.local.services.rejected_records import explain_refusal


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            'connection on socket "/a/.s.PGSQL.5432" failed: No such file or directory\n\tIs the server running?',
            "The list is in the database 'db', which is not running. Start it with 'nightferry up', then reload this "
            "page.",
        ),
        (
            'connection failed: FATAL:  role "reader" does not exist',
            "The user reader of the database 'db' does not exist yet. A task that sets up the database creates it.",
        ),
        (
            "connection failed: FATAL:  sorry, too many clients already\nFATAL:  again",
            "No connection to the database 'db': sorry, too many clients already.",
        ),
    ],
)
def test_a_refused_connection_is_explained(message: str, expected: str) -> None:
    assert explain_refusal("the database 'db'", "reader", message) == expected
