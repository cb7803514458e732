"""The checks of ``paidleave-check`` for received files: files that did not come, are not read, or wait too long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from paidleave.dor.files.formats import DOR_LAYOUTS, RETURNING_CSV
from paidleave.dor.importing.arrivals import find_missing_days, find_overdue_kinds, find_waiting_files
from paidleave.dor.importing.unread import find_unread_files
from paidleave.operations.settings import CheckSettings

MAX_DETAILS = 20


def find_files(check: str, connection: psycopg.Connection[Any], settings: CheckSettings) -> list[str]:
    """Return the findings of a check of :data:`paidleave.operations.checks.FILE_CHECKS`, one text each.

    Raises:
        psycopg.Error: The database reported an error.
        StorageError: A folder could not be listed.
    """
    now = datetime.now(UTC)
    match check:
        case "daily-files-overdue":
            return find_overdue_kinds(connection, settings.expected_files, now)
        case "days-without-file":
            return find_missing_days(connection, settings.expected_files, now)
        case "files-not-read":
            return _list_unread_files(settings)
        case _:
            before = now - timedelta(hours=settings.received_wait_hours)
            folder = settings.dor_folder_path
            return find_waiting_files(connection, folder, DOR_LAYOUTS, before) if folder else []


def limit_details(details: list[str]) -> list[str]:
    """Return the first details, and the number of the others."""
    others = len(details) - MAX_DETAILS
    return [*details[:MAX_DETAILS], f"and {others} others"] if others > 0 else details


def _list_unread_files(settings: CheckSettings) -> list[str]:
    folders = ((settings.dor_folder_path, DOR_LAYOUTS), (settings.csv_folder_path, (RETURNING_CSV,)))
    return [str(file) for folder, layouts in folders if folder for file in find_unread_files(folder, layouts)]
