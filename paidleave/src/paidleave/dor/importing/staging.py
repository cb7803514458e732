"""Concurrent loading of frames into staging tables."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO
from types import TracebackType
from typing import Any, Self

import polars as pl
import psycopg
from psycopg import sql

_MAX_PENDING_FRAMES = 2


class Staging:
    """A thread that copies frames into tables; the caller must not use ``connection`` until it is closed.

    The columns of a frame must match the table and its order. A database error is raised by a later :meth:`copy` or at
    the end.
    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="staging")
        self._pending: deque[Future[None]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=True, cancel_futures=error is not None)
        if error is None:
            while self._pending:
                self._pending.popleft().result()

    def copy(self, table: str, frame: pl.DataFrame) -> None:
        """Queue ``frame`` to be loaded into ``table``; wait if the queue is full."""
        if frame.is_empty():
            return
        while len(self._pending) >= _MAX_PENDING_FRAMES:
            self._pending.popleft().result()
        text = BytesIO()
        _shorten_amounts(frame).write_csv(text, include_header=False)
        self._pending.append(self._thread.submit(self._copy, table, text))

    def _copy(self, table: str, text: BytesIO) -> None:
        command = sql.SQL("COPY {} FROM STDIN (FORMAT csv)").format(sql.Identifier(table))
        with self._connection.cursor().copy(command) as copy:
            copy.write(text.getbuffer())


def _shorten_amounts(frame: pl.DataFrame) -> pl.DataFrame:
    """Return ``frame`` with amounts of more than two decimals as text without trailing zeros."""
    long = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Decimal) and kind.scale > 2]
    return frame.with_columns(pl.col(long).cast(pl.String).str.strip_chars_end("0")) if long else frame
