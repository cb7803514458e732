"""Loading frames into staging tables while the next ones are being read."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO
from types import TracebackType
from typing import Any, Self

import polars as pl
import psycopg
from psycopg import sql

_MAX_PENDING_FRAMES = 2  # frames that wait for the database


class Staging:
    """COPYs frames into tables by a thread of its own; nothing else may use ``connection`` until it is closed.

    A frame's columns must be the table's, in the same order. An error of the database surfaces at a later
    :meth:`copy` or at the end.
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
        """Load ``frame`` into ``table``, now or soon; waits while too much is waiting already."""
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
    """``frame`` with its few amounts of more than two decimals as short as they were written."""
    long = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Decimal) and kind.scale > 2]
    return frame.with_columns(pl.col(long).cast(pl.String).str.strip_chars_end("0")) if long else frame
