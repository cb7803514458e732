"""Writing to the store while the disk is full: wait until there is room again, lose nothing."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

RETRY = 0.5  # seconds between two tries
_SAY_AGAIN = 30.0  # seconds between two messages
_WORTH_WAITING = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY)

_T = TypeVar("_T")
_log = logging.getLogger("longshore.engine")
_said = -_SAY_AGAIN


async def patiently(write: Callable[[], _T]) -> _T:
    """Answer ``write()``; while it fails because the disk is full (or the store locked), try again, and say so.

    Whoever waits reads no task's output meanwhile, so that tasks wait too once their pipes are full.
    """
    while True:
        try:
            return write()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _WORTH_WAITING:
                raise
            _say(error)
        await asyncio.sleep(RETRY)


def _say(error: sqlite3.Error) -> None:
    global _said
    if time.monotonic() - _said >= _SAY_AGAIN:
        _said = time.monotonic()
        _log.error(
            "The engine cannot write to its store (%s). It waits. Make room on the disk, and it goes on by itself.",
            error,
        )
