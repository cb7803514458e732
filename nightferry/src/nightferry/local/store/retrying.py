"""Writing to the store while the disk is full or the store locked: wait until it can be written, lose nothing."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

RETRY = 0.5  # seconds between two tries
_SAY_AGAIN = 30.0  # seconds between two messages
_WORTH_WAITING = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

_T = TypeVar("_T")
_log = logging.getLogger("nightferry.engine")
_said = -_SAY_AGAIN
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
                if kind not in _WORTH_WAITING:
                    raise
                locked = kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
                cure = "Another process holds it: when that lets go" if locked else "Make room on the disk, and"
                _waiting[token] = (
                    f"The engine cannot write to its store ({error}). It waits. {cure} it goes on by itself."
                )
                _say(_waiting[token])
            await asyncio.sleep(RETRY)
            while token is not next(iter(_waiting)):
                await asyncio.sleep(RETRY)
    finally:
        _waiting.pop(token, None)


def trouble() -> str | None:
    """Why a write waits now, in a sentence; None when none does."""
    return next(iter(_waiting.values()), None)


def _say(message: str) -> None:
    global _said
    if time.monotonic() - _said >= _SAY_AGAIN:
        _said = time.monotonic()
        _log.error("%s", message, extra={"event": "store_waits"})
