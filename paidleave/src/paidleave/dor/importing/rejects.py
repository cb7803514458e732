"""The rejected lines of a file: rows of ``dor_rejected_line``, and a file that contains the lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cached_property
from types import TracebackType
from typing import IO, Any, Self

import polars as pl
import psycopg
from pydantic import SecretStr

from nightferry import NightferryError, storage
from paidleave.db.free_space import free_space
from paidleave.dor import encryption
from paidleave.dor.importing import received
from paidleave.dor.importing.received import ReceivedFile
from paidleave.file_limits import KEPT_REJECTS, LimitExceeded


class RejectsNotWritten(NightferryError):
    """The rejected lines cannot be stored, so the file is not imported.

    Free space in the folder ``rejected`` or grant write access to it, then start the import again.
    """


# The rows are collected in a temporary table, which is not logged and whose space is freed at its end, so that a failed
# attempt adds to the database only the rows that remain stored.
_PREPARE = """
    SET LOCAL idle_in_transaction_session_timeout = 0;
    SET LOCAL statement_timeout = 0;
    CREATE TEMPORARY TABLE IF NOT EXISTS found_reject (
        line_number bigint NOT NULL, record_kind text, field text, reason text NOT NULL
    ) ON COMMIT DROP
"""


class _Discarded(Exception):
    """Raised to discard an unfinished file."""


class Rejects:
    """Storage for the rejected lines of ``file``, which replaces those of failed attempts.

    The rejected lines of imported files are retained, even if they have the same name. The rows are written in a
    separate transaction, so that they are committed even if the file fails. If the received file is encrypted
    (``decryption_key``), the file of raw lines is encrypted with the public key of the same pair.

    If the block raises an error before :meth:`keep` is called, the lines found so far are stored, but only the first
    :data:`paidleave.file_limits.KEPT_REJECTS` of a file that exceeds a limit. If the process is stopped (SIGTERM), they
    are discarded.

    Attributes:
        dropped: The number of lines that were found and not stored.
    """

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection[Any]],
        file: ReceivedFile,
        import_log_id: int,
        decryption_key: SecretStr | None,
    ) -> None:
        self._connect = connect
        self._file = file
        self._import_log_id = import_log_id
        self._key = decryption_key
        self._raw: IO[bytes] | None = None
        self._closing = ExitStack()
        self._first: list[bytes] = []
        self._found = 0
        self._deleted = 0
        self._done = False
        self.dropped = 0

    def __enter__(self) -> Self:
        self._connection = self._connect()
        try:
            self._connection.execute(_PREPARE)
        except BaseException:
            self._connection.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if self._done:
                pass
            elif error is None:
                self.keep()
            elif isinstance(error, LimitExceeded):
                self._keep_after_error(error, most=KEPT_REJECTS)
            elif isinstance(error, RejectsNotWritten):
                self._discard_file()
                self._store_rows(None)
            elif isinstance(error, Exception):
                self._keep_after_error(error)
            else:
                self.discard()
            free_space(self._connection, "dor_rejected_line", self._deleted)
        finally:
            self._connection.close()

    def add(self, rejects: pl.DataFrame, originals: Sequence[bytes]) -> None:
        """Store the rows ``rejects`` (line_number, record_kind, field, reason) and their lines, in the same order."""
        if rejects.is_empty():
            return
        with self._connection.cursor().copy("COPY found_reject FROM STDIN") as rows:
            for row in rejects.select("line_number", "record_kind", "field", "reason").iter_rows():
                rows.write_row(row)
        self._found += rejects.height
        self._first += originals[: KEPT_REJECTS - len(self._first)]
        self._write_lines(originals)

    def keep(self, most: int | None = None) -> None:
        """Commit the added lines, or only the first ``most``, and delete those of failed attempts."""
        self._done = True
        if most is not None and most < self._found:
            self.dropped = self._found - most
            self._discard_file()
            self._raw = None
            self._write_lines(self._first[:most])
        try:
            if self._raw is None:
                if storage.exists(self._uri):
                    storage.delete(self._uri)
            else:
                self._closing.close()
        except OSError as error:
            raise self._make_write_error(error) from None
        finally:
            self._store_rows(most)

    def discard(self) -> None:
        """Discard the added lines and retain those of earlier attempts."""
        self._done = True
        self._discard_file()
        self._connection.rollback()

    @cached_property
    def _uri(self) -> str:
        """The address of the raw lines, which differs from those of imported files with the same name."""
        return self._file.build_rejected_uri(received.find_file_number(self._connection, self._file.name))

    def _store_rows(self, most: int | None) -> None:
        """Commit the first ``most`` rows, replace those of failed attempts and retain those of imported files."""
        self._deleted += self._connection.execute(
            """
            DELETE FROM dor_rejected_line AS line
            WHERE file_name = %s AND import_log_id <> %s
              AND NOT EXISTS (SELECT FROM dor_imported_file AS file WHERE file.import_log_id = line.import_log_id)
            """,
            [self._file.name, self._import_log_id],
        ).rowcount
        self._connection.execute(
            """
            INSERT INTO dor_rejected_line (import_log_id, file_name, line_number, record_kind, field, reason)
            SELECT %s, %s, line_number, record_kind, field, reason FROM found_reject ORDER BY line_number LIMIT %s
            """,
            [self._import_log_id, self._file.name, most],
        )
        self._connection.commit()

    def _write_lines(self, lines: Sequence[bytes]) -> None:
        try:
            if self._raw is None:
                self._raw = self._open_raw_file()
            for line in lines:
                self._raw.write(line + b"\n")
        except OSError as error:
            raise self._make_write_error(error) from None

    def _open_raw_file(self) -> IO[bytes]:
        target = self._closing.enter_context(storage.open_write(self._uri))
        if self._key is None:
            return target
        return self._closing.enter_context(encryption.encrypt_to_own_key(target, self._key))

    def _discard_file(self) -> None:
        discarded = _Discarded()
        try:
            self._closing.__exit__(_Discarded, discarded, None)
        except Exception as error:
            if error is not discarded and not isinstance(error, OSError | NightferryError):
                raise

    def _keep_after_error(self, error: Exception, most: int | None = None) -> None:
        try:
            self.keep(most)
        except (NightferryError, psycopg.Error) as second:
            error.add_note(f"The rejected lines found so far were not stored: {type(second).__name__}")

    def _make_write_error(self, error: OSError) -> RejectsNotWritten:
        return RejectsNotWritten(
            f"cannot write the rejected lines of {self._file.name} to {self._uri}: "
            f"{error.strerror or type(error).__name__}. Free space or grant write access there, then start again."
        )
