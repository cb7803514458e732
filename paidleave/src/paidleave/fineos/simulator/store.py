"""The state of the simulator in one SQLite file.

Each change is a transaction in write-ahead mode that is committed before the response is sent. A kill therefore loses
no confirmed change.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from paidleave.fineos.simulator.agreements import Agreement

FIRST_NUMBER = 1000
"""Customer numbers start above this number."""

_WITH_UNITS = 5  # Every fifth new employer has organization units.
_UNITS = ("Head office", "Field staff", "Warehouse")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS party (
    number INTEGER PRIMARY KEY AUTOINCREMENT, customer TEXT NOT NULL UNIQUE, fein TEXT NOT NULL,
    name TEXT NOT NULL, dba TEXT NOT NULL, kept TEXT NOT NULL, updates INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS party_fein ON party (fein);
CREATE TABLE IF NOT EXISTS agreement (
    number INTEGER PRIMARY KEY REFERENCES party, managed INTEGER NOT NULL, plans TEXT NOT NULL,
    start TEXT, "end" TEXT, changes INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS call (
    call INTEGER PRIMARY KEY, service TEXT NOT NULL, number INTEGER, outcome TEXT NOT NULL,
    at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ'))
);
CREATE TABLE IF NOT EXISTS person (
    employee TEXT PRIMARY KEY, number INTEGER NOT NULL UNIQUE, fields TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS occupation (
    employee TEXT NOT NULL REFERENCES person, employer INTEGER NOT NULL REFERENCES party, fields TEXT NOT NULL,
    exported INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (employee, employer)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS occupation_to_export ON occupation (exported) WHERE exported = 0;
CREATE TABLE IF NOT EXISTS unit (
    oid TEXT PRIMARY KEY, party INTEGER NOT NULL REFERENCES party, name TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS unit_party ON unit (party);
CREATE TABLE IF NOT EXISTS feed (
    name TEXT NOT NULL, digest TEXT NOT NULL, records INTEGER NOT NULL, reason TEXT, PRIMARY KEY (name, digest)
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Party:
    """An employer: its customer number, our ID (``customer``), and the fields that ReadEmployer returns."""

    number: int
    customer: str
    fein: str
    name: str
    dba: str
    kept: dict[str, str]
    units: tuple[tuple[str, str], ...] = ()
    """Object ID and name of each organization unit."""


class SimulatorStore:
    """A connection to the state. Each thread has its own."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.db = sqlite3.connect(file, isolation_level=None, timeout=30, cached_statements=200)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = NORMAL")
        self.db.executescript(_SCHEMA)
        self.db.execute(
            "INSERT INTO sqlite_sequence (name, seq) SELECT 'party', ? "
            "WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'party')",
            (FIRST_NUMBER,),
        )

    def close(self) -> None:
        """Close the database."""
        self.db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the block in one transaction and roll it back after an exception."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    def record_call(self, service: str, number: int | None, outcome: str) -> None:
        """Record a call with the employer's customer number (never its FEIN)."""
        self.db.execute("INSERT INTO call (service, number, outcome) VALUES (?, ?, ?)", (service, number, outcome))

    def find_parties(self, fein: str) -> list[Party]:
        """Return the parties with this FEIN, in the order of their numbers."""
        rows = self.db.execute(
            "SELECT number, customer, fein, name, dba, kept FROM party WHERE fein = ? ORDER BY number", (fein,)
        )
        return [
            Party(number, customer, fein, name, dba, json.loads(kept), self._find_units(number))
            for number, customer, fein, name, dba, kept in rows
        ]

    def _find_units(self, number: int) -> tuple[tuple[str, str], ...]:
        return tuple(self.db.execute("SELECT oid, name FROM unit WHERE party = ? ORDER BY oid", (number,)))

    def put_units(self, number: int, units: list[tuple[str, str]]) -> None:
        """Replace the organization units of a party, as the vendor's users do."""
        with self.transaction():
            self.db.execute("DELETE FROM unit WHERE party = ?", (number,))
            self.db.executemany(
                "INSERT INTO unit (oid, party, name) VALUES (?, ?, ?)", [(o, number, n) for o, n in units]
            )

    def put_party(self, customer: str, fein: str, name: str, dba: str, kept: dict[str, str]) -> int:
        """Create or update the party with our ID ``customer`` and return the customer number."""
        row = self.db.execute(
            "UPDATE party SET fein = ?, name = ?, dba = ?, kept = ?, updates = updates + 1 WHERE customer = ? "
            "RETURNING number",
            (fein, name, dba, json.dumps(kept), customer),
        ).fetchone()
        if row is None:
            row = self.db.execute(
                "INSERT INTO party (customer, fein, name, dba, kept) VALUES (?, ?, ?, ?, ?) RETURNING number",
                (customer, fein, name, dba, json.dumps(kept)),
            ).fetchone()
            number = int(row[0])
            if number % _WITH_UNITS == 0:
                self.db.executemany(
                    "INSERT OR IGNORE INTO unit (oid, party, name) VALUES (?, ?, ?)",
                    [(f"PE:00031:{number:07d}{place:03d}", number, unit) for place, unit in enumerate(_UNITS)],
                )
        return int(row[0])

    def find_fein(self, number: int) -> str | None:
        """Return the FEIN of the party with the customer number ``number``, or None."""
        row = self.db.execute("SELECT fein FROM party WHERE number = ?", (number,)).fetchone()
        return None if row is None else str(row[0])

    def find_agreement(self, number: int) -> Agreement | None:
        """Return the service agreement of a party, or None."""
        row = self.db.execute(
            'SELECT managed, plans, start, "end" FROM agreement WHERE number = ?', (number,)
        ).fetchone()
        return None if row is None else Agreement(bool(row[0]), tuple(json.loads(row[1])), row[2], row[3])

    def put_agreement(self, number: int, agreement: Agreement) -> None:
        """Store the service agreement of a party and count the change."""
        self.db.execute(
            'INSERT INTO agreement (number, managed, plans, start, "end", changes) VALUES (?, ?, ?, ?, ?, 1) '
            "ON CONFLICT (number) DO UPDATE SET managed = excluded.managed, plans = excluded.plans, "
            'start = excluded.start, "end" = excluded."end", changes = changes + 1',
            (number, agreement.managed, json.dumps(agreement.plans), agreement.start, agreement.end),
        )

    def count_all(self) -> dict[str, object]:
        """Count the stored records and the calls."""

        def count(table: str) -> int:
            return int(self.db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

        calls: dict[str, dict[str, int]] = {}
        for service, outcome, number in self.db.execute("SELECT service, outcome, count(*) FROM call GROUP BY 1, 2"):
            calls.setdefault(service, {})[outcome] = number
        return {
            "parties": count("party"),
            "agreements": count("agreement"),
            "people": count("person"),
            "occupations": count("occupation"),
            "feeds": {
                "accepted": count("feed WHERE reason IS NULL"),
                "refused": count("feed WHERE reason IS NOT NULL"),
            },
            "calls": calls,
        }

    def list_parties(self) -> list[dict[str, object]]:
        """Return every party with its agreement and the numbers of changes."""
        names = ("number", "customer", "fein", "name", "dba", "kept", "updates")
        rows = self.db.execute(f"SELECT {', '.join(names)} FROM party ORDER BY number").fetchall()
        agreements = {
            number: {"managed": bool(managed), "plans": json.loads(plans), "start": start, "end": end, "changes": n}
            for number, managed, plans, start, end, n in self.db.execute(
                'SELECT number, managed, plans, start, "end", changes FROM agreement'
            )
        }
        return [
            dict(zip(names, row, strict=True)) | {"kept": json.loads(row[5]), "agreement": agreements.get(row[0])}
            for row in rows
        ]

    def set_vendor_fields(self, customer: str, kept: dict[str, str]) -> None:
        """Set fields of a party that only the vendor's users change."""
        self.db.execute("UPDATE party SET kept = json_patch(kept, ?) WHERE customer = ?", (json.dumps(kept), customer))
