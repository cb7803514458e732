"""Retries of store writes that fail because the disk is full or the store is locked."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

RETRY_SECONDS = 0.5  # between two attempts
_REPORT_SECONDS = 30.0  # between two messages
_FIXES = {
    sqlite3.SQLITE_FULL: "Free space on the disk.",
    sqlite3.SQLITE_IOERR: "Free space on the disk.",
    sqlite3.SQLITE_CANTOPEN: "Check that the process may open more files, and the permissions of its folder.",
    sqlite3.SQLITE_BUSY: "Another process has locked the store.",
    sqlite3.SQLITE_LOCKED: "Another process has locked the store.",
}

_T = TypeVar("_T")
_log = logging.getLogger("nightferry.engine")
_last_report = -_REPORT_SECONDS
_waiting: dict[object, str] = {}


async def retry_while_locked(write: Callable[[], _T]) -> _T:
    """Return ``write()``. While it fails because the disk is full or the store is locked, log the problem and retry.

    A waiting caller does not read the output of its task, so the task blocks once its pipe is full. Only the first of
    several waiting callers retries, because each attempt blocks the event loop briefly.
    """
    token = object()
    try:
        while True:
            try:
                return write()
            except sqlite3.OperationalError as error:
                kind = error.sqlite_errorcode & 0xFF
                if kind not in _FIXES:
                    raise
                _waiting[token] = (
                    f"The engine cannot write to its store ({error}). {_FIXES[kind]} It retries until it succeeds."
                )
                _report(_waiting[token])
            await asyncio.sleep(RETRY_SECONDS)
            while token is not next(iter(_waiting)):
                await asyncio.sleep(RETRY_SECONDS)
    finally:
        _waiting.pop(token, None)


def wait_reason() -> str | None:
    """Return why a write is waiting, or None if no write is waiting."""
    return next(iter(_waiting.values()), None)


def _report(message: str) -> None:
    global _last_report
    if time.monotonic() - _last_report >= _REPORT_SECONDS:
        _last_report = time.monotonic()
        _log.error("%s", message, extra={"event": "store_waits"})
