"""Daily files that did not come: none for too long, gaps between days, and files that wait to be imported.

DOR sends an employer file and a wage file each day. The other kinds of files come on demand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from nightferry import get_logger, storage
from paidleave.dor.files.formats import EMPLOYER_FILE, WAGE_FILE, Layout
from paidleave.dor.settings import Expected

log = get_logger(__name__)

DAILY = (EMPLOYER_FILE, WAGE_FILE)
GAP_DAYS = 14
"""Days before the newest file in which a missing day is reported."""

_ZONE = ZoneInfo("America/New_York")  # of DOR
_DAY = timedelta(days=1)


def is_overdue(expected: Expected, last: datetime, now: datetime) -> bool:
    """Return True if a file is overdue ``now``, and the last one was imported at ``last``."""
    others = sum(day.weekday() not in expected.weekdays for day in _list_days(_get_day(last) + _DAY, _get_day(now)))
    return now - last - others * _DAY > timedelta(hours=expected.hours)


def find_overdue_kinds(connection: psycopg.Connection[Any], expected: Expected, now: datetime) -> list[str]:
    """Return a text for each kind of daily file of which none was imported for too long.

    If none was ever imported, the time counts from the last import of the old system, or else from the first run of any
    job, both by the import log.
    """
    if not expected.hours:
        return []
    rows = connection.execute(
        """
        SELECT kind, max(imported_at), (
            SELECT coalesce(max("end") FILTER (WHERE source = 'DOR' AND status = 'success'), min(start))
            FROM import_log
            WHERE start < (SELECT coalesce(min(imported_at), 'infinity') FROM dor_imported_file)
              AND NOT EXISTS (
                  SELECT FROM dor_imported_file AS file WHERE file.import_log_id = import_log.import_log_id
              )
        )
        FROM unnest(%s::text[]) AS kind
        LEFT JOIN (SELECT * FROM dor_imported_file WHERE replayed_import_log_id IS NULL) AS file USING (kind)
        GROUP BY kind
        """,
        [[kind.name for kind in DAILY]],
    )
    overdue = []
    for kind, last, earlier in sorted(rows):
        since = last or earlier
        if since is not None and is_overdue(expected, since, now):
            overdue.append(f"{kind}: the last was imported at {last:%Y-%m-%d %H:%M} UTC" if last else f"{kind}: never")
    return overdue


def find_missing_days(connection: psycopg.Connection[Any], expected: Expected, now: datetime) -> list[str]:
    """Return a text for each expected day without an imported file, between days with files, by the times in names."""
    if not expected.hours:
        return []
    missing = []
    for kind in DAILY:
        rows = connection.execute(
            "SELECT name FROM dor_imported_file WHERE kind = %s AND imported_at > %s - interval '60 days'",
            [kind.name, now],
        )
        # A file with a time in the future must not make all days before it appear missing.
        days = {day for (name,) in rows if (day := _parse_day(name, kind)) and day <= _get_day(now) + _DAY}
        if days:
            expected_days = _list_days(max(min(days), max(days) - GAP_DAYS * _DAY), max(days))
            missing += [
                f"{kind.name} of {day}"
                for day in expected_days
                if day.weekday() in expected.weekdays and day not in days
            ]
    return missing


def find_waiting_files(
    connection: psycopg.Connection[Any], folder: str, layouts: Sequence[Layout], before: datetime
) -> list[str]:
    """Return the names of files that came before this time, that a job should have imported, and that it has not."""
    waiting = {
        found.name: found.modified
        for found in storage.list_objects(folder)
        if found.modified < before and any(layout.matches(found.name) for layout in layouts)
    }
    rows = connection.execute(
        "SELECT name, max(imported_at) FROM dor_imported_file WHERE name = ANY(%s) GROUP BY name", [list(waiting)]
    )
    imported = {name for name, time in rows if time >= waiting[name]}  # RETAIN_RECEIVED_FILES leaves them in place
    return sorted(waiting.keys() - imported)


def log_missing_files(connection: psycopg.Connection[Any], expected: Expected) -> None:
    """Log a warning for each kind of daily file that is overdue, and for each missing day."""
    now = datetime.now(UTC)
    for overdue in find_overdue_kinds(connection, expected, now):
        log.warning("no daily file was imported for more than %d hours: %s", expected.hours, overdue)
    for missing in find_missing_days(connection, expected, now):
        log.warning("no daily file was imported for a day: %s", missing)


def _parse_day(name: str, kind: Layout) -> date | None:
    try:
        return date.fromisoformat(name[len(kind.prefix) :][:8])
    except ValueError:  # Any digits are a valid name.
        return None


def _get_day(time: datetime) -> date:
    return time.astimezone(_ZONE).date()


def _list_days(first: date, last: date) -> Iterable[date]:
    return (first + number * _DAY for number in range((last - first).days + 1))
