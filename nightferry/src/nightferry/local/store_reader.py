"""The store of a project for a reader that stays open for weeks, such as a thread of the dashboard."""

from __future__ import annotations

from pathlib import Path

from nightferry.local.store import Store


class StoreReader:
    """A connection that only reads, and is opened again when the file appears, or is replaced by another one."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._opened: Store | None = None
        self._identity: tuple[int, int] | None = None

    def open(self) -> Store:
        """Return the store as it is now. The connection is bound to the thread that opened it."""
        identity = self._identify()
        if self._opened is None or identity != self._identity:
            if self._opened is not None:
                self._opened.close()
            self._opened, self._identity = Store.open_read_only(self._file), identity
        return self._opened

    def _identify(self) -> tuple[int, int] | None:
        try:
            status = self._file.stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino
