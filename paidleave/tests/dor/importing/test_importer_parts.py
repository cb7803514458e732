"""Parts of the import: staging, file discovery and keys."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import polars as pl
import psycopg
import pytest

from paidleave.dor.files.formats import EMPLOYER_FILE, WAGE_FILE
from paidleave.dor.importing.received import ReceivedFile, find_files
from paidleave.dor.importing.staging import Staging
from paidleave.dor.importing.steps import make_uuid_prefix


def test_frames_are_copied_unchanged(empty_database: str) -> None:
    frame = pl.DataFrame(
        {
            "number": [1, 2, 3],
            "amount": pl.Series(["1.005", "-15.00", "99999999999999999999"]).str.to_decimal(scale=18),
            "text": ['a "b",\r\n\\.', None, ""],
        }
    )
    with psycopg.connect(empty_database) as connection:
        connection.execute("CREATE TEMPORARY TABLE target (number bigint, amount numeric, text text)")
        with Staging(connection) as staging:
            for _ in range(5):
                staging.copy("target", frame)
        rows = connection.execute("SELECT * FROM target ORDER BY number, ctid").fetchall()
    expected = [(1, Decimal("1.005"), 'a "b",\r\n\\.'), (2, Decimal("-15"), None), (3, Decimal(10**20 - 1), "")]
    assert rows == [row for row in expected for _ in range(5)]


def test_database_error_is_raised_when_staging_ends(empty_database: str) -> None:
    with (
        psycopg.connect(empty_database) as connection,
        pytest.raises(psycopg.errors.UndefinedTable),
        Staging(connection) as staging,
    ):
        staging.copy("missing", pl.DataFrame({"number": [1]}))


def test_employer_files_come_first_and_whole_names_match(tmp_path: Path) -> None:
    names = [
        "DORDFMLEMP_20200520000000",
        "DORDFMLEMP_20200519000000",
        "DORDFML_20200518000000",
        "DORDFML_20200518000000.part",
        "DORDFML_2020x",
        "xDORDFML_20200518000000",
        "DORDUADFML_20212216",
    ]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / "DORDFML_1").mkdir()
    found = find_files(str(tmp_path), [EMPLOYER_FILE, WAGE_FILE])
    assert [file.name for file in found] == [names[1], names[0], names[2]]


@pytest.mark.parametrize("folder", ["s3://bucket/dor/received", "s3://bucket/dor/received/"])
def test_addresses_of_processed_and_rejected_files(folder: str) -> None:
    file = ReceivedFile(folder, "DORDFML_1", WAGE_FILE)
    assert file.uri == "s3://bucket/dor/received/DORDFML_1"
    assert file.build_processed_uri(1) == "s3://bucket/dor/processed/DORDFML_1"
    assert file.build_processed_uri(2) == "s3://bucket/dor/processed/DORDFML_1.2"
    assert file.build_rejected_uri(1) == "s3://bucket/dor/rejected/DORDFML_1.rej"
    assert file.build_rejected_uri(2) == "s3://bucket/dor/rejected/DORDFML_1.2.rej"


def test_uuid_prefixes_increase_with_time_and_are_unique() -> None:
    prefixes = [make_uuid_prefix() for _ in range(1000)]
    assert len(set(prefixes)) == 1000
    assert [prefix[:12] for prefix in prefixes] == sorted(prefix[:12] for prefix in prefixes)
    assert all(re.fullmatch("[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{7}", prefix) for prefix in prefixes)
