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

from nightferry import storage
from nightferry.errors import NightferryError
from paidleave.dor import encryption
from paidleave.dor.importing import received
from paidleave.dor.importing.received import ReceivedFile


class RejectsNotWritten(NightferryError):
    """The rejected lines cannot be stored, so the file is not imported.

    Free space in the folder ``rejected`` or grant write access to it, then start the import again.
    """


class _Discarded(Exception):
    """Raised to discard an unfinished file."""


class Rejects:
    """Storage for the rejected lines of ``file``, which replaces those of failed attempts.

    The rejected lines of imported files are retained, even if they have the same name. The rows are written in a
    separate transaction, so that they are committed even if the file fails. If the received file is encrypted
    (``decryption_key``), the file of raw lines is encrypted with the public key of the same pair.

    If the block raises an error before :meth:`keep` is called, the lines found so far are stored. If the process is
    stopped (SIGTERM), they are discarded.
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
        self._done = False

    def __enter__(self) -> Self:
        self._connection = self._connect()
        try:
            self._connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        except BaseException:
            self._connection.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if self._done:
                return
            if error is None:
                self.keep()
            elif isinstance(error, RejectsNotWritten):
                self._discard_file()
                self._delete_rows_of_failed_attempts()
                self._connection.commit()
            elif isinstance(error, Exception):
                self._keep_after_error(error)
            else:
                self.discard()
        finally:
            self._connection.close()

    def add(self, rejects: pl.DataFrame, originals: Sequence[bytes]) -> None:
        """Store the rows ``rejects`` (line_number, record_kind, field, reason) and their lines, in the same order."""
        if rejects.is_empty():
            return
        copy = "COPY dor_rejected_line (import_log_id, file_name, line_number, record_kind, field, reason) FROM STDIN"
        with self._connection.cursor().copy(copy) as rows:
            for row in rejects.select("line_number", "record_kind", "field", "reason").iter_rows():
                rows.write_row((self._import_log_id, self._file.name, *row))
        try:
            if self._raw is None:
                self._raw = self._open_raw_file()
            for line in originals:
                self._raw.write(line + b"\n")
        except OSError as error:
            raise self._make_write_error(error) from None

    def keep(self) -> None:
        """Commit the added lines and delete those of failed attempts."""
        self._done = True
        self._delete_rows_of_failed_attempts()
        try:
            if self._raw is None:
                if storage.exists(self._uri):
                    storage.delete(self._uri)
            else:
                self._closing.close()
        except OSError as error:
            raise self._make_write_error(error) from None
        finally:
            self._connection.commit()

    def discard(self) -> None:
        """Discard the added lines and retain those of earlier attempts."""
        self._done = True
        self._discard_file()
        self._connection.rollback()

    @cached_property
    def _uri(self) -> str:
        """The address of the raw lines, which differs from those of imported files with the same name."""
        return self._file.build_rejected_uri(received.find_file_number(self._connection, self._file.name))

    def _delete_rows_of_failed_attempts(self) -> None:
        """Delete the rows of failed attempts and retain those of imported files."""
        self._connection.execute(
            """
            DELETE FROM dor_rejected_line AS line
            WHERE file_name = %s AND import_log_id <> %s
              AND NOT EXISTS (SELECT FROM dor_imported_file AS file WHERE file.import_log_id = line.import_log_id)
            """,
            [self._file.name, self._import_log_id],
        )

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

    def _keep_after_error(self, error: Exception) -> None:
        try:
            self.keep()
        except (NightferryError, psycopg.Error) as second:
            error.add_note(f"The rejected lines found so far were not stored: {type(second).__name__}")

    def _make_write_error(self, error: OSError) -> RejectsNotWritten:
        return RejectsNotWritten(
            f"cannot write the rejected lines of {self._file.name} to {self._uri}: "
            f"{error.strerror or type(error).__name__}. Free space or grant write access there, then start again."
        )
