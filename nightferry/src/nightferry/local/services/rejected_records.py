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
    except psycopg.OperationalError:
        user = f" as {declared.user}, or the user does not exist yet" if declared.user else ""
        raise RecordsUnreachable(
            f"Cannot connect to {place}{user}. If it is not running, start it with 'nightferry up'.", command
        ) from None
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
