"""Writing to the store while the disk is full or the store locked: wait until it can be written, lose nothing."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

RETRY_SECONDS = 0.5  # seconds between two tries
_REPORT_SECONDS = 30.0  # seconds between two messages
_RETRIED_CODES = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

_T = TypeVar("_T")
_log = logging.getLogger("nightferry.engine")
_last_report = -_REPORT_SECONDS
_waiting: dict[object, str] = {}


async def retry_while_locked(write: Callable[[], _T]) -> _T:
    """Answer ``write()``; while it fails because the disk is full or the store locked, try again, and say so.

    Whoever waits reads no task's output meanwhile, so that tasks wait too once their pipes are full. Of many who wait
    only the first tries again: each try holds up the event loop for a moment.
    """
    token = object()
    try:
        while True:
            try:
                return write()
            except sqlite3.OperationalError as error:
                kind = error.sqlite_errorcode & 0xFF
                if kind not in _RETRIED_CODES:
                    raise
                locked = kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
                fix = "Another process holds it: when that lets go" if locked else "Make room on the disk, and"
                _waiting[token] = (
                    f"The engine cannot write to its store ({error}). It waits. {fix} it goes on by itself."
                )
                _report(_waiting[token])
            await asyncio.sleep(RETRY_SECONDS)
            while token is not next(iter(_waiting)):
                await asyncio.sleep(RETRY_SECONDS)
    finally:
        _waiting.pop(token, None)


def wait_reason() -> str | None:
    """Why a write waits now, in a sentence; None when none does."""
    return next(iter(_waiting.values()), None)


def _report(message: str) -> None:
    global _last_report
    if time.monotonic() - _last_report >= _REPORT_SECONDS:
        _last_report = time.monotonic()
        _log.error("%s", message, extra={"event": "store_waits"})
