"""The files and processes that the benchmarks of the DOR import share.

All wage files of :func:`write_files` have the same records: the first one in the generator's order, ``OTHER_ORDER`` in
random order, and ``CHANGED`` with another amount in each B line.
"""

from __future__ import annotations

import random
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import polars as pl
import psycopg
from pydantic import SecretStr

from benchmarks.database import build_job_environment, read_processor_time
from benchmarks.processes import Measurement, measure
from nightferry.local.services.postgres import Postgres
from paidleave.db.migrate import upgrade
from paidleave.dor import encryption
from paidleave.dor.files.formats import WAGE_B
from paidleave.dor.generate import Population, write_employer_file, write_wage_file
from paidleave.dor.generate.wages import count_wages

EMPLOYERS = "DORDFMLEMP_20200519120622"
WAGES = "DORDFML_20200519120622"
OTHER_ORDER = "DORDFML_20200520120622"
CHANGED = "DORDFML_20200521120622"
CHANGED_AMOUNT = "1.00"
"""The employer's contribution to family leave in ``CHANGED``. It is 0.00 in the other files."""


@dataclass(frozen=True)
class Files:
    """Encrypted files in ``folder``. ``plain`` is the plain text of ``WAGES``, which has ``wages`` B lines."""

    folder: Path
    private_key: SecretStr
    plain: Path
    wages: int


class Import(NamedTuple):
    """An import: its process, and the seconds of processor time of the database meanwhile."""

    job: Measurement
    database: float

    @property
    def processor(self) -> float:
        """The seconds of processor time of both."""
        return self.job.processor + self.database


@contextmanager
def create_database(server: Postgres, name: str = "bench", template: str = "") -> Iterator[str]:
    """Create a database with the tables, or as a copy of ``template``; yield its connection string, then drop it."""
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        copy = f"TEMPLATE {template} STRATEGY file_copy" if template else ""
        connection.execute(f"CREATE DATABASE {name} {copy}".encode())
        if not template:
            upgrade(lambda: psycopg.connect(server.conninfo(name)))
        try:
            yield server.conninfo(name)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def settle(conninfo: str) -> None:
    """Do what PostgreSQL does by itself until the next day: free the space of old rows, and collect statistics.

    Otherwise autovacuum begins at some time during the next measurement, and its plans depend on chance.
    """
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def write_files(folder: Path, lines: int) -> Files:
    """Write an employer file and the three wage files, which have at least ``lines`` B lines."""
    folder.mkdir()
    key = encryption.generate_key("DOR import benchmark")
    population, wages = make_population(lines)
    plain, other = folder / "plain", folder / "other"
    with other.open("wb") as stream:
        write_employer_file(stream, population)
    _encrypt(other, folder / EMPLOYERS, key)
    with plain.open("wb") as stream:
        write_wage_file(stream, population)
    _encrypt(plain, folder / WAGES, key)
    with plain.open("rb") as source, other.open("wb") as target:
        target.writelines(_change(source))
    _encrypt(other, folder / CHANGED, key)
    # The file is shuffled in memory, because the memory of this process is not measured.
    content = plain.read_bytes().splitlines(keepends=True)
    random.Random(1).shuffle(content)
    other.write_bytes(b"".join(content))
    del content
    _encrypt(other, folder / OTHER_ORDER, key)
    other.unlink()
    return Files(folder, key.private, plain, wages)


def _change(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines with :data:`CHANGED_AMOUNT` in the last field of each B line."""
    last = WAGE_B.fields[-1]
    assert last.name == "employer_family"
    amount = CHANGED_AMOUNT.rjust(last.width).encode()
    for line in lines:
        yield line[: -last.width - 1] + amount + b"\n" if line.startswith(b"B") else line


def make_population(lines: int) -> tuple[Population, int]:
    """Return a population whose wage file has at least ``lines`` B lines, and its number of B lines.

    The number of employers is the smallest possible multiple of a hundred.
    """
    employers = 100
    while (wages := _count_wages(employers)) < lines:
        employers += max(100, (lines - wages) * employers // wages // 100 * 100)
    return Population(employers), wages


def _count_wages(employers: int) -> int:
    return int(count_wages(Population(employers).seed, pl.int_range(1, employers + 1, eager=True)).sum())


def _encrypt(plain: Path, target: Path, key: encryption.KeyPair) -> None:
    with (
        plain.open("rb") as source,
        target.open("wb") as encrypted,
        encryption.encrypt(encrypted, key.public) as stream,
    ):
        shutil.copyfileobj(source, stream, 1 << 20)


def run_import(conninfo: str, folder: Path, private_key: SecretStr, *names: str) -> Measurement:
    """Import the files ``names`` of ``folder`` in a process; raises CalledProcessError if it fails."""
    received = folder / "dor" / "received"
    received.mkdir(parents=True, exist_ok=True)
    for name in names:
        (received / name).hardlink_to(folder / name)
    environment = {
        **build_job_environment(conninfo),
        "FOLDER_PATH": str(received),
        "QUIET_SECONDS": "0",
        "DECRYPT": "true",
        "GPG_DECRYPTION_KEY": private_key.get_secret_value(),
    }
    return measure([Path(sys.executable).with_name("dor-import")], environment)


def run_import_with_database(
    server: Postgres, conninfo: str, folder: Path, private_key: SecretStr, *names: str
) -> Import:
    """Call :func:`run_import`, and measure the database's processor time, too."""
    before = read_processor_time(server, conninfo)
    job = run_import(conninfo, folder, private_key, *names)
    return Import(job, read_processor_time(server, conninfo) - before)
