"""SQL statements in files of a package's folder ``sql``: one statement per file, executed by name.

A file begins with a comment of one line. Values are named placeholders, such as ``%(employers)s``. Numbers at the
start of file names give the order in which the files run.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import psycopg


class Statements:
    """The SQL files in the folder ``sql`` of ``package``."""

    def __init__(self, package: str) -> None:
        self._folder = resources.files(package) / "sql"
        self.text = cache(self._read)
        """Return the text of the statement in ``sql/<name>.sql``."""

    def run(
        self, target: psycopg.Connection[Any] | psycopg.Cursor[Any], name: str, /, **values: object
    ) -> psycopg.Cursor[Any]:
        """Execute the statement in ``sql/<name>.sql`` and return the cursor with its rows."""
        # Without values, psycopg sends the text unchanged: it may contain several statements and a single "%".
        return target.execute(self.text(name), values or None)

    def list_names(self, folder: str) -> list[str]:
        """Return the names of the statements in ``sql/<folder>``, in the order in which they run."""
        files = (file.name for file in (self._folder / folder).iterdir())
        return [f"{folder}/{name.removesuffix('.sql')}" for name in sorted(files) if name.endswith(".sql")]

    def read_summary(self, name: str) -> str:
        """Return the first comment line of the statement, without its period."""
        return self.text(name).decode().partition("\n")[0].removeprefix("-- ").rstrip(".")

    def _read(self, name: str) -> bytes:
        return (self._folder / f"{name}.sql").read_bytes()
