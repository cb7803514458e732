"""Read the rejected records behind a report from the database of a local service, which is not started for it."""

from __future__ import annotations

from collections.abc import Mapping

from nightferry.backend.reports import FoundRecords, RecordsUnreachable, RejectedRecord
from nightferry.errors import needs_extra
from nightferry.job.database_errors import get_database_message

_CONNECT_SECONDS = 3
# A query of a page: it changes nothing, and a page does not wait for long.
_OPTIONS = "-c default_transaction_read_only=on -c statement_timeout=5000 -c lock_timeout=2000"


def read_records(found: FoundRecords, addresses: Mapping[str, str], after: int, limit: int) -> list[RejectedRecord]:
    """Return the next rejected records of a report. ``addresses`` are those of the service.

    Raises:
        RecordsUnreachable: The database reported an error, or is not running. The message has the command that
            writes the records.
    """
    with needs_extra("postgres"):
        import psycopg
    declared, command = found.declared, found.command
    place = f"the database '{declared.service}'"
    try:
        connection = psycopg.connect(
            host=addresses["host"],
            port=addresses["port"],
            user=declared.user or addresses["user"],
            dbname=addresses["database"],
            connect_timeout=_CONNECT_SECONDS,
            options=_OPTIONS,
            autocommit=True,
        )
    except psycopg.OperationalError as error:
        raise RecordsUnreachable(explain_refusal(place, declared.user, str(error)), command) from None
    with connection:
        try:
            values = {"reference": found.reference, "after": after, "limit": limit}
            rows = connection.execute(declared.query.encode(), values).fetchall()
        except psycopg.Error as error:
            reason = get_database_message(error) or type(error).__name__
            raise RecordsUnreachable(
                f"The query of the rejected records failed in {place}: {reason}.", command
            ) from None
    return [
        RejectedRecord(int(line), kind or "", field or "", reason, bool(settled))
        for line, kind, field, reason, settled in rows
    ]


def explain_refusal(place: str, user: str, message: str) -> str:
    """Return why no connection was made, and what to do. A database that runs refuses with FATAL."""
    if "FATAL" not in message:
        return f"The list is in {place}, which is not running. Start it with 'nightferry up', then reload this page."
    if user and f'role "{user}" does not exist' in message:
        return f"The user {user} of {place} does not exist yet. A task that sets up the database creates it."
    return f"No connection to {place}: {message.partition('FATAL:')[2].strip().splitlines()[0]}."
